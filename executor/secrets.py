"""Secrets at the moment of use, and what looks like one. Only references are written down. Standard library only."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from executor.errors import UnavailableError
from executor.state.reading import read

_NAMED = re.compile(
    r"(?:password|passwd|passphrase|passcode|secret|token|jwt|credentials?|requirepass|masterauth|authorization"
    r"|(?:api|access|private|secret|account|master|shared|encryption|signing)[-_.]?key"
    r"|(?:^|[-_.])(?:pass|pwd|pw|auth)|(?-i:(?<=[a-z0-9])(?:Pass|Pwd|Pw)))$",
    re.IGNORECASE,
)
"""Names of options, variables and parameters whose value is one."""
FORMED = re.compile(
    r"[a-z][a-z0-9+.-]{0,40}(?:(?<!ssh)(?<!ssh2)(?<!\+tls)://|://[^/\s@]*:)[^/\s@]*@"
    # a user or password in an address; a user alone is none where keys and certificates let in
    r"|\b(?:sk-[\w-]{16,}|gh[pousr]_\w{20,}|AKIA[0-9A-Z]{16}|xox[abprs]-\S+|eyJ[\w-]{10,2000}\.[\w-]+\.[\w-]+)",
    re.IGNORECASE,
)
"""What is one by its form, wherever it stands."""
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
        secret = follows or named or within or any(form.search(argument) for form in (FORMED, TOKEN))
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


REDACTED = "[redacted]"
PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|\Z)", re.DOTALL
)
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----\Z")
TOKEN = re.compile(
    r"\b(?:AIza[\w-]{30,}|ya29\.[\w.-]{20,}|glpat-[\w-]{16,}|gho_\w{20,}|github_pat_\w{20,}|hf_[A-Za-z0-9]{20,}"
    r"|npm_[A-Za-z0-9]{20,}|pypi-[\w-]{20,}|dop_v1_\w{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|[sr]k_(?:live|test)_\w{12,}"
    r"|ASIA[A-Z0-9]{12,}|vault:v\d+:\S+|hvs\.[\w-]{20,}|AGE-SECRET-KEY-1\w+|xapp-\d+-\w+-\d+-\w+)"
)
"""Keys of providers, by their form."""
_VALUE = r"""(?:"[^"\n]{0,400}"|'[^'\n]{0,400}'|`[^`\n]{0,400}`|[^\s"'`<>|,;)\]}]+)"""
IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    (PRIVATE_KEY, ""),
    (TOKEN, ""),
    (re.compile(r"(?<![\w-])(curl\b[^\n]{0,300}?\s(?:-u|--user)[ =])\S+", re.IGNORECASE), r"\1"),
    (re.compile(r"(?<![\w-])((?:mysql|mariadb)[\w-]{0,20}\b[^\n]{0,300}?\s-p)[^\s\"'`]+"), r"\1"),
    (re.compile(r"\b((?:Set-)?Cookie:\s*)[^\n\"'`]+", re.IGNORECASE), r"\1"),
    (re.compile(r"\b(IDENTIFIED\s+BY\s+)(?:'[^'\n]{1,400}'|\"[^\"\n]{1,400}\")", re.IGNORECASE), r"\1"),
    (re.compile(r"\b(Bearer|Basic(?=\s+\S{0,400}[\d=]))\s+[\w.~+/=-]{8,}", re.IGNORECASE), r"\1 "),
    (  # "the password is hunter2": prose goes on after "is", so only what looks made up, or is marked as code
        re.compile(
            r"\b((?:password|passphrase|passwd|pwd|token|secret|api[ -]?key)\s+(?:(?:is|was)\b|->|→)\s*:?\s*)"
            r"""("[^"\n]{1,400}"|'[^'\n]{1,400}'|`[^`\n]{1,400}`|(?=[^\s]{0,400}\d)[^\s,;]{4,})""",
            re.IGNORECASE,
        ),
        r"\1",
    ),
)
"""What is one in a free text, and what of the match is none, as a template."""
_GIVEN = re.compile(
    r"""(?<![\w.-])(?P<name>-{0,2}[A-Za-z_][\w.-]*)["'`]?(?P<sign>[ \t]*[=:|][ \t]*|[ \t]+(?=[^\s=:|-]))"""
)
"""A name and the sign after it: in settings, JSON, YAML, a table's row, or as an option's word."""
_GIVEN_VALUE = re.compile(_VALUE)
_MADE_UP = re.compile(r"""["'](?!\s)|(?=\S{0,400}\d)(?=\S{0,400}[A-Za-z])\S{6,}""")
"""What after a name alone is its value: ``password 'x y'``, ``requirepass Ab3def``."""
_NO_VALUES = frozenset({"", "none", "null", "true", "false"})


def redacted(text: str) -> str:
    """A free text (a runbook, a log) with ``[redacted]`` in the place of whatever looks like a secret.

    By the same names and forms as elsewhere; in doubt too much is taken out. The lines stay the same lines.
    """
    for form, kept in IN_TEXT:
        text = form.sub(partial(_replaced, kept + REDACTED), text)
    return FORMED.sub(_without_user, "".join(_without_values(text)))


def open_key(text: str) -> str:
    """How a private key begins that has no end in this text, and goes on in what follows it; empty: there is none."""
    last = [found[0] for found in PRIVATE_KEY.finditer(text)][-1:]
    return "".join(key.splitlines()[0] for key in last if not _KEY_ENDS.search(key))


def _replaced(instead: str, found: re.Match[str]) -> str:
    return found.expand(instead) + "\n" * found[0].count("\n")


def _without_values(text: str) -> Iterator[str]:
    done = 0
    for given in _GIVEN.finditer(text):
        option = given["name"].startswith("-")  # "the token bucket" names no token; "--token abc" does
        if given.start() < done or not named_secret(given["name"]):
            continue
        value = _GIVEN_VALUE.match(text, given.end())
        if not (given["sign"].strip() or option or (value and _MADE_UP.match(value[0]))):
            continue
        if value and value[0].strip("\"'`").lower() not in _NO_VALUES and not REDACTED.startswith(value[0]):
            yield text[done : given.end()]
            yield REDACTED
            done = value.end()
    yield text[done:]


def _without_user(found: re.Match[str]) -> str:
    scheme, sign, _ = found[0].partition("://")
    return f"{scheme}{sign}{REDACTED}@" if sign else REDACTED


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
