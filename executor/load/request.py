"""The request that is sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """One request of HTTP/1.1, and where it goes. All text but the body is plain ASCII."""

    address: str
    port: int
    method: str = "GET"
    path: str = "/"
    body: str = ""
    content_type: str = "application/json"

    def encoded(self, *, keep_alive: bool) -> bytes:
        """Its bytes. One that may have a body says its length, also where that is 0."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        body = self.body.encode()
        head = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}:{self.port}", "User-Agent: murphy"]
        if not keep_alive:
            head.append("Connection: close")
        if body:
            head.append(f"Content-Type: {self.content_type}")
        if self.method in ("POST", "PUT", "PATCH"):
            head.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*head, "\r\n"]).encode("ascii") + body
