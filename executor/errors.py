"""Errors by who must act. Each is one sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

from typing import Literal

_LONGEST = 1000
"""Characters of one part of a sentence. Files that are quoted in it may hold anything."""


def plain(text: str) -> str:
    """Text that can be kept: half of a character, as in a file's name that is no text, becomes an escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class MurphyError(Exception):
    """Any error that reaches a person: ``message`` says what and where, ``hint`` what to do."""

    exit_code = 5

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.where, self.hint = map(_readable, map(plain, (message, where, hint)))

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{where}{self.message}{hint}"


def _readable(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 200]} … {text[-200:]}"


class InputError(MurphyError):
    """The author of a plan, system or limits file must act. Nothing was done."""

    exit_code = 2


class UnavailableError(MurphyError):
    """The environment lacks something: a process is gone, a server does not answer, a privilege is missing."""

    exit_code = 2


class FaultGoneError(UnavailableError):
    """A fault ended before its time, with what carried it: what is seen from now on is not what it does."""


class RateNotReachedError(UnavailableError):
    """Load could not be generated at the rate that was asked for: what was measured is no answer to that rate."""

    def __init__(
        self,
        wanted_rps: float,
        reached_rps: float,
        by: Literal["generator", "concurrency"],
        *,
        why: str,
        hint: str = "",
    ) -> None:
        """``by``: whether the generator itself was too slow, or more requests under way than it may have."""
        super().__init__(
            f"of {wanted_rps:,.0f} requests/s only {reached_rps:,.0f} were sent in time: {why}.", hint=hint
        )
        self.wanted_rps = wanted_rps
        self.reached_rps = reached_rps
        self.by = by


class SafetyRefusalError(MurphyError):
    """A safety rule says no: which rule, what was measured, the limit, what would pass. Nothing was injected."""

    exit_code = 3

    def __init__(self, rule: str, *, measured: str, limit: str, hint: str) -> None:
        super().__init__(f"refused by {rule}: {measured}, and the limit is {limit}.", hint=hint)
        self.rule = rule
        self.measured = measured
        self.limit = limit


class StoppedError(MurphyError):
    """A run was stopped before it began. Nothing was touched, and its approval is as it was."""

    exit_code = 130


class OwedRevertError(MurphyError):
    """A fault could not be undone and is still owed; the message names what is left behind."""

    exit_code = 4


def words_of(error: Exception) -> str:
    """Any error in one sentence: ours as it is, another's with its kind."""
    return plain(str(error) if isinstance(error, MurphyError) else f"{type(error).__name__}: {error}")
