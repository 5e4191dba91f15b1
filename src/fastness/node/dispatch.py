"""Frames into work: every frame is decoded, judged, counted, and given to whom it is for.

What cannot be decoded, speaks another version, or makes no sense here is refused (where it
names a call to refuse) and counted, and never acted on; so is what the gate (`gate.py`) does not
let in. A request for a range that is not held, or that believes in another generation, is
answered with the newest descriptors known. Too much work is refused early; messages that end
transactions are let in for as long again, since work that waits may be waiting for just them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from fastness.encoding.timestamps import from_milliseconds
from fastness.errors import (
    FastnessError,
    InvalidEncoding,
    Overloaded,
    ProtocolMismatch,
    RangeMoved,
    Unreachable,
)
from fastness.limits import BIRTH_AHEAD_MS_MAX
from fastness.node.claims import Claims
from fastness.node.deliveries import Deliveries
from fastness.node.figures import NodeFigures
from fastness.node.flows import Flows
from fastness.node.held import HeldRanges
from fastness.node.oracle_seat import OracleSeat
from fastness.node.refusals import corrections, moved, number_in, refusal_of
from fastness.node.reports import NodeReports
from fastness.node.site import Site
from fastness.placement.descriptors import Descriptor
from fastness.ranges.identity import birth_of, shown
from fastness.ranges.ports import Caller
from fastness.ranges.requests import (
    Ask,
    CommitOne,
    Decide,
    Done,
    InvalidateAck,
    Prepare,
    RangeRequest,
    Read,
    RenewCache,
    Reserve,
    Resolve,
)
from fastness.runtime.process import Address
from fastness.wire.figures import FiguresRequest
from fastness.wire.messages import (
    ANSWER,
    CALL,
    Body,
    Drain,
    Draw,
    Frame,
    MapAnswer,
    MapRequest,
    MergeRange,
    MoveRange,
    SplitRange,
    TakeRange,
    TransferLease,
    decode_frame,
)
from fastness.wire.reports import ReportRequest

_ENDING = frozenset({Decide, Ask, Resolve})
"""Requests that end transactions, and so let go of what others wait for."""

_COMMITTING = frozenset({CommitOne, Prepare})
"""Requests whose repetition, after a refusal, would be something new."""

Flow = Callable[[], Coroutine[Any, Any, None]]
Handler = Callable[[Caller, Any], None]


class Dispatch:
    """See the module's page."""

    __slots__ = (
        "_claims",
        "_deliveries",
        "_figures",
        "_flows",
        "_handlers",
        "_held",
        "_oracle",
        "_site",
        "reports",
    )

    def __init__(
        self,
        site: Site,
        held: HeldRanges,
        oracle: OracleSeat,
        claims: Claims,
        flows: Flows,
        *,
        figures: NodeFigures,
    ) -> None:
        self._site = site
        self._held = held
        self._oracle = oracle
        self._claims = claims
        self._deliveries = Deliveries()
        self._flows = flows
        self._figures = figures
        self.reports = NodeReports(site, held, oracle)
        """What the node tells of itself."""
        to_range = (Read, CommitOne, Prepare, Decide, Ask, Resolve, Reserve, RenewCache)
        self._handlers: dict[type, Handler] = dict.fromkeys(to_range, self._range_request)
        self._handlers |= dict.fromkeys((CommitOne, Prepare, Decide), self._transaction_request)
        self._handlers[Draw] = self._draw
        self._handlers[MapRequest] = self._map
        self._handlers[FiguresRequest] = self._tell
        self._handlers[ReportRequest] = self._report
        self._handlers[SplitRange] = self._split
        self._handlers[MergeRange] = self._merge
        self._handlers[TransferLease] = self._transfer
        self._handlers[MoveRange] = self._move
        self._handlers[Drain] = self._drain

    def receive(self, sender: Address, data: bytes) -> None:
        """Take a frame."""
        try:
            frame = decode_frame(data)
        except (InvalidEncoding, ProtocolMismatch) as error:
            self._refuse_frame(sender, data, error)
            return
        site = self._site
        if frame.kind == ANSWER:
            if site.gate.believes(sender):
                site.post.hear(frame.issued, site.view.ceiling)
            site.calls.answered(sender, frame.number, frame.body)
            return
        refused = site.gate.refusal(sender, frame, len(data))
        if refused is not None:
            self._forbid(sender, frame, refused)
            return
        if site.gate.believes(sender):
            site.post.hear(frame.issued, site.view.ceiling)
        if frame.kind == CALL:
            self._call(sender, frame)
        else:
            self._notice(sender, frame.body)

    def _forbid(self, sender: Address, frame: Frame, error: FastnessError) -> None:
        counts = self._site.counts
        if frame.kind != CALL or frame.number == 0:
            counts.forbidden += 1
            return
        caller = Caller(sender, frame.number)
        if type(frame.body) in _COMMITTING and not self._deliveries.is_first(caller):
            # Its first copy may have been let in: whoever sent it is answered for that one.
            counts.repeated += 1
            return
        counts.forbidden += 1
        self._refuse(caller, error)

    def _refuse_frame(self, sender: Address, data: bytes, error: FastnessError) -> None:
        counts = self._site.counts
        if isinstance(error, ProtocolMismatch):
            counts.other_protocol += 1
        else:
            counts.malformed += 1
        number = number_in(data)
        if number:
            self._site.post.answer(sender, number, refusal_of(error))

    def _call(self, sender: Address, frame: Frame) -> None:
        handler = self._handlers.get(type(frame.body))
        if handler is None or frame.number == 0:
            self._site.counts.unexpected += 1
            if frame.number:
                what = type(frame.body).__name__
                error = InvalidEncoding(f"{what} is no request: only requests are sent as calls")
                self._refuse(Caller(sender, frame.number), error)
            return
        handler(Caller(sender, frame.number), frame.body)

    def _notice(self, sender: Address, body: Body) -> None:
        if isinstance(body, InvalidateAck):
            shell = self._held.get(body.range_id)
            if shell is None or shell.lease.epoch != body.epoch:
                self._site.counts.old_epoch += 1
            else:
                shell.acknowledge(sender, body)
        elif isinstance(body, TakeRange):
            self._claims.take(body.range_id)
        else:
            self._site.counts.unexpected += 1

    def _refuse(
        self,
        caller: Caller,
        error: FastnessError,
        descriptors: list[Descriptor] | None = None,
        oracle: str = "",
    ) -> None:
        refusal = refusal_of(error, self._site.shown(caller.address, descriptors or []), oracle)
        self._site.post.answer(caller.address, caller.number, refusal)

    # Requests to ranges.

    def _transaction_request(self, caller: Caller, request: CommitOne | Prepare | Decide) -> None:
        """What leaves an outcome behind, which is forgotten some time after its birth."""
        site, birth = self._site, birth_of(request.id)
        known = max(site.view.ceiling, site.post.issued)
        if birth <= known + from_milliseconds(BIRTH_AHEAD_MS_MAX):
            self._range_request(caller, request)
            return
        # Made up, or a new oracle has a clock far ahead and this node has not heard of it yet.
        site.changed.give()
        unknown = Unreachable(
            f"{shown(request.id)} claims to be born at {birth}, more than {BIRTH_AHEAD_MS_MAX} ms "
            "above every timestamp issued as far as is known here: send it again if "
            "it was born, else take the newest timestamp known"
        )
        self._refuse(caller, unknown)

    def _range_request(self, caller: Caller, request: RangeRequest) -> None:
        site = self._site
        if type(request) in _COMMITTING and not self._deliveries.is_first(caller):
            # The network has brought it twice. Of a first copy that was refused as misplaced, too:
            # its client has gone on from there, and this node may hold the range by now.
            site.counts.repeated += 1
            return
        shell = self._held.get(request.range_id)
        if shell is None:
            site.counts.misrouted += 1
            error = moved(f"range {request.range_id} is not held by this node")
            self._refuse(caller, error, corrections(site.view, request))
            return
        generation = shell.leaseholder.shape.generation
        if request.generation != generation:
            site.counts.old_generation += 1
            error = moved(
                f"range {request.range_id} has generation {generation}, not {request.generation}"
            )
            self._refuse(caller, error, corrections(site.view, request))
            return
        if caller in shell.callers:
            # The network has brought it twice; the one answer goes to both.
            site.counts.repeated += 1
            return
        room = site.limits.requests_in_flight
        if site.in_flight >= (2 * room if type(request) in _ENDING else room):
            site.counts.overloaded += 1
            busy = Overloaded(f"{site.in_flight} requests are being worked on: back off")
            self._refuse(caller, busy)
            return
        site.counts.requests += 1
        shell.handle(caller, request)
        if site.resting and site.in_flight:
            site.wake()

    # Requests to the node.

    def _draw(self, caller: Caller, request: Draw) -> None:
        try:
            self._oracle.draw(caller, request.count, reading=request.reading)
        except FastnessError as error:
            if isinstance(error, Overloaded):
                self._site.counts.overloaded += 1
            self._refuse(caller, error, oracle=self._site.view.oracle_address())

    def _map(self, caller: Caller, _request: MapRequest) -> None:
        view = self._site.view
        descriptors = self._site.shown(
            caller.address, [placed.descriptor for placed in view.ranges.values()]
        )
        answer = MapAnswer(descriptors, view.oracle_address(), view.nodes)
        self._site.post.answer(caller.address, caller.number, answer)

    def _tell(self, caller: Caller, _request: FiguresRequest) -> None:
        self._figures.answer(caller)

    def _report(self, caller: Caller, _request: ReportRequest) -> None:
        self._site.post.answer(caller.address, caller.number, self.reports.report())

    def _split(self, caller: Caller, request: SplitRange) -> None:
        flow = partial(self._flows.split, request.range_id, request.generation, request.key)
        self._carry_out(caller, flow, "split")

    def _merge(self, caller: Caller, request: MergeRange) -> None:
        flow = partial(self._flows.merge, request.range_id, request.generation)
        self._carry_out(caller, flow, "merge")

    def _transfer(self, caller: Caller, request: TransferLease) -> None:
        flow = partial(self._flows.transfer, request.range_id, request.generation, request.to)
        self._carry_out(caller, flow, "transfer")

    def _move(self, caller: Caller, request: MoveRange) -> None:
        flow = partial(self._flows.move, request.range_id, request.generation, request.store)
        self._carry_out(caller, flow, "move")

    def _drain(self, caller: Caller, _request: Drain) -> None:
        if self._site.draining and self._site.tenure is not None:
            self._refuse(caller, Overloaded("this node is being drained already: ask again"))
        else:
            self._carry_out(caller, self._flows.drain, "drain")

    def _carry_out(self, caller: Caller, flow: Flow, what: str) -> None:
        self._site.spawn(self._answered(caller, flow), name=f"{what} for {caller.address}")

    async def _answered(self, caller: Caller, flow: Flow) -> None:
        try:
            await flow()
        except FastnessError as error:
            view = self._site.view
            stale = isinstance(error, RangeMoved)
            known = [placed.descriptor for placed in view.ranges.values()] if stale else []
            self._refuse(caller, error, known)
        else:
            self._site.post.answer(caller.address, caller.number, Done())
