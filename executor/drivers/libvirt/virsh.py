"""Asking libvirt through its own client, virsh. Standard library only: the watchdog uses it.

The client is where libvirt is, and speaks to it wherever it runs; the Python binding is made for one Python alone, and
would have to be compiled for others. A machine is meant by its UUID, and one start of it by the number that libvirt
gave it: the next start has another one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

from executor.drivers.driver import Record
from executor.errors import UnavailableError

_ANSWERS_S: Final = 8.0
"""An injection takes 20 s at most, and asks more than once."""
_INPUT: Final = "/dev/stdin"
Element = ElementTree.Element


@dataclass(frozen=True)
class Domain:
    """How a machine is now."""

    number: str
    """Of this start of it; empty: it does not run."""
    state: str
    """In libvirt's words: ``running``, ``paused``, ``in shutdown``, ``shut off``…"""
    persistent: bool
    """Whether libvirt still knows it once it has stopped."""


def ask(place: Record, command: str, *arguments: str, given: str = "") -> str:
    """What virsh prints; ``given``: what it reads. ``place`` has the ``uri`` of libvirt.

    Raises ``UnavailableError`` with its own words if it refuses, or does not answer.
    """
    program = shutil.which("virsh")
    where = str(place["instance"])
    if program is None:
        raise UnavailableError("virsh is not installed; install libvirt-clients.", where=where)
    try:
        done = subprocess.run(
            [program, "--quiet", "--connect", place["uri"], command, *arguments],
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,  # nobody is at a terminal to be asked for a password
            timeout=_ANSWERS_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"libvirt at {place['uri']} does not answer {command}.", where=where) from None
    if done.returncode:
        lines = [line.removeprefix("error: ") for line in done.stderr.splitlines() if line.strip()]
        words = " ".join(lines).rstrip(".") or "nothing"
        raise UnavailableError(f"libvirt at {place['uri']} refuses {command}: {words}.", where=where)
    return done.stdout


def known(place: Record) -> dict[str, str]:
    """UUIDs of all machines that libvirt knows, by their names. Raises ``UnavailableError``."""
    lines = ask(place, "list", "--all", "--uuid", "--name").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {name.strip(): uuid for uuid, name in pairs}


def look(place: Record) -> Domain | None:
    """How the machine of that ``uuid`` is; ``None`` if libvirt does not know it. Raises ``UnavailableError``."""
    try:
        said = ask(place, "dominfo", place["uuid"])
    except UnavailableError:
        if place["uuid"] in known(place).values():
            raise
        return None
    about = {name: value.strip() for name, _, value in (line.partition(":") for line in said.splitlines())}
    return Domain(about["Id"].strip("-"), about["State"], about["Persistent"] == "yes")


def running(record: Record) -> Domain | None:
    """How the very machine of then is, as it was started; ``None`` if it runs no more. Raises ``UnavailableError``."""
    now = look(record)
    return now if now is not None and now.number == record["number"] else None


def require(record: Record) -> Domain:
    """The same. Raises ``UnavailableError`` too if it runs no more."""
    now = running(record)
    if now is None:
        raise UnavailableError("the machine of then does not run any more.", where=record["instance"])
    return now


def paused(record: Record) -> bool:
    """Whether somebody, as we do, has made it stand still; not that it waits for a full disk, say."""
    return ask(record, "domstate", record["uuid"], "--reason").strip() == "paused (user)"


def described(place: Record, *options: str) -> Element:
    """All that it is made of. Raises ``UnavailableError``."""
    return ElementTree.fromstring(ask(place, "dumpxml", place["uuid"], *options))  # noqa: S314 - libvirt's own


def written(element: Element) -> str:
    """As libvirt reads it."""
    return ElementTree.tostring(element, encoding="unicode")


def alter(record: Record, command: str, element: Element | str) -> None:
    """Have a device of the running machine changed, not of its definition; ``command``: ``update-device`` and the like.

    Raises ``UnavailableError``.
    """
    text = element if isinstance(element, str) else written(element)
    ask(record, command, record["uuid"], _INPUT, "--live", given=text)


def create(record: Record) -> None:
    """Start a machine that libvirt does not know, from its ``xml``. Raises ``UnavailableError``."""
    ask(record, "create", _INPUT, given=record["xml"])
