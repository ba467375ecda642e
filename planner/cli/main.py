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
    demo,
    discover,
    doctor,
    faults,
    halt,
    keys,
    limits,
    plan,
    policy,
    proxy,
    recover,
    results,
    run,
)
from planner.cli.visible import visible

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # chromadb brings onnxruntime, which calls home unless told first

USAGE = 2
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
    approve,
    run,
    halt,
    recover,
    audit,
    results,
    faults,
    limits,
    keys,
    policy,
    proxy,
):
    family.register(app)


def main() -> None:
    """Run the command line, and turn every error a person can act on into one sentence and an exit code."""
    _open_standard_streams()
    try:
        code = app(standalone_mode=False)
    except MurphyError as error:
        code = _complain(str(error), error.exit_code)
    except TyperException as error:
        code = _misused(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("interrupted.", INTERRUPTED)
    except BrokenPipeError:
        # whoever read our output has gone; writing the rest to them again at exit would only raise once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if os.environ.get("MURPHY_TRACE"):
            raise
        name = type(error).__name__
        code = _complain(f"internal error: {name}: {error}. Set MURPHY_TRACE=1 to see where.", INTERNAL)
    sys.exit(code if isinstance(code, int) else 0)


def _open_standard_streams() -> None:
    """Put the null device where the caller has closed one of 0, 1 and 2, before a file of ours gets that number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115


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
