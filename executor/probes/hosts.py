"""Which hosts a probe may reach: those the system names, and this machine's loopback. Nothing else, ever."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from executor.errors import InputError, SafetyRefusalError
from executor.model.probe import HttpProbe, Probe
from executor.model.system import System


def host_of(probe: Probe) -> str:
    """The host a probe asks, lower case, without brackets. Raises ``InputError`` for an address that has none."""
    if not isinstance(probe, HttpProbe):
        return _plain(probe.host)
    try:
        host = urlsplit(probe.url).hostname
    except ValueError:
        host = None
    if not host or "\\" in probe.url:
        raise InputError(f"{probe.url} is not an address that can be asked.", hint="Write http://HOST:PORT/PATH.")
    return _plain(host)


def allowed_hosts(system: System) -> frozenset[str]:
    """Every host that the system's edges, health checks, operations, signals and data checks name.

    Loopback needs no naming.
    """
    hosts = {_plain(dependency.host) for dependency in system.dependencies}
    for service in system.services:
        written = (probe for check in service.data_checks for probe in check.probes)
        hosts.update(host_of(probe) for probe in (*service.probes, *written))
    return frozenset(hosts)


def refuse_foreign(probe: Probe, hosts: frozenset[str]) -> None:
    """Raise ``SafetyRefusalError`` if the probe would leave the system.

    Link-local addresses are refused even where the system names them: clouds hand out credentials there.
    """
    host = host_of(probe)
    if _is_loopback(host) or (host in hosts and not _is_link_local(host)):
        return
    raise SafetyRefusalError(
        "probe hosts",
        measured=f"a probe asks {host}",
        limit="loopback and the hosts that the system names",
        hint="Name the host in system.yaml (as an edge's host or in a health check) if it belongs to the system.",
    )


def _plain(host: str) -> str:
    return host.strip().strip("[]").rstrip(".").lower()


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _is_link_local(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_link_local
