"""An HTTP request whose status and body say whether all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor.model.probe import HttpProbe
from executor.probes.answer import Outcome

if TYPE_CHECKING:
    import httpx

BODY_BYTES_MAX = 4 * 1024 * 1024
"""More of an answer than this is not kept; text beyond it is not found."""
BY_MAX = 100
"""Characters kept of the name of who answered."""


async def ask(probe: HttpProbe, client: httpx.AsyncClient) -> Outcome:
    """Send the request and read the whole answer. Bounded by the caller's time-out."""
    import httpx

    headers = {"content-type": "application/json"} if probe.json_body is not None else {}
    try:
        async with client.stream(probe.method, probe.url, content=probe.json_body, headers=headers) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk[: max(0, BODY_BYTES_MAX - len(body))]
    except httpx.RemoteProtocolError as error:  # behind the colon it quotes what the server sent
        return Outcome(False, None, f"{type(error).__name__}: {str(error).partition(':')[0]}"[:200])
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return Outcome(False, None, f"{type(error).__name__}: {error}"[:200])
    wrong = _wrong(probe, response.status_code, body)
    by = response.headers.get(probe.answered_by, "") if probe.answered_by else ""
    named = "".join(filter(str.isprintable, by))[:BY_MAX]
    return Outcome(not wrong, response.status_code, wrong, named, bytes(body))


def _wrong(probe: HttpProbe, status: int, body: bytearray) -> str:
    """What keeps an answer from being good, in words; empty: nothing."""
    if status not in probe.expect_status:
        return f"status {status}"
    wanted, unwanted = probe.expect_text, probe.expect_no_text
    text = "" if wanted is unwanted is None else body.decode("utf-8", "replace")
    if wanted is not None and wanted not in text:
        return f"the body lacks {wanted!r}"[:200]
    if unwanted is not None and unwanted in text:
        return f"the body holds {unwanted!r}"[:200]
    if unwanted is not None and len(body) >= BODY_BYTES_MAX:
        return "the body is too long to say that it lacks a text"
    return ""
