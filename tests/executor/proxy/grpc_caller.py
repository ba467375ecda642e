"""A caller of gRPC as a process: makes the calls it is told to on standard input, one JSON object a line.

The answer says how many calls ended with each status, what messages came with them, whether each answer was right, and
how long each call took at least and at most.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.use_local_subchannel_pool", 1),
]
channels: dict[str, grpc.Channel] = {}


def unary(channel: grpc.Channel, path: str, size: int, timeout_s: float) -> bool:
    asked = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    answer, call = channel.unary_unary(path).with_call(asked, timeout=timeout_s, metadata=[("first", "one")])
    told = {one.key: one.value for one in call.trailing_metadata()}
    wanted = {"told-bin": b"\0\xff", "first": "one"} if path.endswith("Unary") else {}
    return bool(answer == asked and told.items() >= wanted.items())


def down(channel: grpc.Channel, path: str, size: int, timeout_s: float) -> bool:
    asked = json.dumps({"count": 50, "size": size}).encode()
    answers = list(channel.unary_stream(path)(asked, timeout=timeout_s))
    return answers == [bytes([number]) * size for number in range(50)]


def up(channel: grpc.Channel, path: str, size: int, timeout_s: float) -> bool:
    answer = channel.stream_unary(path)((b"x" * size for _ in range(50)), timeout=timeout_s)
    return bool(json.loads(answer) == [50, 50 * size])


def chat(channel: grpc.Channel, path: str, size: int, timeout_s: float) -> bool:
    asked = [bytes([number]) * size for number in range(50)]
    return list(channel.stream_stream(path)(iter(asked), timeout=timeout_s)) == asked


def forever(channel: grpc.Channel, path: str, size: int, timeout_s: float) -> bool:
    """Gives up after some messages."""
    answers = channel.unary_stream(path)(b"", timeout=timeout_s)
    took = [next(answers) for _ in range(20)]
    answers.cancel()
    return len(took) == 20


WAYS = {"Unary": unary, "Down": down, "Up": up, "Chat": chat, "Forever": forever}


def ask(
    port: int,
    path: str = "/demo.Echo/Unary",
    times: int = 1,
    size: int = 100,
    timeout_s: float = 20.0,
    at_once: int = 1,
    channel: str = "",
) -> dict[str, Any]:
    used = channels.setdefault(f"{port} {channel}", grpc.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS))
    way = WAYS.get(path.rpartition("/")[2], unary)

    def one(_: int) -> tuple[str, str, bool, float]:
        begun = time.monotonic()
        try:
            right = way(used, path, size, timeout_s)
        except grpc.RpcError as error:
            return error.code().name, error.details() or "", False, time.monotonic() - begun
        return "OK", "", right, time.monotonic() - begun

    with ThreadPoolExecutor(at_once) as pool:
        made = list(pool.map(one, range(times)))
    return {
        "codes": dict(Counter(code for code, _, _, _ in made)),
        "messages": sorted({message for _, message, _, _ in made if message}),
        "right": sum(right for _, _, right, _ in made),
        "least_s": min(took for *_, took in made),
        "most_s": max(took for *_, took in made),
    }


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(ask(**json.loads(line))), flush=True)
    for channel in channels.values():
        channel.close()


if __name__ == "__main__":
    main()
