"""Where another process's socket leads, asked of the socket itself in microseconds; needs the right to trace it.

The kernel's table takes milliseconds to read, longer than many a connection lives. A duplicate of the descriptor
(``pidfd_getfd``, Linux 5.6) answers at once and is closed at once; nothing is sent, and no flag of it is changed.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct

_PIDFD_GETFD = 438
"""The same number on every architecture. Source: Linux, ``include/uapi/asm-generic/unistd.h``."""
_libc = ctypes.CDLL(None, use_errno=True)


class Peers:
    """Holds a handle on each process; call ``close`` when done."""

    def __init__(self) -> None:
        self._handles: dict[int, int | None] = {}

    def port(self, pid: int, descriptor: int) -> int | None:
        """Port of the local server that a process's socket is connected to; ``None``: not so, or not to be told."""
        handle = self._handle(pid)
        if handle is None:
            return None
        copy = int(_libc.syscall(_PIDFD_GETFD, handle, descriptor, 0))
        if copy < 0:
            if ctypes.get_errno() == 1:  # EPERM: this process will never let us
                self._forget(pid)
            return None
        try:
            return _local_peer(copy)
        finally:
            os.close(copy)

    def close(self) -> None:
        """Give all handles back."""
        for pid in list(self._handles):
            self._forget(pid)

    def _handle(self, pid: int) -> int | None:
        if pid not in self._handles:
            try:
                self._handles[pid] = os.pidfd_open(pid)
            except OSError:
                self._handles[pid] = None
        return self._handles[pid]

    def _forget(self, pid: int) -> None:
        handle = self._handles[pid]
        self._handles[pid] = None
        if handle is not None:
            os.close(handle)


def _local_peer(descriptor: int) -> int | None:
    """Peer port from getpeername(2), called directly: Python's socket object could touch the shared flags."""
    peer, own = _address(_libc.getpeername, descriptor), _address(_libc.getsockname, descriptor)
    if peer is None or own is None:
        return None
    host, port = peer
    return port if host == own[0] or host.startswith("127.") or host == "::1" else None


def _address(call: object, descriptor: int) -> tuple[str, int] | None:
    buffer = ctypes.create_string_buffer(128)
    length = ctypes.c_uint32(len(buffer))
    if not callable(call) or call(descriptor, buffer, ctypes.byref(length)) != 0:
        return None
    (family,) = struct.unpack_from("=H", buffer)
    (port,) = struct.unpack_from("!H", buffer, 2)
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, buffer.raw[4:8]), port
    if family == socket.AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, buffer.raw[8:24]).removeprefix("::ffff:"), port
    return None
