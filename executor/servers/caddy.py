"""Caddy at its admin API: its handlers that pass requests on, and changing one. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from executor.errors import UnavailableError
from executor.servers.served import NobodyError

_ANSWER_S = 5.0
"""Caddy starts its servers anew with each change."""


@dataclass(frozen=True)
class Answer:
    """What it says, and of which state of the configuration."""

    content: Any
    etag: str
    path: str
    """Of which part of it."""


def address(control: str) -> tuple[str, int]:
    """Host and port of the admin API. Raises ``UnavailableError`` for anything but ``http://host:port``."""
    found = urlsplit(control)
    try:
        if found.scheme == "http" and found.hostname and found.port and found.path in ("", "/"):
            return found.hostname, found.port
    except ValueError:
        pass
    raise UnavailableError("is no address of Caddy's admin API; give http://127.0.0.1:2019.", where=control)


def get(control: str, path: str = "") -> Answer:
    """The configuration, or the part of it at a path. Raises ``UnavailableError`` if there is none."""
    return _ask(control, "GET", path)


def replace(control: str, path: str, content: Any, etag: str) -> None:
    """Put another part in its place. Raises ``UnavailableError`` if it is not as it was, or Caddy does not take it."""
    _ask(control, "PATCH", path, json.dumps(content), {"Content-Type": "application/json", "If-Match": etag})


def proxies(config: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each handler that passes requests on to upstreams, with its path."""
    if isinstance(config, dict) and config.get("handler") == "reverse_proxy":
        yield path, config
    pairs = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for name, part in pairs:
        yield from proxies(part, f"{path}/{name}")


def _ask(
    control: str, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
) -> Answer:
    import http.client  # the watchdog loads this module, and mostly in vain

    line = http.client.HTTPConnection(*address(control), timeout=_ANSWER_S)
    try:
        line.request(method, f"/config/{quote(path.lstrip('/'))}", body, headers or {})
        answer = line.getresponse()
        said = answer.read()
        content = json.loads(said) if said else None
    except ConnectionRefusedError as error:
        raise NobodyError("no Caddy answers at its admin API.", where=control) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnavailableError(f"Caddy does not answer at its admin API: {error}.", where=control) from error
    finally:
        line.close()
    if answer.status != http.HTTPStatus.OK:
        why = content.get("error", "") if isinstance(content, dict) else ""
        raise UnavailableError(f"Caddy says {answer.status}: {str(why)[:200].rstrip('.')}.", where=control)
    return Answer(content, answer.headers.get("Etag", ""), path)
