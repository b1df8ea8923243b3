"""The parts that `jalon up` and the tests run by themselves, so that one machine with only Python is enough."""
