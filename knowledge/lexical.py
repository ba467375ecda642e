"""Texts by the words that they share with a question: BM25 over an inverted index in memory."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

from knowledge.embedding import stems

K1 = 1.2
"""How soon a word that is there more often stops to count more."""
B = 0.75
"""How far long texts are taken to say a word by chance."""


class Lexical:
    """Texts by id, made once from all of them.

    Source: S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009); the inverse
    document frequency is that of Lucene, which is never negative.
    """

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        self._postings: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._lengths: dict[str, int] = {}
        for name, text in texts:
            words = Counter(stems(text))
            self._lengths[name] = sum(words.values())
            for word, often in words.items():
                self._postings[word].append((name, often))
        self._mean = sum(self._lengths.values()) / max(1, len(self._lengths)) or 1.0

    def scores(self, query: str) -> dict[str, float]:
        """Score of each text that shares a word with the query, > 0, more for a better one."""
        found: dict[str, float] = defaultdict(float)
        for word in set(stems(query)):
            postings = self._postings.get(word, ())
            rarity = math.log(1 + (len(self._lengths) - len(postings) + 0.5) / (len(postings) + 0.5))
            for name, often in postings:
                norm = K1 * (1 - B + B * self._lengths[name] / self._mean)
                found[name] += rarity * often * (K1 + 1) / (often + norm)
        return dict(found)
