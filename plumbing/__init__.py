"""Everything that speaks to a driver, the operating system, the clock or the operators; no rule of a journey."""
