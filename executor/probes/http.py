"""An HTTP request whose status and body say whether all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from executor.model.probe import HttpProbe

if TYPE_CHECKING:
    import httpx

BODY_BYTES_MAX = 4 * 1024 * 1024
"""More of an answer than this is not kept; text beyond it is not found."""


async def ask(probe: HttpProbe, client: httpx.AsyncClient) -> tuple[bool, int | None, str]:
    """Send the request and read the whole answer: (good, status, why not). Bounded by the caller's time-out."""
    import httpx

    headers = {"content-type": "application/json"} if probe.json_body is not None else {}
    try:
        async with client.stream(probe.method, probe.url, content=probe.json_body, headers=headers) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk[: max(0, BODY_BYTES_MAX - len(body))]
    except httpx.RemoteProtocolError as error:  # behind the colon it quotes what the server sent
        return False, None, f"{type(error).__name__}: {str(error).partition(':')[0]}"[:200]
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return False, None, f"{type(error).__name__}: {error}"[:200]
    if response.status_code not in probe.expect_status:
        return False, response.status_code, f"status {response.status_code}"
    if probe.expect_text is not None and probe.expect_text not in body.decode("utf-8", "replace"):
        return False, response.status_code, f"the body lacks {probe.expect_text!r}"[:200]
    return True, response.status_code, ""
