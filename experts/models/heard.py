"""What has come of an answer so far, whichever provider sends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from experts.models.client import ProviderError, Reply, Usage

CHARACTERS_MAX = 400_000
"""Of one answer: many times what the tokens allow."""


@dataclass
class Heard:
    """Filled by a client while it reads; ``reply`` says what it amounts to."""

    usage: Usage | None = None
    declined: bool = False
    _pieces: list[str] = field(default_factory=list)
    _length: int = 0
    _ended: str = ""
    _cut: bool = False
    _filtered: bool = False

    def hear(self, piece: str | None) -> Iterator[str]:
        """The piece again, if there is something in it. Raises ``ProviderError`` if it is too much of it."""
        if piece:
            self._length += len(piece)
            if self._length > CHARACTERS_MAX:
                raise ProviderError(f"its answer is longer than {CHARACTERS_MAX:,} characters", retry=False, usage=None)
            self._pieces.append(piece)
            yield piece

    def end(self, why: str | None, *, cut: Sequence[str], filtered: Sequence[str] = ()) -> None:
        """Take the provider's word for why the answer ended, and its words for being cut off or filtered."""
        if why:
            self._ended, self._cut, self._filtered = why, why in cut, why in filtered

    def reply(self) -> Reply:
        """The whole answer. Raises ``ProviderError`` where there is none, or not all of one."""
        text = _whole("".join(self._pieces))
        if self.declined or self._ended == "refusal":
            raise ProviderError("it declined to answer", retry=False, usage=self.usage)
        if self._filtered:
            raise ProviderError("its provider's filter withheld the answer", retry=False, usage=self.usage)
        if not self._ended:
            raise ProviderError("its answer broke off", retry=True, usage=None)  # what was told so far is no bill
        if not text.strip():
            said = "it had used up its tokens before it said anything" if self._cut else "it answered nothing"
            raise ProviderError(said, retry=False, usage=self.usage)
        return Reply(text=text, usage=self.usage, cut=self._cut)


def _whole(text: str) -> str:
    """Text that can be kept: halves of a character that came apart are joined, and those alone replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
