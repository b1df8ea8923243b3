"""Unit, properties, contracts, integration, acceptance, faults, benchmarks; what they stand on is in `support/`."""
