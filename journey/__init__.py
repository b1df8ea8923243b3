"""The rules of Jalon: pure functions and frozen types, with no I/O, clock, randomness, logging or framework."""
