"""A server as a real process: TCP echoes what it is sent; datagrams to the same port are answered when it is told to.

``python echo.py ADDRESS PORT``. It is told on standard input, a line each: ``drain`` answers the datagrams that wait,
and says which numbers they bear.
"""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
from contextlib import suppress

ROOM_BYTES = 16 * 2**20
"""For thousands of datagrams, so that none is lost for want of room."""
SO_RCVBUFFORCE = 33


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or it would slow itself down
        with suppress(OSError):  # callers end in every way
            while data := self.request.recv(65536):
                self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def datagrams(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM_BYTES)
    made.bind((address, port))
    made.setblocking(False)
    return made


def main(address: str, port: int) -> None:
    server = Server((address, port), Echo)
    port = server.server_address[1]
    waiting = datagrams(address, port)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    print(port, flush=True)
    for _ in sys.stdin:
        numbers = []
        with suppress(BlockingIOError):
            while True:
                data, caller = waiting.recvfrom(65536)
                if data.isdigit():  # else a fault's, and not the test's
                    numbers.append(int(data))
                with suppress(PermissionError):  # it was lost on the way out, and the kernel says so
                    waiting.sendto(data, caller)
        print(*numbers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
