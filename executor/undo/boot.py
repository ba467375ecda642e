"""The systemd unit that undoes, at boot, what was left when the machine went down: ``murphy recover --unit``."""

from __future__ import annotations

import pwd
import sys
from importlib.resources import files
from os import geteuid
from pathlib import Path

from executor.errors import InputError
from executor.state.home import Home


def unit(home: Home) -> str:
    """The unit for this home, its owner (or whoever asks, if there is no home yet) and this installation.

    Raises ``InputError`` for a path that systemd cannot be told.
    """
    owner = home.path.stat().st_uid if home.path.exists() else geteuid()
    program = Path(sys.executable).with_name("murphy")
    given = {
        "@HOME@": _word(home.path),
        "@USER@": _user(owner),
        "@ENVIRONMENT@": _word(f"MURPHY_HOME={home.path}"),
        "@VARIABLES@": _escaped(home.path / "recover.env"),
        "@PROGRAM@": _word(program),  # no variable, whatever it holds: systemd takes this word as it stands
    }
    text = files("executor.undo").joinpath("systemd/murphy-recover.service").read_text(encoding="utf-8")
    for name, value in given.items():
        text = text.replace(name, value)
    return text


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # one that has no name here, as in a container
        return str(number)


def _word(value: Path | str) -> str:
    """One word as systemd reads it. Source: systemd.syntax(7), "Quoting", and systemd.unit(5), "Specifiers"."""
    quoted = _escaped(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


def _escaped(value: Path | str) -> str:
    text = str(value)
    if not text.isprintable():
        raise InputError("systemd takes no such path.", where=repr(text), hint="Set MURPHY_HOME to a plain one.")
    return text.replace("%", "%%")
