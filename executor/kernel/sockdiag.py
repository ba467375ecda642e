"""TCP sockets of this machine, asked of the kernel over netlink: whose a connection is, and cutting one from outside.

Standard library only. Source: Linux ``include/uapi/linux/inet_diag.h`` and ``sock_diag.h``.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

Address = tuple[str, int]

_NETLINK_SOCK_DIAG: Final = 4
_BY_FAMILY, _DESTROY = 20, 21
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_TIME_WAIT, _LISTEN = 6, 10
LISTENING: Final = 1 << _LISTEN
LIVE: Final = 0xFFFFFFFF & ~(LISTENING | 1 << _TIME_WAIT)
"""Sets of states, as bits."""
_ANY_COOKIE: Final = b"\xff" * 8
_HEADER = struct.Struct("=IHHII")
_ID_BYTES, _MESSAGE_BYTES = 48, 72
_IPV4_BYTES: Final = 4


@dataclass(frozen=True)
class Connection:
    """One end of a TCP connection, as its owner sees it; or a listener."""

    local: Address
    remote: Address
    """Numeric; IPv4 in IPv6's form is given as IPv4. A listener's has port 0."""
    inode: int
    state: int
    cookie: bytes
    """The kernel's own name of the socket, never given to another one."""


def find(local: Address, remote: Address) -> Connection | None:
    """The connection between two numeric addresses; ``None`` if this machine has no such end.

    Where the kernel knows of no connection it answers with the listener at ``local``, which is not what is meant.
    """
    found = [_connection(body) for body in _ask(_BY_FAMILY, 0, local, remote, _ANY_COOKIE)]
    wanted = (_packed(local[0]), local[1], _packed(remote[0]), remote[1])
    return next((one for one in found if one.state not in (_LISTEN, _TIME_WAIT) and _ends(one) == wanted), None)


def every(states: int) -> list[Connection]:
    """Every TCP socket of this thread's network in one of those states.

    For listeners a hundredth of the time of ``/proc/net/tcp``, whose readers walk all that the kernel has room for; for
    connections a fifth. Raises ``OSError`` where the kernel does not answer, as in some containers.
    """
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, states) + bytes(_ID_BYTES)
        found += [_connection(body) for body in _talk(_BY_FAMILY, _DUMP, request)]
    return found


def to_port(port: int) -> list[Connection]:
    """Every connection of this machine whose far end has that port."""
    return [one for one in every(LIVE) if one.remote[1] == port]


def cut(one: Connection) -> bool:
    """Cut a connection: the far end's socket is destroyed, or where that is not here, its own. Whether one was.

    The owner sees a reset, as from a far end that died; if its own socket is destroyed, "connection aborted". Raises
    ``PermissionError`` without the right to administer the network, ``OSError`` if the kernel cannot.
    """
    far = find(one.remote, one.local)
    return (far is not None and _destroy(far)) or _destroy(one)


def _destroy(one: Connection) -> bool:
    """Destroy that very socket: by its cookie, or the kernel would take the listener where the connection is gone."""
    try:
        for _ in _ask(_DESTROY, _ACK, one.local, one.remote, one.cookie):
            pass
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESTALE):
            return False
        raise
    return True


def _ask(command: int, flags: int, local: Address, remote: Address, cookie: bytes) -> Iterator[bytes]:
    near, far = _packed(local[0]), _packed(remote[0])
    family = socket.AF_INET if len(near) == _IPV4_BYTES else socket.AF_INET6
    identity = struct.pack("!HH16s16s", local[1], remote[1], near, far) + bytes(4) + cookie
    request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, LIVE) + identity
    try:
        yield from _talk(command, flags, request)
    except FileNotFoundError:
        if command == _DESTROY:
            raise


def _talk(command: int, flags: int, request: bytes) -> Iterator[bytes]:
    """Bodies of the answers to one request. Raises ``OSError`` for what the kernel refuses."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as line:
        line.settimeout(5.0)
        line.send(_HEADER.pack(_HEADER.size + len(request), command, _REQUEST | flags, 1, 0) + request)
        while True:
            data = line.recv(1 << 18)
            while data:
                length, kind, _, _, _ = _HEADER.unpack_from(data)
                body, data = data[_HEADER.size : length], data[(length + 3) & ~3 :]
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    (number,) = struct.unpack_from("=i", body)
                    if number == 0:
                        return
                    raise OSError(-number, errno.errorcode.get(-number, "?"))
                yield body
            if not flags & _DUMP and not flags & _ACK:
                return


def _connection(body: bytes) -> Connection:
    family, state = body[0], body[1]
    sport, dport, near, far = struct.unpack_from("!HH16s16s", body, 4)
    (inode,) = struct.unpack_from("=I", body, _MESSAGE_BYTES - 4)
    cookie = body[_ID_BYTES - 4 : _ID_BYTES + 4]
    near, far = ((one[:_IPV4_BYTES] if family == socket.AF_INET else one) for one in (near, far))
    return Connection((text(near), sport), (text(far), dport), inode, state, cookie)


def _ends(one: Connection) -> tuple[bytes, int, bytes, int]:
    return _packed(one.local[0]), one.local[1], _packed(one.remote[0]), one.remote[1]


def text(packed: bytes) -> str:
    """An address of 4 or 16 bytes as people write it; IPv4 in IPv6's form as IPv4."""
    found = socket.inet_ntop(socket.AF_INET if len(packed) == _IPV4_BYTES else socket.AF_INET6, packed)
    return found.removeprefix("::ffff:") if "." in found else found


def _packed(address: str) -> bytes:
    plain = address.partition("%")[0]
    return socket.inet_pton(socket.AF_INET6 if ":" in plain else socket.AF_INET, plain)
