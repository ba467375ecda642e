"""A real gRPC server as a process: says its port, then does what it is told on standard input, a line at a time.

Methods of any service: ``Unary`` and ``Chat`` (bidirectional) echo, ``Down`` (server streaming) gives ``count``
messages of ``size`` bytes, ``Up`` (client streaming) adds up, ``Fail`` says no, ``Forever`` streams until its caller
gives up, ``Wait`` answers once ``go`` is said. ``seen`` tells how many calls of each path have come, ``stop`` ends the
server as soon as the calls under way are done.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import grpc

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
seen: Counter[str] = Counter()
go = Event()


def unary(request: bytes, context: grpc.ServicerContext) -> bytes:
    context.set_trailing_metadata(
        (("told-bin", b"\0\xff"), *(one for one in context.invocation_metadata() if one.key == "first"))
    )
    return request


def down(request: bytes, _: grpc.ServicerContext) -> Iterator[bytes]:
    asked = json.loads(request)
    for number in range(asked["count"]):
        yield bytes([number % 256]) * asked["size"]


def up(requests: Iterator[bytes], _: grpc.ServicerContext) -> bytes:
    sizes = [len(request) for request in requests]
    return json.dumps([len(sizes), sum(sizes)]).encode()


def chat(requests: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
    yield from requests


def fail(_: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.NOT_FOUND, "no café, 100 % sure")
    raise AssertionError


def forever(_: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    context.add_callback(lambda: seen.update(["given up"]))
    while context.is_active():
        yield b"x" * 1000


def wait(request: bytes, _: grpc.ServicerContext) -> bytes:
    go.wait(60)
    return request


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Down": grpc.unary_stream_rpc_method_handler(down),
    "Up": grpc.stream_unary_rpc_method_handler(up),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Wait": grpc.unary_unary_rpc_method_handler(wait),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Forever": grpc.unary_stream_rpc_method_handler(forever),
}


class Handlers(grpc.GenericRpcHandler):
    def service(self, details: Any) -> Any:
        seen[details.method] += 1
        return HANDLERS.get(details.method.rpartition("/")[2])


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(16), handlers=[Handlers()], options=OPTIONS)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    for line in sys.stdin:
        match line.strip():
            case "stop":
                server.stop(60)
            case "go":
                go.set()
            case _:
                print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
