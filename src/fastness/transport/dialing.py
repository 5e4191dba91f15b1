"""Whom a process is dialing, what waits to be sent there, and how long it pauses after failures.

A connection is dialed when there is something to send. What is sent meanwhile waits for it, up to
`limits.connection_write_bytes`, and is dropped where it cannot be opened. After each failure the
next dial of the same address waits longer, with jitter, up to `limits.reconnect_ms`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from random import Random

from fastness.errors import FastnessError, InvalidOption, LimitExceeded, Overloaded, Unreachable
from fastness.limits import Limits
from fastness.runtime.process import Address

FIRST_PAUSE_MS = 5.0

REMEMBERED_MAX = 1_000
"""Addresses whose failures are remembered: those of processes long gone are forgotten."""


Undelivered = Callable[[list[bytes], FastnessError], None]
"""Told of frames that certainly were not sent, and why.

Nothing relies on being told (a frame that was sent may be lost all the same), but whoever waits
for an answer need not wait any longer, and knows that nothing was done.
"""


Lost = Callable[[Address], None]
"""Told of an address that was connected and is not any more.

What was sent there and not answered may have arrived or not, and will not be answered: whoever
waits need not wait any longer. Told once for each name the peer was sent to by.
"""


_WHAT_ELSE = "is it a Fastness server's port for clients, and does it want TLS (tls=on)?"
"""What to look at where something listens that does not shake hands."""


class Queue:
    """Frames that wait for one address to be reached."""

    __slots__ = ("bytes", "frames")

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.bytes = 0

    def add(self, frame: bytes, bytes_max: int) -> bool:
        """Let a frame wait; `False` where there is no room."""
        size = len(frame)
        if self.bytes + size > bytes_max:
            return False
        self.frames.append(frame)
        self.bytes += size
        return True


class Failures:
    """What dialing came to, by address, where it failed."""

    __slots__ = ("_found", "_limits", "_random")

    def __init__(self, limits: Limits, random: Random) -> None:
        self._limits = limits
        self._random = random
        self._found: dict[Address, tuple[int, FastnessError]] = {}

    def pause_ms(self, to: Address) -> float:
        """How long to wait before this address is dialed again."""
        found = self._found.get(to)
        if found is None:
            return 0.0
        longest = min(float(self._limits.reconnect_ms), FIRST_PAUSE_MS * 2 ** min(found[0], 16))
        return self._random.uniform(longest / 2, longest)

    def reason(self, to: Address) -> FastnessError | None:
        """Why it could not be reached last time, `None` if it could or nobody tried."""
        found = self._found.get(to)
        return None if found is None else found[1]

    def add(self, to: Address, error: FastnessError) -> None:
        """It could not be reached."""
        count = self._found.pop(to, (0, error))[0]
        self._found[to] = (count + 1, error)
        if len(self._found) > REMEMBERED_MAX:
            del self._found[next(iter(self._found))]

    def clear(self, to: Address) -> None:
        """It was reached."""
        self._found.pop(to, None)


def too_long(to: Address, size: int, limit: int) -> LimitExceeded:
    """Why a frame is not sent that its receiver would not take."""
    return LimitExceeded(
        f"a frame of {size} bytes is too long for {to}, which takes {limit} (limit frame_bytes): "
        "ask for less at a time"
    )


def too_much_waits(to: Address, limit: int) -> Overloaded:
    """Why a frame is not sent to somebody who is being dialed."""
    return Overloaded(
        f"more than {limit} bytes (connection_write_bytes) wait for {to} to be reached: back off"
    )


def not_reached(to: Address, error: BaseException | None) -> FastnessError:
    """Why what waited for a connection was not sent: it was not opened, or has ended."""
    if isinstance(error, FastnessError):
        return error
    return Unreachable(f"{to} cannot be reached ({error}): try again")


def dial_error(to: Address, error: BaseException, limits: Limits) -> FastnessError:
    """What an error of the system, or of TLS, means to whoever wanted this address."""
    if isinstance(error, FastnessError):
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        return InvalidOption(
            f"the certificate of {to} is not trusted ({error.verify_message}): give the CA that "
            "signed it, and dial the name it is made for"
        )
    if isinstance(error, ssl.SSLError):
        reason = error.reason or error.strerror or "the connection ended"
        return Unreachable(
            f"TLS with {to} failed ({reason}): does that port speak TLS, and take this certificate?"
        )
    if isinstance(error, TimeoutError):
        return silent(to, limits)
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Unreachable(f"cannot connect to {to}: {reason}: does a server listen there?")


def silent(to: Address, limits: Limits) -> Unreachable:
    """Why somebody who was dialed is given up: the handshake takes too long."""
    return Unreachable(
        f"{to} did not answer within {limits.handshake_ms} ms (handshake_ms): {_WHAT_ELSE}"
    )


def hung_up(to: Address, *, amid_handshake: bool, reason: str = "") -> Unreachable:
    """What it means that somebody who was dialed closed the connection."""
    told = f" ({reason})" if reason else ""
    if amid_handshake:
        return Unreachable(f"{to} closed the connection before it was open{told}: {_WHAT_ELSE}")
    return Unreachable(f"the connection to {to} was closed{told}: try again")
