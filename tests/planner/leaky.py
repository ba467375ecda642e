"""A service that tells its secrets to whoever asks: ``leaky.py PORT SECRET``. Port 0: it only lives. Ends by itself.

``/`` answers well, with the secret in body and headers; ``/broken`` answers with it in a line that is no HTTP header.
"""

from __future__ import annotations

import os
import socketserver
import sys
import threading
import time

LIFE_S = 900.0


class Handler(socketserver.StreamRequestHandler):
    secret = ""

    def handle(self) -> None:
        path = self.rfile.readline().split()[1:2]
        while self.rfile.readline().strip():
            pass
        body = f"token={self.secret}".encode()
        header = f"{self.secret} \0 is no header" if path == [b"/broken"] else f"X-Token: {self.secret}"
        head = f"HTTP/1.1 200 OK\r\n{header}\r\nSet-Cookie: session={self.secret}\r\n"
        self.wfile.write(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def main() -> None:
    threading.Timer(LIFE_S, os._exit, (0,)).start()
    port, Handler.secret = int(sys.argv[1]), os.environ.get("ANSWER_SECRET", "")
    if not port:
        time.sleep(LIFE_S)
    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
