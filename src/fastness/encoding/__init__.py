"""Ordered tuple keys, key intervals, timestamps and value codecs."""
