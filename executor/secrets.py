"""Secrets at the moment of use, and what looks like one. Only references are written down. Standard library only."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from executor.errors import UnavailableError
from executor.state.reading import read

_NAMED = re.compile(
    r"(?:password|passwd|passphrase|secret|token|credentials?|requirepass|masterauth|authorization"
    r"|(?:api|access|private|secret)[-_.]?key|(?:^|[-_.])(?:pass|pwd|auth))$",
    re.IGNORECASE,
)
"""Names of options, variables and parameters whose value is one."""
_FORMED = re.compile(
    r"[a-z][a-z0-9+.-]*(?:(?<!ssh)(?<!ssh2)(?<!\+tls)://|://[^/\s@]*:)[^/\s@]*@"  # a user or password in an address;
    # a user alone is none where keys and certificates let in
    r"|\b(?:sk-[\w-]{16,}|gh[pousr]_\w{20,}|AKIA[0-9A-Z]{16}|xox[abprs]-\S+|eyJ[\w-]{10,}\.[\w-]+\.[\w-]+)",
    re.IGNORECASE,
)

_APART = re.compile(r"[\s?&]+")
"""Between the words of a text, and the parameters of an address."""


def named_secret(name: str) -> bool:
    """Whether what bears this name is a secret: ``--db-password``, ``API_KEY``, ``token``."""
    return _NAMED.search(name.lstrip("-")) is not None


def plain(arguments: Iterable[str]) -> Iterator[str]:
    """A command line's arguments without those that look like secrets, by their form or by their option's name.

    An argument of several words, as a shell is given, is a command line of its own.
    """
    follows = False
    for argument in arguments:
        words = _APART.split(argument)
        name, sign, value = argument.partition("=")
        option = argument.startswith("-")  # a bare word is what it is: a service may be called auth
        named = bool(value if sign else option) and len(words) == 1 and named_secret(name)
        within = len(words) > 1 and look_secret(words)
        secret = follows or named or within or _FORMED.search(argument) is not None
        follows = named and not follows and not sign
        if not secret:
            yield argument


def look_secret(arguments: Iterable[str]) -> bool:
    """Whether any of a command line's arguments looks like a secret."""
    given = list(arguments)
    return list(plain(given)) != given


def body_secret(body: str) -> bool:
    """Whether a request's body looks as if it held a secret: by a name in its JSON or form, or by a value's form."""
    try:
        left = [json.loads(body)]
    except (ValueError, RecursionError):
        return look_secret((body,))
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if any(named_secret(name) and each not in (None, "") for name, each in value.items()):
                return True
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str) and look_secret((value,)):
            return True
    return False


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
