"""Asking Amazon's services, credentials found as boto3 finds them. boto3 is loaded only when something is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from executor import extras
from executor.drivers.driver import Record
from executor.errors import UnavailableError

_CONNECT_S = 3
_READ_S = 6
_TRIES = 2
"""Neither an injection nor its undoing may take longer than 20 s."""
_POLL_S = 0.3


class AwsError(UnavailableError):
    """What Amazon, or boto3 on the way to it, says against a request."""

    def __init__(self, message: str, *, code: str = "", where: str = "") -> None:
        super().__init__(message, where=where)
        self.code = code
        """Amazon's own name of it, such as ``InvalidInstanceID.NotFound``; empty if it was not Amazon who said it."""

    @property
    def gone(self) -> bool:
        """Whether it says that what was asked for is not there."""
        return self.code.endswith(("NotFound", "NotFoundException"))


def ask(place: Record, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
    """Ask once; ``place`` names the ``region`` and, if it is not Amazon's own, the ``endpoint``.

    Raises ``AwsError``.
    """
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise AwsError(extras.absent("aws"), where=place["instance"]) from None
    try:
        client = _client(service, place["region"], place["endpoint"])
        answer: dict[str, Any] = getattr(client, operation)(**arguments)
    except ClientError as error:
        said = error.response.get("Error", {})
        code, words = str(said.get("Code", "")), " ".join(str(said.get("Message", "")).split())
        raise AwsError(f"AWS says {code}: {words[:300].rstrip('.')}.", code=code, where=place["instance"]) from None
    except BotoCoreError as error:
        words = " ".join(str(error).split()).rstrip(".")
        raise AwsError(f"AWS cannot be asked: {words}.", where=place["instance"]) from None
    return answer


def forbidden(place: Record, service: str, operation: str, **arguments: Any) -> str | None:
    """Why a request would be refused, in one sentence, found by a dry run; ``None`` if it would be granted."""
    try:
        ask(place, service, operation, DryRun=True, **arguments)
    except AwsError as error:
        return None if error.code == "DryRunOperation" else str(error)
    return None


@contextmanager
def unless_gone() -> Iterator[None]:
    """Passes over what Amazon does not know any more."""
    try:
        yield
    except AwsError as error:
        if not error.gone:
            raise


def wait(condition: Callable[[], bool], within_s: float) -> bool:
    """Ask again and again for ``within_s`` seconds at most until it is so; whether it is."""
    until = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= until:
            return False
        time.sleep(_POLL_S)
    return True


@cache
def _client(service: str, region: str, endpoint: str) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"total_max_attempts": _TRIES, "mode": "standard"}
    )
    # A session of its own: the default one is not made for threads.
    return boto3.session.Session().client(service, region_name=region, endpoint_url=endpoint or None, config=config)
