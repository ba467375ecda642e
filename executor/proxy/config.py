"""What the proxy is asked to do, read from a small JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from executor.errors import InputError
from executor.state.reading import read

Protocol = Literal["http", "grpc", "tcp"]

_HINT = (
    'Expected {"control": "/path.sock", "edges": [{"edge": "a->b", "listen": 9101, '
    '"upstream": "127.0.0.1:8001", "protocol": "http"}]}.'
)


@dataclass(frozen=True)
class EdgeConfig:
    """One edge: where the caller connects, and where the callee answers."""

    edge: str
    listen: tuple[str, int]
    upstream: tuple[str, int]
    protocol: Protocol


@dataclass(frozen=True)
class Config:
    """The control socket's path and the edges served."""

    control: str
    edges: tuple[EdgeConfig, ...]


def load(path: Path) -> Config:
    """The configuration in ``path``. Raises ``InputError`` with the place and what was expected there."""
    try:
        data = json.loads(read(path))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror}).", where=str(path), hint=_HINT) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON ({error}).", where=str(path), hint=_HINT) from None
    return parse(data, where=str(path))


def parse(data: Any, *, where: str) -> Config:
    """The same from parsed JSON."""
    _only(data, {"control", "edges"}, where)
    control, edges = data["control"], data["edges"]
    if not isinstance(control, str) or not control.isprintable() or len(control.encode()) > 107:
        raise InputError("must be a path of at most 107 printable bytes.", where=f"{where}: control", hint=_HINT)
    if not isinstance(edges, list) or not edges:
        raise InputError("must be a list with at least one edge.", where=f"{where}: edges", hint=_HINT)
    parsed = tuple(_edge(item, f"{where}: edges[{index}]") for index, item in enumerate(edges))
    names = [edge.edge for edge in parsed]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"edge {name} is there twice.", where=where)
    return Config(control=control, edges=parsed)


def _edge(item: Any, where: str) -> EdgeConfig:
    _only(item, {"edge", "listen", "upstream", "protocol"}, where)
    if not isinstance(item["edge"], str) or not item["edge"] or not item["edge"].isprintable():
        raise InputError("must be a name such as storefront->catalog.", where=f"{where}.edge")
    protocol = item["protocol"]
    if protocol not in get_args(Protocol):
        raise InputError(f"must be http, grpc or tcp, not {protocol!r}.", where=f"{where}.protocol")
    return EdgeConfig(
        edge=item["edge"],
        listen=_address(item["listen"], f"{where}.listen"),
        upstream=_address(item["upstream"], f"{where}.upstream"),
        protocol=protocol,
    )


def _address(value: Any, where: str) -> tuple[str, int]:
    host, _, port = str(value).rpartition(":")
    if isinstance(value, bool) or not host.isprintable() or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise InputError(f"must be a port or host:port, not {value!r}.", where=where)
    return (host.strip("[]") or "127.0.0.1", int(port))


def _only(item: Any, keys: set[str], where: str) -> None:
    if not isinstance(item, dict):
        raise InputError("must be a JSON object.", where=where, hint=_HINT)
    if missing := keys - item.keys():
        raise InputError(f"lacks {', '.join(sorted(missing))}.", where=where, hint=_HINT)
    if unknown := item.keys() - keys:
        raise InputError(f"has unknown {', '.join(sorted(unknown))}.", where=where, hint=_HINT)
