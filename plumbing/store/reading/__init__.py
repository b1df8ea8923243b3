"""What readers ask of the store, one module for each aggregate. Nothing here writes."""
