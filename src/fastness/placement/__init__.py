"""The timestamp oracle; later the range map, leases and coordinators."""
