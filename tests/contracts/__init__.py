"""What every adapter of a port owes, asserted on the real thing."""
