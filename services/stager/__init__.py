"""The stager: the only writer of journey state. It reads the log, folds, and writes each batch in one transaction."""
