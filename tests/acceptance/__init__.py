"""Jalon as its users meet it."""
