"""What `make check` and `make generate` run besides the usual programs."""
