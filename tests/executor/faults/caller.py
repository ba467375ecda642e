"""A caller as a real process: asks over HTTP what it is told on standard input, one JSON object a line."""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import sys
import time
from contextlib import suppress

kept: dict[int, http.client.HTTPConnection] = {}


def ask(
    port: int, path: str = "/", method: str = "GET", keep: bool = False, timeout_s: float = 20.0, raw: bool = False
) -> dict[str, object]:
    if raw:
        return {"body": asked_raw(port, f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", timeout_s)}
    connection = kept.pop(port, None) if keep else None
    if connection and select.select([connection.sock], [], [], 0)[0]:  # ended meanwhile: every pool looks at this
        connection.close()
        connection = None
    connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    begun = time.monotonic()
    said: dict[str, object] = {"status": None, "body": "", "type": "", "error": "", "local": 0}
    try:
        connection.timeout = timeout_s
        if connection.sock:
            connection.sock.settimeout(timeout_s)
        connection.request(method, path)
        said["local"] = connection.sock.getsockname()[1]
        answer = connection.getresponse()
        said.update(status=answer.status, type=answer.headers.get("content-type", ""))
        said["body"] = answer.read().decode("latin-1")
    except (OSError, http.client.HTTPException) as error:
        said["error"] = type(error).__name__
        connection.close()
    else:
        if keep:
            kept[port] = connection
        else:
            connection.close()
    return said | {"s": time.monotonic() - begun, "pid": os.getpid()}


def asked_raw(port: int, request: str, timeout_s: float) -> str:
    """Every byte that comes back until nothing more comes in time."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection, suppress(OSError):
        connection.sendall(request.encode())
        while more := connection.recv(65536):
            got += more
    return got.decode("latin-1")


def answer_all() -> None:
    each = "--forks" in sys.argv  # a worker for each call
    for line in sys.stdin:
        if each and (worker := os.fork()):
            os.waitpid(worker, 0)
            continue
        print(json.dumps(ask(**json.loads(line))), flush=True)
        if each:
            os._exit(0)


if __name__ == "__main__":
    if "--worker" in sys.argv:  # the worker answers, as another user if it can; its parent only waits for it
        if os.fork():
            os.wait()
            sys.exit()
        "".encode("idna")  # loaded now: the other user may not be allowed to read the library
        if os.geteuid() == 0:
            os.setuid(65534)
    answer_all()
