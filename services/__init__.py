"""The three services: each a process of its own. They share rules and documents, never each other's code."""
