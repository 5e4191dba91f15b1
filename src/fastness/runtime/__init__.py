"""Clocks and randomness handed to the core: the real ones and the ones tests drive."""
