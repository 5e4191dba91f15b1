"""The leaseholder's state machine: locks, validation, group commit. No I/O."""
