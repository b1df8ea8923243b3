"""Several parts together, on real Postgres and Kafka."""
