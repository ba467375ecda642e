"""How both SDKs reach their servers: no redirects, nothing larger or longer than asked for, and errors in our words."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx2

from experts.models.client import NOTHING, ProviderError, refused

BYTES_MAX = 8_000_000
"""Of one answer on the wire. A stream spells each token in some hundred bytes."""
CONNECT_S = 10.0
_NEEDED = frozenset(
    (
        *("host", "connection", "user-agent", "accept", "accept-encoding"),
        *("content-type", "content-length", "anthropic-version"),
    )
)


class Wire:
    """The limits of one call. Make one for each: its deadline begins to run at once."""

    def __init__(self, sdk: Any, timeout_s: float, bare_key: str | None = None) -> None:
        """``bare_key``: send this key, and no header that was meant for the provider's own address."""
        self._sdk = sdk
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s
        self._bare_key = bare_key
        self._watched: list[tuple[threading.Timer, socket.socket]] = []
        self._too_long = False

    @property
    def timeout(self) -> httpx2.Timeout:
        """For each single wait; the deadline is kept beside it."""
        connect = min(CONNECT_S, self._timeout_s / 2)
        return httpx2.Timeout(self._timeout_s, connect=connect, pool=connect)

    @property
    def options(self) -> dict[str, Any]:
        """For the SDK's own kind of HTTP client, which knows about proxies and certificates.

        A redirect would carry prompt and key to somebody nobody named.
        """
        return {
            "follow_redirects": False,
            "timeout": self.timeout,
            "event_hooks": {"request": [self._asking], "response": [self._answering]},
        }

    def close(self) -> None:
        """End what watches the deadline. Idempotent."""
        for timer, connection in self._watched:
            timer.cancel()
            connection.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Whatever goes wrong in there becomes a ``ProviderError``."""
        try:
            yield
        except ProviderError:
            raise
        except RecursionError:
            raise ProviderError("its answer cannot be read (RecursionError)", retry=False, usage=None) from None
        except (
            httpx2.HTTPError,
            OSError,
            _root(self._sdk),
            ValueError,
            TypeError,
            AttributeError,
            LookupError,
        ) as error:
            raise self._explain(error) from None

    def _explain(self, error: Exception) -> ProviderError:
        sdk = self._sdk
        unheard = isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
        usage = NOTHING if unheard else None
        if self._too_long:
            return ProviderError(f"its answer is longer than {BYTES_MAX:,} bytes", retry=False, usage=None)
        if isinstance(error, sdk.APITimeoutError | httpx2.TimeoutException) or time.monotonic() >= self._deadline:
            return ProviderError(f"no answer within {self._timeout_s:g} s", retry=True, usage=usage)
        if isinstance(error, sdk.APIStatusError):
            status = error.status_code
            if status >= 300:
                return refused(status, error.response.headers)
            return ProviderError("it broke off with an error", retry=True, usage=None)
        if isinstance(error, sdk.APIConnectionError | httpx2.HTTPError | OSError):
            kind = type(error.__cause__ or error).__name__
            return ProviderError(f"the connection failed ({kind})", retry=True, usage=usage)
        if type(error) is sdk.APIError:  # what an event in a stream says
            return ProviderError("it broke off with an error", retry=True, usage=None)
        return ProviderError(f"its answer cannot be read ({type(error).__name__})", retry=True, usage=None)

    def _asking(self, request: httpx2.Request) -> None:
        request.extensions["trace"] = self._happening
        request.headers["accept-encoding"] = "identity"  # a few packed bytes could become gigabytes
        if self._bare_key is None:
            return
        for name in [name for name in request.headers if name.lower() not in _NEEDED]:
            del request.headers[name]
        request.headers["authorization"] = f"Bearer {self._bare_key}"

    def _answering(self, response: httpx2.Response) -> None:
        response.headers.pop("content-encoding", None)
        response.stream = _Bounded(response.stream, self._overrun)

    def _happening(self, _event: str, about: dict[str, Any]) -> None:
        """Watch each connection from its beginning: a handshake and a head can be sent as slowly as an answer."""
        find = getattr(about.get("return_value"), "get_extra_info", None)
        found = find("socket") if find is not None else None
        if type(found) is socket.socket:  # TLS, which begins later, takes this one over and has none of its own
            held = found.dup()
            timer = threading.Timer(max(0.0, self._deadline - time.monotonic()), _hang_up, (held,))
            timer.daemon = True
            self._watched.append((timer, held))
            timer.start()

    def _overrun(self, read: int) -> None:
        if read > BYTES_MAX:
            self._too_long = True
            raise httpx2.ReadError("too long")
        if time.monotonic() >= self._deadline:
            raise httpx2.ReadTimeout("too late")


class _Bounded(httpx2.SyncByteStream):
    """A stream that is asked after each piece whether it may go on."""

    def __init__(self, stream: Any, overrun: Callable[[int], None]) -> None:
        self._stream = stream
        self._overrun = overrun

    def __iter__(self) -> Iterator[bytes]:
        read = 0
        for piece in self._stream:
            read += len(piece)
            self._overrun(read)
            yield piece

    def close(self) -> None:
        self._stream.close()


def _hang_up(connection: socket.socket) -> None:
    """End a read that waits in another thread, which closing alone does not."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _root(sdk: Any) -> type[Exception]:
    """The root of an SDK's own errors."""
    found: type[Exception] = getattr(sdk, "OpenAIError", None) or sdk.AnthropicError
    return found
