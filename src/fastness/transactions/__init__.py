"""A client's transaction: snapshot reads, read and write sets, commit, retry."""
