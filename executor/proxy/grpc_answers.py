"""Answers to gRPC calls that the proxy gives for the callee. Standard library and vocabularies only.

Source: gRPC over HTTP/2 (PROTOCOL-HTTP2.md), "Responses": Trailers-Only, and how a message is percent-encoded.
"""

from __future__ import annotations

from typing import Final, get_args
from urllib.parse import quote

from executor.model.vocabulary import GrpcStatus

STATUSES: Final = {name: number for number, name in enumerate(get_args(GrpcStatus), start=1)}
"""Every status of gRPC that is an error, with its number."""
_AS_IT_IS: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")

Answer = list[tuple[bytes, bytes]]


def trailers_only(status: str, message: str) -> Answer:
    """The header block of an answer that has nothing but a status of gRPC and a message."""
    return [
        (b":status", b"200"),
        (b"content-type", b"application/grpc"),
        (b"grpc-status", str(STATUSES[status]).encode()),
        (b"grpc-message", quote(message, safe=_AS_IT_IS).encode()),
    ]


def trailers(status: str, message: str) -> Answer:
    """The header block that ends an answer of which something has been given."""
    return [field for field in trailers_only(status, message) if field[0].startswith(b"grpc-")]


def http_status(status: int) -> Answer:
    """The header block of what answers for a callee without knowing gRPC, as balancers do."""
    return [(b":status", str(status).encode()), (b"content-length", b"0")]
