"""A small load balancer: round robin over MEMBERS, with or without a second try and ejection of dead members.

The shop runs it twice. What each of them does about a dead member is a matter of its settings, as with any balancer.
"""

from __future__ import annotations

import os
import threading
import time

import urllib3
from flask import Flask, Response, request
from web import client, serve

MEMBERS = os.environ["MEMBERS"].split(",")
TRIES = int(os.environ.get("TRIES", "1"))
EJECT_AFTER = int(os.environ.get("EJECT_AFTER", "0"))
"""Failures in a row after which a member gets no calls for a while; 0: never."""
EJECT_S = float(os.environ.get("EJECT_S", "2"))
TIMEOUT_S = float(os.environ["TIMEOUT_S"])
WORTH_ANOTHER_TRY = (502, 503, 504)
"""Another member may do better. All that is sent here may safely be repeated."""

app = Flask(__name__)
http = client()


class Members:
    """Whose turn it is. Only a member that cannot be reached counts as failed; an error is an answer."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls
        self._turn = 0
        self._failures = dict.fromkeys(urls, 0)
        self._back_at = dict.fromkeys(urls, 0.0)
        self._lock = threading.Lock()

    def next(self, tried: list[str]) -> str:
        with self._lock:
            self._turn += 1
            now = time.monotonic()
            in_turn = [self._urls[(self._turn + step) % len(self._urls)] for step in range(len(self._urls))]
            fresh = [url for url in in_turn if url not in tried] or in_turn
            well = [url for url in fresh if self._back_at[url] <= now]
            return (well or fresh)[0]  # with all of them ejected, any is better than none

    def report(self, url: str, *, reached: bool) -> None:
        with self._lock:
            self._failures[url] = 0 if reached else self._failures[url] + 1
            if EJECT_AFTER and self._failures[url] >= EJECT_AFTER:
                self._back_at[url] = time.monotonic() + EJECT_S


members = Members(MEMBERS)


@app.get("/balancer/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
@app.route("/<path:path>", methods=["GET", "POST"])
def pass_on(path: str) -> Response:
    headers = {"Content-Type": request.content_type} if request.content_type else {}
    tried: list[str] = []
    answer = None
    while len(tried) < TRIES and (answer is None or answer.status in WORTH_ANOTHER_TRY):
        member = members.next(tried)
        tried.append(member)
        try:
            answer = http.request(
                request.method, f"{member}/{path}", body=request.get_data(), headers=headers, timeout=TIMEOUT_S
            )
        except urllib3.exceptions.HTTPError:
            members.report(member, reached=False)
        else:
            members.report(member, reached=True)
    if answer is None:
        return Response('{"error": "no member answered"}', 502, content_type="application/json")
    return Response(answer.data, answer.status, content_type=answer.headers.get("Content-Type"))


if __name__ == "__main__":
    serve(app, threads=24)
