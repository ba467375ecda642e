"""The ``murphy`` command. Heavy libraries load only inside the commands that need them."""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import TyperException

from executor.errors import MurphyError
from planner.cli import (
    approve,
    audit,
    capacity,
    cascade,
    demo,
    discover,
    doctor,
    faults,
    halt,
    keys,
    learn,
    limits,
    patterns,
    plan,
    policy,
    proxy,
    recover,
    results,
    run,
    score,
    selftest,
    sessions,
    streams,
    templates,
    why,
)
from planner.cli.visible import visible

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # chromadb brings onnxruntime, which calls home unless told first

USAGE = 2
UNWRITTEN = 2
INTERRUPTED = 130
INTERNAL = 5

app = typer.Typer(
    name="murphy",
    help="Plans what could go wrong in a distributed system, and finds out safely.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 held, 1 a weakness was found, 2 wrong use or input, 3 refused by safety, 4 revert owed, "
    "5 internal error, 130 interrupted (and everything reverted).",
)
for family in (
    demo,
    doctor,
    discover,
    plan,
    sessions,
    capacity,
    cascade,
    approve,
    run,
    halt,
    recover,
    audit,
    results,
    why,
    score,
    learn,
    templates,
    patterns,
    faults,
    limits,
    keys,
    policy,
    proxy,
    selftest,
):
    family.register(app)


def main() -> None:
    """Run the command line, and turn every error a person can act on into one sentence and an exit code."""
    streams.secure()
    try:
        code = app(standalone_mode=False)
    except MurphyError as error:
        code = _complain(str(error), error.exit_code)
    except TyperException as error:
        code = _misused(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("interrupted.", INTERRUPTED)
    except Exception as error:
        if os.environ.get("MURPHY_TRACE"):
            raise
        name = type(error).__name__
        code = _complain(f"internal error: {name}: {error}. Set MURPHY_TRACE=1 to see where.", INTERNAL)
    code = code if isinstance(code, int) else 0
    if why := streams.lost():
        _complain(f"what was to be printed could not be written: {why}.", code)
        code = code or UNWRITTEN
    sys.exit(code)


def _misused(message: str) -> int:
    if message.startswith("Usage:"):  # no command was given, and this is the help
        print(message)  # noqa: T201
        return USAGE
    return _complain(f"{message.rstrip('.')}. murphy --help lists the commands, and each has its own --help.", USAGE)


def _complain(sentence: str, code: int) -> int:
    print(f"murphy: {visible(sentence)}", file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    main()
