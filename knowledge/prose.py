"""Which embedding passages of documents get: a small language model's where one is installed, else wide hashing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from knowledge import embedding, minilm

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
WIDE: Final = 2048
"""Places that words are hashed to: a passage has hundreds of words, pieces and pairs, which must not collide."""


@dataclass(frozen=True)
class Prose:
    """An embedding of free text. With another name, version or number of dimensions, all vectors are made anew."""

    name: str
    version: int
    dimensions: int
    embed: Embed
    weight: float
    """What its ranking counts beside that of words, which counts 1."""
    near_min: float
    """Cosine below which two texts are taken to have nothing in common."""


MODEL: Final = Prose(minilm.NAME, minilm.VERSION, minilm.DIMENSIONS, minilm.embed, weight=4.0, near_min=0.2)
HASHED: Final = Prose(
    f"{embedding.NAME}-wide",
    embedding.VERSION,
    WIDE,
    lambda texts: embedding.embed_words(texts, WIDE),
    weight=0.5,
    near_min=0.1,
)
"""Both weights are those that ``python -m bench.retrieval`` has best; see docs/decisions/embedding.md."""


def prose() -> Prose:
    """The one in use."""
    return MODEL if minilm.installed() else HASHED
