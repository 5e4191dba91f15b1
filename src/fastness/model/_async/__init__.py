"""The parts of the typed layer that read: written here once, as asynchronous code.

`tools/generate_sync.py` makes the synchronous twin in `fastness.model._sync`; a test checks
that it is current. Edit here only.
"""
