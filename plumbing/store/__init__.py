"""Jalon's store in Postgres: tables, migrations, and what is read and written there, one module for each aggregate."""
