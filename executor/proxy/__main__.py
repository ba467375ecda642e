"""The managed proxy as a program: ``python -m executor.proxy --config FILE``. Ends on SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from executor.errors import MurphyError
from executor.kernel import child
from executor.proxy.config import Config, load
from executor.proxy.control import Control
from executor.proxy.server import Proxy

log = logging.getLogger(__name__)


def main() -> None:
    """Serve until told to end; exits with the error's code and one sentence if it cannot begin."""
    parser = argparse.ArgumentParser(
        prog="executor.proxy", description="Murphy's fault proxy on the edges of a system."
    )
    parser.add_argument("--config", type=Path, required=True, help="JSON file naming the control socket and the edges")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    child.raise_descriptor_limit()
    try:
        failure = asyncio.run(_serve(load(parser.parse_args().config)))
    except MurphyError as error:
        failure = error
    if failure:
        sys.stderr.write(f"murphy: {failure}\n")
        sys.exit(failure.exit_code)


async def _serve(config: Config) -> MurphyError | None:
    """Serve until told to end; the error if it cannot begin (a task group would wrap it)."""
    told_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
    async with asyncio.TaskGroup() as tasks:
        proxy = Proxy(config.edges, tasks)
        control = Control(proxy, config.control)
        try:
            await proxy.listen()
            await control.listen()
            log.info("passing %d edges, control socket %s", len(config.edges), config.control)
            await told_to_end.wait()
        except MurphyError as error:
            return error
        finally:
            await control.stop()
            proxy.stop()
    return None


if __name__ == "__main__":
    main()
