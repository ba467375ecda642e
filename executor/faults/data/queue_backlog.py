"""data.queue_backlog: a helper fills a queue with messages of ours, which are taken out of it afterwards."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from executor import extras
from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.looking import Looking
from executor.kernel import child, process
from executor.servers import jetstream

if TYPE_CHECKING:
    from executor.model.faults.data import QueueBacklog as Spec

_TICK_S = 0.1
_OVERHEAD_BYTES = 300
"""Of each message, with its header and subject, at most."""
_ROOM = 0.5
"""Share of the room in a queue with limits that is left to the application."""


class QueueBacklog(Looking, held.Held):
    """Only queues that system.yaml names. Ours bear a header; the helper takes them out too if its lease lapses.

    Never so many that the queue would throw older messages away, nor where others copy it, so that ours would stay.
    """

    kind = "data.queue_backlog"
    lease: LeaseKind = "watchdog"

    def lacking(self) -> str | None:
        """The client of NATS."""
        return extras.lacking("nats")

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record the queue's last message. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        much = {"rate_per_s": fault.rate_per_s, "messages": fault.messages, "bytes": fault.message_bytes}
        return {**self.look(fault, target), **much, "mark": context.mark, **held.record(context)}

    def look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:
        """A queue of NATS JetStream that a dsn leads to, with room for so much, from which messages can be taken."""
        service = target.service
        if fault.queue not in service.queues:
            names = ", ".join(service.queues) or "none"
            why = f"{fault.queue} is none of its queues that may be filled; system.yaml names {names} (queues)."
            raise UnavailableError(why, where=service.name)
        dsn = jetstream.require(target)
        kept = jetstream.run(_queue(dsn, fault))
        process.require(target.pid, target.start_ticks)
        return {"dsn": dsn, "pid": target.pid, "ticks": target.start_ticks, **kept}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper; it is ready once the first messages are in the queue."""
        held.start("executor.faults.data.queue_backlog", [json.dumps(dict(record))], record, lease_s, ready_s=15)
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether the helper is at work, or a message of ours is in the queue."""
        if held.alive(record):
            return True
        try:
            return bool(jetstream.run(_ours(record)))
        except UnavailableError:
            return False if _lost(record) else None

    def revert(self, record: Record) -> None:
        """End the helper and take our messages out. Raises ``UnavailableError`` if the server is not there."""
        held.end(record)
        try:
            jetstream.run(_take_out(record))
        except UnavailableError:
            if not _lost(record):
                raise


def _lost(record: Record) -> bool:
    """Whether the queue went with the server's process: it was in memory only."""
    return record["storage"] == "memory" and not process.alive(record["pid"], record["ticks"])


async def _queue(dsn: str, fault: Spec) -> dict[str, Any]:
    """The queue as it is. Raises ``UnavailableError`` if it cannot be filled and emptied again without a trace."""
    async with jetstream.session(dsn) as streams:
        about = await streams.about(fault.queue)
        settings, state = about["config"], about["state"]
        subject = fault.subject or next(iter(settings.get("subjects") or ()), "")
        if "*" in subject or ">" in subject or (not fault.subject and len(settings.get("subjects") or ()) != 1):
            raise UnavailableError("takes messages by several subjects; choose one (subject).", where=fault.queue)
        reached = await streams.ask("STREAM.NAMES", subject=subject)
        if reached is None or reached.get("streams") != [fault.queue]:
            raise UnavailableError(f"is not what {subject or 'no subject'} leads to.", where=fault.queue)
        if settings.get("sealed") or settings.get("deny_delete"):
            raise UnavailableError("lets nobody take a message out, so ours would stay.", where=fault.queue)
        if settings.get("subject_transform"):
            why = "gives messages other subjects (subject_transform), and ours would not be found; choose another."
            raise UnavailableError(why, where=fault.queue)
        if settings.get("republish"):
            why = "tells others of each message (republish), who would take ours for real ones; choose another."
            raise UnavailableError(why, where=fault.queue)
        for other in await streams.all():
            copied = [source["name"] for source in (other.get("mirror"), *(other.get("sources") or ())) if source]
            if fault.queue in copied:
                raise UnavailableError(f"is copied by {other['name']}, where ours would stay.", where=fault.queue)
        room = await streams.room(settings.get("storage", "file"))
    _refuse_full(fault, settings, state)
    size = fault.messages * (fault.message_bytes + _OVERHEAD_BYTES) * settings.get("num_replicas", 1)
    if room is not None and size > room * _ROOM:
        why = f"shares with all its account's queues {room:,} bytes, of which Murphy takes half at most; {size:,} are"
        raise UnavailableError(f"{why} asked for.", where=fault.queue)
    return {
        "queue": fault.queue,
        "subject": subject,
        "created": about["created"],
        "storage": settings.get("storage", "file"),
        "first": state["last_seq"] + 1,
    }


