"""The calls of one gRPC connection: each stream of HTTP/2 is one, struck by the faults in force when it arrives.

Frames pass as they are, settings, flow control, pings and GOAWAY included, so that the two ends have to do with each
other and not with the proxy. Only streams are numbered anew, since the callee never sees some calls and sees others
late, and header blocks are packed anew, since packing depends on those before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from executor.proxy.faults import CONNECTION_KINDS, Fault, delayed, silence
from executor.proxy.grpc_answers import Answer, http_status, trailers, trailers_only
from executor.proxy.grpc_call import Call, Part, flow
from executor.proxy.grpc_calls import ANY_STREAM, Calls
from executor.proxy.http2 import (
    ACK,
    CANCEL,
    DATA,
    GOAWAY,
    INTERNAL_ERROR,
    NO_ERROR,
    PREFACE,
    PRIORITY,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    Frame,
    Headers,
    Http2Error,
    credit,
    going_away,
    reset,
)
from executor.proxy.http2_settings import agreed
from executor.proxy.http2_way import Way
from executor.proxy.link import Link

log = logging.getLogger(__name__)

_GIVEN_UP = ("UNAVAILABLE", "the fault that held this call has ended")


class Conversation:
    """All calls of one connection."""

    def __init__(self, link: Link, tasks: asyncio.TaskGroup) -> None:
        self._link = link
        self._tasks = tasks
        self._calls_way = Way(link, link.to_callee)
        self._answers_way = Way(link, link.to_caller)
        self._calls = Calls()
        self._asked_to_leave = asyncio.Event()
        self._cut = False
        self.refused = False
        """Whether the connection ended because one end could not be read; the caller has been told."""

    async def carry(self, came: bytes) -> None:
        """Carry everything until the callee ends, or both do."""
        self._link.farewell = self._asked_to_leave.set
        self._calls_way.out += PREFACE
        others = [self._carry_calls(came[len(PREFACE) :]), self._leave()]
        running = [self._tasks.create_task(other) for other in others]
        while data := await self._link.more(self._link.callee):
            await self._read(self._answers_way, self._callee_says, data)
        for task in running:
            task.cancel()
        for call in self._calls.held():
            self._calls.forget(call)

    async def _leave(self) -> None:
        """Once asked to, let the caller make its next calls on another connection; those under way go on."""
        await self._asked_to_leave.wait()
        self._calls.leave()
        self._answers_way.out += going_away(self._calls.last, NO_ERROR)
        await self._flush()

    async def _carry_calls(self, data: bytes) -> None:
        await self._read(self._calls_way, self._caller_says, data)
        while data := await self._link.more(self._link.client):
            await self._read(self._calls_way, self._caller_says, data)
        for call in self._calls.held():
            self._forget(call)
        await self._calls_way.end(self._link.callee.end)

    async def _read(self, way: Way, understand: Callable[[Frame], None], data: bytes) -> None:
        """Do what the frames that are whole with ``data`` ask for."""
        try:
            for frame in way.frames.read(data):
                understand(frame)
                if self._cut:
                    break
        except Http2Error as error:
            log.warning("edge %s: connection closed: %s", self._link.edge.name, error)
            self._answers_way.out += going_away(self._calls.highest, error.code, str(error))
            await self._answers_way.flush()
            self.refused = True
            self._link.callee.reset()
            raise ConnectionResetError from None
        await self._flush()

    async def _flush(self) -> None:
        self._link.in_exchange = bool(self._calls)
        await self._calls_way.flush()
        await self._answers_way.flush()
        if self._cut:
            raise ConnectionResetError

    # What the caller says.

    def _caller_says(self, frame: Frame) -> None:
        way = self._calls_way
        if way.headers.wants(frame):
            if (headers := way.headers.take(frame)) is not None:
                self._caller_heads(headers)
        elif frame.kind == SETTINGS and not frame.flags & ACK:
            way.out += self._settings(frame, self._answers_way)
        elif not frame.stream:
            way.out += frame.on(0)
        elif frame.kind != PRIORITY:  # which of the streams come first: its numbers are not the callee's
            self._caller_goes_on(frame)

    def _caller_heads(self, headers: Headers) -> None:
        if call := self._calls.of_caller(headers.stream):
            self._more_of(call, headers)
        elif self._calls.is_new(headers.stream):
            self._begin(Call(headers, caller_ended=headers.ends))

    def _caller_goes_on(self, frame: Frame) -> None:
        call = self._calls.of_caller(frame.stream)
        if call is None:
            if self._calls.is_new(frame.stream):
                raise Http2Error(PROTOCOL_ERROR, "a frame came for a call that was never begun")
            self._answers_way.out += credit(flow(frame))  # the call is over, and its bytes are nobody's
        elif frame.kind == RST_STREAM:
            if call.callee and not call.over:
                self._calls_way.out += frame.on(call.callee)
            self._forget(call)
        else:
            self._more_of(call, frame)

    def _more_of(self, call: Call, part: Part) -> None:
        useless = call.mute or call.over  # the callee has said all, and the caller does not know
        call.caller_ended |= part.ends
        if useless:
            self._answers_way.out += credit(flow(part))
        elif call.callee:
            self._pass_on(call, part)
        else:
            self._calls.wait(call, part)

    def _pass_on(self, call: Call, part: Part) -> None:
        self._calls_way.out += _on(self._calls_way, call.callee, part)
        if call.over and not call.stalled:
            self._forget(call)

    # What becomes of a call.

    def _begin(self, call: Call) -> None:
        self._calls.begin(call)
        self._link.edge.count_call(self._link)
        struck = self._struck(call)
        if any(fault.spec.kind == "delay" for fault in struck):
            call.holder = self._tasks.create_task(self._delay(call, struck))
        else:
            self._strike(call, struck)

    def _struck(self, call: Call) -> list[Fault]:
        method, path = (call.began.get(name).decode("latin-1") for name in (b":method", b":path"))
        struck = [
            fault
            for fault in self._link.faults
            if fault.spec.kind not in CONNECTION_KINDS
            and (call.is_grpc or not fault.spec.grpc_status)
            and fault.matches(method, path)
            and fault.strikes()
        ]
        self._link.edge.faulted += bool(struck)
        if self._link.struck_by("refuse"):
            raise ConnectionResetError
        return struck

    async def _delay(self, call: Call, struck: list[Fault]) -> None:
        delays = [fault for fault in struck if fault.spec.kind == "delay"]
        await delayed(delays, sum(fault.delay_s() for fault in delays))
        call.holder = None
        self._strike(call, struck)
        await self._flush()

    def _strike(self, call: Call, struck: list[Fault]) -> None:
        for fault in struck:
            if fault.spec.kind == "reset" and not fault.spec.after_bytes:
                raise ConnectionResetError
            if fault.spec.kind == "hang" and not fault.spec.after_bytes:
                self._answers_way.out += credit(self._calls.drop_waiting(call))
                call.mute = True
                call.holder = self._tasks.create_task(self._hang(call, fault))
                return
        for fault in struck:
            if fault.spec.kind == "error":
                spec = fault.spec
                given = trailers_only(spec.grpc_status, spec.grpc_message) if spec.grpc_status else None
                self._answer(call, given or http_status(spec.status))
                return
        call.reset_after = min((f.spec.after_bytes for f in struck if f.spec.kind == "reset"), default=None)
        hangs = [fault for fault in struck if fault.spec.kind == "hang"]
        call.stall = min(hangs, key=lambda fault: fault.spec.after_bytes, default=None)
        self._open(call)

    async def _hang(self, call: Call, fault: Fault) -> None:
        """Nothing, or no more, of its answer until the fault ends; then it is broken off."""
        await silence([fault])
        call.holder = None
        if call.callee and not call.over:
            self._calls_way.out += reset(call.callee, CANCEL)
        if call.is_grpc:
            self._answer(call, (trailers if call.callee else trailers_only)(*_GIVEN_UP))
        elif call.callee:
            self._answers_way.out += reset(call.caller, INTERNAL_ERROR)
            self._forget(call)
        else:
            self._answer(call, http_status(503))
        await self._flush()

    def _answer(self, call: Call, answer: Answer) -> None:
        """Answer for the callee, which never sees the call."""
        way = self._answers_way
        way.out += way.writer.frames(call.caller, answer, ends=True)
        if not call.caller_ended:
            way.out += reset(call.caller, NO_ERROR)  # the rest of the call is not wanted (RFC 9113, 8.1)
        self._forget(call)

    def _open(self, call: Call) -> None:
        if self._calls.closed:
            self._refuse(call)
            return
        for part in self._calls.let_through(call):
            self._pass_on(call, part)

    def _refuse(self, call: Call) -> None:
        """The callee has not seen it and will not: the caller may try it again elsewhere."""
        self._answers_way.out += reset(call.caller, REFUSED_STREAM)
        self._forget(call)

    def _forget(self, call: Call) -> None:
        """It is over. What still comes for it is dropped, and its sender may send as much on other streams."""
        self._answers_way.out += credit(self._calls.forget(call))

    # What the callee says.

    def _callee_says(self, frame: Frame) -> None:
        way = self._answers_way
        if way.headers.wants(frame):
            if (headers := way.headers.take(frame)) is not None:
                self._callee_goes_on(headers)
        elif frame.kind == SETTINGS and not frame.flags & ACK:
            way.out += self._settings(frame, self._calls_way)
        elif frame.kind == GOAWAY:
            self._callee_leaves(frame)
        elif not frame.stream:
            way.out += frame.on(0)
        elif frame.kind != PRIORITY:
            self._callee_goes_on(frame)

    def _callee_goes_on(self, part: Part) -> None:
        call = self._calls.of_callee(part.stream)
        passes = call.passes(part) if call else None
        self._calls_way.out += credit(flow(part) - flow(passes))  # what does not pass must take no room from others
        if call is None:
            return
        if passes:
            self._answer_goes_on(call, passes)
        broken_off = isinstance(part, Frame) and part.kind == RST_STREAM
        call.callee_ended |= part.ends or broken_off
        call.caller_ended |= broken_off
        if call.stall and call.stalled and not call.holder:
            call.holder = self._tasks.create_task(self._hang(call, call.stall))
        if call.over and not call.stalled:
            self._forget(call)

    def _answer_goes_on(self, call: Call, part: Part) -> None:
        data = _on(self._answers_way, call.caller, part)
        if call.reset_after is not None and (isinstance(part, Headers) or part.kind == DATA):
            self._cut = len(data) > call.reset_after
            data = data[: call.reset_after]
            call.reset_after -= len(data)
        self._answers_way.out += data

    def _callee_leaves(self, frame: Frame) -> None:
        unseen = self._calls.close(int.from_bytes(frame.payload[:4], "big") & ANY_STREAM)
        said = self._calls.last.to_bytes(4, "big") + frame.payload[4:]
        self._answers_way.out += frame._replace(payload=said).on(0)
        for call in unseen:
            self._refuse(call)

    def _settings(self, frame: Frame, other: Way) -> bytes:
        payload = agreed(frame.payload, other.frames, other.headers, other.writer)
        return frame._replace(payload=payload).on(frame.stream)


def _on(way: Way, stream: int, part: Part) -> bytes:
    if isinstance(part, Headers):
        return way.writer.frames(stream, part.fields, ends=part.ends)
    return part.on(stream)
