"""Fastness: a strictly serializable, durable, typed metadata database."""
