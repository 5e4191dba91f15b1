"""`open`, `Database`, `AsyncDatabase`: one API for every engine."""
