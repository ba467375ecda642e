"""Embeddings to compare: ours, LSA of the corpus itself, and two with weights that come in a package from PyPI.

The packages are needed for the comparison only; what is not installed is left out, and said.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from knowledge import minilm
from knowledge.embedding import embed, stems
from knowledge.prose import HASHED, MODEL

Vectors = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]
TOPICS = 100


def ours(_corpus: Sequence[str]) -> Embed:
    """Hashed words, pieces, pairs and concepts; no model."""
    return embed


def lsa(corpus: Sequence[str]) -> Embed:
    """TF-IDF of the corpus's stems and its first singular vectors, as scikit-learn's TruncatedSVD would give them."""
    words = sorted({word for text in corpus for word in stems(text)})
    place = {word: n for n, word in enumerate(words)}
    counts = np.zeros((len(corpus), len(words)))
    for row, text in enumerate(corpus):
        for word, often in Counter(stems(text)).items():
            counts[row, place[word]] = 1 + np.log(often)
    rarity = np.log((1 + len(corpus)) / (1 + (counts > 0).sum(axis=0))) + 1
    _, _, topics = np.linalg.svd(_unit(counts * rarity), full_matrices=False)
    topics = topics[: min(TOPICS, len(topics))]

    def made(texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), len(words)))
        for row, text in enumerate(texts):
            for word, often in Counter(stems(text)).items():
                if word in place:
                    rows[row, place[word]] = 1 + np.log(often)
        return _unit(_unit(rows * rarity) @ topics.T).astype(np.float32)

    return made


def wide(_corpus: Sequence[str]) -> Embed:
    """The same of words alone, in more dimensions: what passages get where no model is installed."""
    return HASHED.embed


def model(_corpus: Sequence[str]) -> Embed | None:
    """MiniLM-L6 in int8: what passages get with the extra ``semantic``."""
    return MODEL.embed if minilm.installed() else None


def wordllama(_corpus: Sequence[str]) -> Embed | None:
    """WordLlama: static vectors of tokens, their mean (``pip install --no-deps wordllama`` and safetensors)."""
    weights = _file("wordllama", "weights/l2_supercat_256.safetensors")
    words = _file("wordllama", "tokenizers/l2_supercat_tokenizer_config.json")
    if weights is None or words is None:
        return None
    from tokenizers import Tokenizer

    table = _safetensors(weights)
    tokenizer = Tokenizer.from_file(str(words))

    def made(texts: Sequence[str]) -> Vectors:
        means = [
            table[[i for i in each.ids if i < len(table)] or [0]].mean(axis=0)
            for each in tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ]
        return _unit(np.array(means)).astype(np.float32)

    return made


MADE: dict[str, Callable[[Sequence[str]], Embed | None]] = {
    "hashing": ours,
    "wide hashing": wide,
    "LSA of the corpus": lsa,
    "WordLlama (static)": wordllama,
    "MiniLM-L6 int8": model,
}


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length == 0, 1, length)


def _file(package: str, name: str) -> Path | None:
    """A package's file, without importing the package."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / name
    return path if path.is_file() else None


def _safetensors(path: Path) -> npt.NDArray[np.float64]:
    """The one matrix of a file: eight bytes of length, a header of JSON, the numbers."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    (about,) = [value for name, value in json.loads(content[8:start]).items() if name != "__metadata__"]
    kind = {"F16": np.float16, "F32": np.float32}[about["dtype"]]
    begin, end = about["data_offsets"]
    return np.frombuffer(content[start + begin : start + end], kind).reshape(about["shape"]).astype(np.float64)
