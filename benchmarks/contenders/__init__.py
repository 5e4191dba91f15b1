"""Fastness and its peers behind one contract, each configured as its users would."""
