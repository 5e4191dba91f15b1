"""Clients of the servers behind one contract, each as its own users would call it."""