def _refuse_full(fault: Spec, settings: dict[str, Any], state: dict[str, Any]) -> None:
    each, largest = fault.message_bytes + _OVERHEAD_BYTES, settings.get("max_msg_size", -1)
    if 0 < largest < each:
        why = f"takes messages of {largest:,} bytes at most, and ours have {each:,} with their header; ask for smaller."
        raise UnavailableError(why, where=fault.queue)
    size = fault.messages * each
    for what, asked, most, now in (
        ("messages", fault.messages, settings.get("max_msgs", -1), state["messages"]),
        ("bytes", size, settings.get("max_bytes", -1), state["bytes"]),
        ("messages of a subject", fault.messages, settings.get("max_msgs_per_subject", -1), state["messages"]),
    ):
        if most > 0 and asked > (most - now) * _ROOM:
            why = f"has room for {most - now:,} {what}, of which Murphy takes half at most; {asked:,} are asked for."
            raise UnavailableError(why, where=fault.queue)


async def _ours(record: Record) -> list[int]:
    async with jetstream.session(record["dsn"]) as streams:
        return await _marked(streams, record)


async def _marked(streams: jetstream.Streams, record: Record) -> list[int]:
    """Our messages in the queue; one that was made anew has none."""
    about = await streams.ask(f"STREAM.INFO.{record['queue']}", unless=[jetstream.NO_STREAM])
    if about is None or about["created"] != record["created"]:
        return []
    first, last = max(record["first"], about["state"]["first_seq"]), about["state"]["last_seq"]
    return await streams.marked(record["queue"], record["subject"], record["mark"], first, last)


async def _take_out(record: Record) -> None:
    async with jetstream.session(record["dsn"]) as streams:
        while found := await _marked(streams, record):  # again: the last may have been on their way
            await streams.delete(record["queue"], found)


async def _fill(lease: child.Lease, record: Record) -> None:
    """Publish at the rate until there are so many, then hold; take out when the lease is over.

    Also if the server has no room for more, since other queues would have none either: then ``UnavailableError``.
    """
    import asyncio

    told_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    headers = {jetstream.HEADER: record["mark"], "Nats-Expected-Stream": record["queue"]}
    body = b"m" * record["bytes"]
    async with jetstream.session(record["dsn"]) as streams:
        sent, begun = 0, time.monotonic()
        while not told_to_end.is_set():
            due = min(record["messages"], int((time.monotonic() - begun + _TICK_S) * record["rate_per_s"]) or 1)
            due = min(
                due, sent + record["rate_per_s"]
            )  # behind after a pause, it makes up for a second of it at a time
            said = (streams.publish(record["subject"], headers, body) for _ in range(sent, due))
            results = await asyncio.gather(*said, return_exceptions=True)
            if refusal := next((result for result in results if isinstance(result, BaseException)), None):
                await _take_out(record)
                raise refusal
            if not sent:
                child.ready()
            sent = max(sent, due)
            if not await asyncio.to_thread(lease.wait, _TICK_S):
                break
    if not told_to_end.is_set():  # else whoever told it takes them out
        await _take_out(record)


def main() -> None:
    """The helper."""
    lease, (given,) = child.lease(sys.argv[1:])
    jetstream.run(_fill(lease, json.loads(given)))


if __name__ == "__main__":
    try:
        main()
    except UnavailableError as error:
        sys.exit(str(error))
