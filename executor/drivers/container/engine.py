"""Asking an engine of containers, by Docker's SDK, which is loaded only when one is asked."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from executor import extras
from executor.errors import UnavailableError

_ANSWER_S = 8.0
_PODMAN = "Podman Engine"
_versions: dict[str, str] = {}
"""Of the engines that this process has asked, by URL: to tell it takes an engine longer than most of what it does."""


class NotThereError(UnavailableError):
    """The engine answers, and has no such container or network."""


@contextmanager
def engine(url: str) -> Iterator[Any]:
    """A client of the engine at ``url``, closed at the end; ``DOCKER_CERT_PATH`` says where keys for TLS are.

    Raises ``NotThereError`` for what the engine does not have, ``UnavailableError`` for whatever else goes wrong in it.
    """
    try:
        from docker import APIClient
        from docker.errors import APIError, DockerException, NotFound
        from docker.utils import kwargs_from_env
        from requests import RequestException
    except ImportError:
        raise UnavailableError(extras.absent("docker")) from None

    try:
        _knock(url)
        reached = kwargs_from_env({**os.environ, "DOCKER_HOST": url})
        version = _versions.get(url, "auto")
        with closing(APIClient(version=version, timeout=_ANSWER_S, use_ssh_client=True, **reached)) as client:
            _versions[url] = client.api_version
            yield client
    except NotFound as error:
        raise NotThereError(f"the engine says: {_line(error.explanation)}.", where=url) from None
    except APIError as error:
        raise UnavailableError(f"the engine says: {_line(error.explanation)}.", where=url) from None
    except (DockerException, RequestException, OSError) as error:
        hint = "Start it, or run Murphy as a user who may use it."
        raise UnavailableError(f"the engine cannot be asked: {_line(error)}.", where=url, hint=hint) from None


def is_podman(url: str) -> bool:
    """Whether it is Podman that answers as Docker would. Raises ``UnavailableError`` if nobody does."""
    with engine(url) as client:
        return any(part["Name"] == _PODMAN for part in client.version().get("Components") or ())


def _knock(url: str) -> None:
    """See that somebody listens: the SDK would leave its socket open where nobody does. Raises ``OSError``."""
    if url.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(url.removeprefix("unix://"))


def inspected(url: str, container: str) -> Mapping[str, Any] | None:
    """All that the engine knows of a container, by name or id; ``None`` if it has none such.

    Raises ``UnavailableError`` if the engine does not answer.
    """
    try:
        with engine(url) as client:
            found: Mapping[str, Any] = client.inspect_container(container)
            return found
    except NotThereError:
        return None


def _line(said: object) -> str:
    return " ".join(str(said).split()).rstrip(".")
