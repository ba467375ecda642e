"""``murphy proxy``: the fault proxy on the edges of a system, for faults without root."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command(short_help="Stand on the edges, so that faults can.")(proxy)


def proxy(config: Annotated[Path, typer.Option(help="JSON file that names the control socket and the edges.")]) -> None:
    """Stand on a system's edges and pass everything unchanged until a run says otherwise. Ends on SIGTERM or Ctrl-C."""
    import os
    import sys

    # The proxy lives as long as the system does, so it becomes the small program it is and sheds this command line.
    os.execv(sys.executable, [sys.executable, "-m", "executor.proxy", "--config", str(config)])
