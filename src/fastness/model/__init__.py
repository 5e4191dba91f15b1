"""Typed entities and associations with transactional indexes."""
