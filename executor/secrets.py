"""Secrets at the moment of use. Only references are ever written down. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path

from executor.errors import UnavailableError
from executor.reading import read


def reveal(reference: str) -> str:
    """The secret behind ``env:NAME`` or ``file:/path``. Raises ``UnavailableError`` that names the reference."""
    kind, _, place = reference.partition(":")
    try:
        value = os.environ[place] if kind == "env" else read(Path(place)).decode().strip()
    except KeyError:
        raise UnavailableError(
            f"the environment variable {place} is not set.", where=reference, hint="Set it where murphy runs."
        ) from None
    except OSError as error:
        raise UnavailableError(f"the file cannot be read: {error.strerror}.", where=reference) from None
    except UnicodeDecodeError:
        raise UnavailableError("the file holds no UTF-8 text.", where=reference) from None
    if not value:  # a database library would take it for its defaults and go wherever those lead
        raise UnavailableError("is empty.", where=reference, hint="Set it where murphy runs.")
    return value
