"""Real servers on loopback for the fault proxy's tests."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

BIG = bytes(range(256)) * 20_000
"""A body far larger than any buffer on the way."""
ANSWERS: dict[bytes, bytes] = {
    b"/plain": b"HTTP/1.1 200 OK\r\ncontent-TYPE:  application/json\r\nX-B: 1\r\nContent-Length: 26\r\n\r\n"
    b'{"text": "abcdefghijklmn"}',
    b"/html": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>",
    b"/chunked": b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: Chunked\r\n\r\n"
    b"005;name=value\r\nabcde\r\n1\r\nf\r\n0\r\nX-Trailer: yes\r\n\r\n",
    b"/until-close": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end",
    b"/big": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BIG), BIG),
    b"/nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
    b"/early": b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"/not-http": b"WHAT 200 IS\r\nthis: \x01\r\n\r\nreally",
    b"/surplus": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokand more that nobody asked for",
    b"/hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
}
CLOSING = (b"/until-close", b"/early", b"/not-http", b"/surplus")


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def wait_until(holds: Callable[[], object], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def read_to_end(one: socket.socket) -> bytes:
    data = b""
    while more := one.recv(1 << 16):
        data += more
    return data


def read_answer(one: socket.socket, *, head_only: bool = False) -> bytes:
    """One answer with a Content-Length, byte for byte, and nothing of what follows it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = one.recv(1)
        if not more:
            return head
        head += more
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    wanted = 0 if head_only or not length else int(length[1])
    body = bytearray()
    while len(body) < wanted and (more := one.recv(wanted - len(body))):
        body += more
    return head + body


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def get(path: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    length = (f"Content-Length: {len(body)}",) if body else ()
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: here", *headers, *length, "\r\n"]).encode() + body


class Callee:
    """Answers by path; anything that is no request is echoed. ``received`` holds every connection's bytes."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._socket.getsockname()[1])
        self.received: list[bytearray] = []
        self.open: set[socket.socket] = set()
        self.go = threading.Event()
        """Lets a ``/slow`` answer go on."""
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def requests(self) -> int:
        return sum(bytes(one).count(b" HTTP/1.") for one in self.received)

    def stop(self) -> None:
        self.go.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for one in tuple(self.open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: not self.open)

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._socket.accept()
            except OSError:
                return
            self.open.add(one)
            threading.Thread(target=self._talk, args=(one,), daemon=True).start()

    def _talk(self, one: socket.socket) -> None:
        seen = bytearray()
        self.received.append(seen)
        try:
            _Talk(one, seen, self.go).serve()
        except OSError:
            pass
        finally:
            self.open.discard(one)
            one.close()


class _Talk:
    def __init__(self, one: socket.socket, seen: bytearray, go: threading.Event) -> None:
        self.one, self.seen, self.go = one, seen, go
        self.ahead = b""

    def _more(self) -> bool:
        data = self.one.recv(1 << 16)
        self.seen += data
        self.ahead += data
        return bool(data)

    def _take(self, size: int) -> bytes:
        while len(self.ahead) < size and self._more():
            pass
        taken, self.ahead = self.ahead[:size], self.ahead[size:]
        return taken

    def serve(self) -> None:
        while self.ahead or self._more():
            if not re.match(rb"(?!PRI)[A-Z]+ ?", self.ahead):
                self._echo()
                return
            while b"\r\n\r\n" not in self.ahead:
                if not self._more():
                    return
            head, _, self.ahead = self.ahead.partition(b"\r\n\r\n")
            if not self._answer(head):
                return

    def _echo(self) -> None:
        self.one.sendall(self.ahead)
        while data := self.one.recv(1 << 16):
            self.seen += data
            self.one.sendall(data)
        self.one.sendall(b"bye")

    def _answer(self, head: bytes) -> bool:
        method, target = head.split(b" ")[:2]
        path = target.partition(b"?")[0]
        if path == b"/early":
            self.one.sendall(ANSWERS[path])
            return False
        if path == b"/upgrade":
            self.one.sendall(b"HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n")
            self._echo()
            return False
        if b"100-continue" in head.lower():
            self.one.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._body(head)
        if path == b"/slow":
            self.one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
            self.go.wait(60)
            self.one.sendall(b"rest")
        elif path == b"/echo":
            self.one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        else:
            answer = ANSWERS.get(path, ANSWERS[b"/plain"])
            self.one.sendall(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == b"HEAD" else answer)
        return path not in CLOSING and b" HTTP/1.0" not in head

    def _body(self, head: bytes) -> bytes:
        if b"transfer-encoding: chunked" in head.lower():
            body = b""
            while True:
                while b"\r\n" not in self.ahead:
                    if not self._more():
                        return body
                size, _, self.ahead = self.ahead.partition(b"\r\n")
                piece = self._take(int(size.partition(b";")[0], 16) + 2)[:-2]
                if not piece:
                    return body
                body += piece
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        return self._take(int(length[1])) if length else b""
