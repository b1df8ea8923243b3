"""The `jalon` command: one module for each subcommand, and the runner of everything on one machine (`local/`)."""
