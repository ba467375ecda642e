"""Bytes both ways, as they are: for protocols other than HTTP/1, and for what follows an upgrade."""

from __future__ import annotations

import asyncio

from executor.proxy.link import Link
from executor.proxy.statements import Statements
from executor.proxy.transactions import Transactions


async def tunnel(link: Link, to_callee: bytes = b"", to_caller: bytes = b"") -> None:
    """Carry everything until both ends have ended; a reset on one side resets the other.

    ``to_callee`` and ``to_caller`` are bytes already taken from the wires, sent first.
    """
    link.tunnelled = True
    statements = Statements()
    link.transactions = Transactions(statements)
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_carry_calls(link, to_callee, statements))
            both.create_task(_carry_answers(link, to_caller))
    except* ConnectionResetError:
        link.reset()


async def _carry_calls(link: Link, data: bytes, statements: Statements) -> None:
    arrived_at = asyncio.get_running_loop().time()
    while True:
        if data:
            link.burst_arrived()
            await link.gate_call(arrived_at, statements.begun_in(data))
            await link.to_callee(data)
        data = await link.more(link.client)
        arrived_at = link.client.arrived_at
        if not data:
            link.callee.end()
            return


async def _carry_answers(link: Link, data: bytes) -> None:
    while True:
        if data:
            link.burst_answered(data)
            await link.gate_answer(data)
        data = await link.more(link.callee)
        if not data:
            link.client.end()
            return
