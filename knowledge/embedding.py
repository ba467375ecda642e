"""Text to a vector without any model: hashed words and pieces of words, and apart from them the known facts.

Deterministic on every machine, and nothing is ever downloaded. Why so: docs/decisions/embedding.md.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from knowledge.thesaurus import CONCEPTS

NAME = "murphy-hash"
VERSION = 1
"""Raise it whenever the same text would give another vector: the index is then built anew."""
WORD_DIMENSIONS = 256
FACT_DIMENSIONS = 128
DIMENSIONS = WORD_DIMENSIONS + FACT_DIMENSIONS
FACT_SHARE = 0.6
"""Share of the facts in the squared length of a vector that has both."""

FACT_WEIGHTS = {
    "weakness": 3.0,
    "kind": 1.5,
    "technology": 1.5,
    "protocol": 1.0,
    "role": 1.0,
    "shape": 1.0,
    "fault": 1.0,
    "caller_kind": 0.7,
    "caller_technology": 0.7,
    "criticality": 0.4,
    "redundant": 0.4,
}
"""Facts by key; others count 1."""
CONCEPT_WEIGHT = 1.2
"""Of a concept of ``knowledge.thesaurus`` that a word stands for."""
PIECE_WEIGHT = 0.35
"""Of a piece of a word beside the word itself: enough for ``timeouts`` to be near ``timeout``."""

_MEANS: dict[str, list[str]] = {}
for _concept, _listed in CONCEPTS.items():
    for _each in _listed.split():
        _MEANS.setdefault(_each, []).append(_concept)
_FACT = re.compile(r"([a-z_]+)=(\S+)")
_WORD = re.compile(r"[a-z][a-z0-9]+|\d+")
_JOINED = {"time out": "timeout", "time outs": "timeout", "fail over": "failover", "fall back": "fallback"}
_SAY_LITTLE = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be been but by can could did do does for from had has have if in into is it its not of on
        or so than that the their then there these they this to too under until up was were when where which while
        will with would""",
    )
)


def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """One row of length 1 for each text, shape (len(texts), ``DIMENSIONS``); an empty text gives a fixed direction.

    Lines that are just ``key=value`` are facts (see ``FACT_WEIGHTS``), all others are words.
    """
    rows = np.zeros((len(texts), DIMENSIONS), dtype=np.float64)
    for row, text in zip(rows, texts, strict=True):
        facts, words = _split(text)
        spoken = _block(_words(words), WORD_DIMENSIONS)
        known = _block(((f"{key}={value}", FACT_WEIGHTS.get(key, 1.0)) for key, value in facts), FACT_DIMENSIONS)
        row[:WORD_DIMENSIONS] = spoken * math.sqrt(1 - FACT_SHARE)
        row[WORD_DIMENSIONS:] = known * math.sqrt(FACT_SHARE)
        length = float(np.linalg.norm(row))
        if length:
            row /= length
        else:
            row[0] = 1.0
    return rows.astype(np.float32)


def embed_words(texts: Sequence[str], dimensions: int) -> npt.NDArray[np.float32]:
    """The same of words alone, in as many dimensions as wanted: for free text, which has no facts."""
    rows = np.zeros((len(texts), dimensions), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        row[:] = _block(_words(text), dimensions)
        if not row.any():
            row[0] = 1.0
    return rows


def stems(text: str) -> list[str]:
    """Its words in their order, without their endings and without those that say little."""
    return [_stem(word) for word in _written(text)]


def _split(text: str) -> tuple[list[tuple[str, str]], str]:
    facts, words = [], []
    for line in text.splitlines():
        fact = _FACT.fullmatch(line.strip())
        if fact:
            facts.append((fact[1], fact[2]))
        else:
            words.append(line)
    return facts, "\n".join(words)


def _words(text: str) -> Iterator[tuple[str, float]]:
    """Each different word, piece and pair of words once; its weight grows slowly with how often it is there."""
    written = _written(text)
    words = [_stem(word) for word in written]
    for concept, often in Counter(c for word in written for c in _MEANS.get(word, ())).items():
        yield f"c {concept}", CONCEPT_WEIGHT * (1 + math.log(often))
    for word, often in Counter(words).items():
        yield f"w {word}", 1 + math.log(often)
        pieces = list(_pieces(word))
        for piece in pieces:
            yield f"p {piece}", PIECE_WEIGHT * (1 + math.log(often)) / math.sqrt(len(pieces))
    for pair, often in Counter(pairwise(words)).items():
        yield f"b {pair[0]} {pair[1]}", 0.5 * (1 + math.log(often))


def _written(text: str) -> list[str]:
    plain = re.sub(r"[-_/]+", " ", text.lower())
    for apart, joined in _JOINED.items():
        plain = plain.replace(apart, joined)
    return [word for word in _WORD.findall(plain) if word not in _SAY_LITTLE]


def _stem(word: str) -> str:
    """English endings off, roughly: enough that ``retries`` meets ``retry``."""
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", "e"), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)] + instead
    return word


def _pieces(word: str) -> Iterable[str]:
    marked = f"<{word}>"
    return (marked[start : start + 4] for start in range(max(1, len(marked) - 3)))


def _block(features: Iterable[tuple[str, float]], dimensions: int) -> npt.NDArray[np.float64]:
    """Features hashed to signed places (collisions cancel on average), length 1, or all zero if there are none."""
    block = np.zeros(dimensions, dtype=np.float64)
    for feature, weight in features:
        number = _hash(feature)
        block[(number >> 1) % dimensions] += weight if number & 1 else -weight
    length = float(np.linalg.norm(block))
    return block / length if length else block


@lru_cache(maxsize=100_000)
def _hash(feature: str) -> int:
    return int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "big")
