"""Clocks handed to the core: the machine's and the one that tests drive."""

from fastness.runtime.clock import Clock, ManualClock, SystemClock

__all__ = ["Clock", "ManualClock", "SystemClock"]
