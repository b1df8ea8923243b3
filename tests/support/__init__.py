"""What tests stand on: databases, ports, processes, waiting."""
