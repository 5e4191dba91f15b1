"""Each call to commit is taken once by this process, however often the network brings it.

A refused commit left nothing behind, so its repetition would be taken for a new one, after its
client was told that it failed and has begun another attempt. Calls are numbered by their sender,
each sending under a number of its own, and addresses are never used twice: sender and number
name one sending for good.
"""

from __future__ import annotations

from fastness.ranges.ports import Caller

WINDOW = 4_096
"""Numbers of one sender remembered; what is older than these came too late and is dropped."""

SENDERS_MAX = 10_000


class _Sender:
    """What one sender has sent."""

    __slots__ = ("highest", "taken")

    def __init__(self) -> None:
        self.highest = 0
        self.taken: dict[int, None] = {}


class Deliveries:
    """See the module's page."""

    __slots__ = ("_senders",)

    def __init__(self) -> None:
        self._senders: dict[str, _Sender] = {}

    def is_first(self, caller: Caller) -> bool:
        """Whether this call was not taken before; it is from now on."""
        address, number = caller
        sender = self._senders.pop(address, None) or _Sender()
        # In the order they were heard of last.
        self._senders[address] = sender
        if len(self._senders) > SENDERS_MAX:
            del self._senders[next(iter(self._senders))]
        if number in sender.taken or number <= sender.highest - WINDOW:
            return False
        sender.taken[number] = None
        sender.highest = max(sender.highest, number)
        if len(sender.taken) > 2 * WINDOW:
            oldest = sender.highest - WINDOW
            sender.taken = {one: None for one in sender.taken if one > oldest}
        return True
