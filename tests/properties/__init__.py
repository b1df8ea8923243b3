"""Laws that hold for every history, on generated ones."""
