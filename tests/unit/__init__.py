"""One part at a time, without anything beside it."""
