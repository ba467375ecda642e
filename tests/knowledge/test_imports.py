"""What is heavy loads only where it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = "beliefs", "findings", "neighbours", "features", "topology.live", "topology.annotations", "topology.exercise"


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (LIGHT, ("sqlalchemy", "chromadb", "numpy", "httpx")),
        (("ledger", "memory"), ("chromadb", "onnxruntime")),
        (("vectors",), ("onnxruntime",)),
    ],
)
def test_importing_a_module_does_not_load_what_it_may_never_need(modules: tuple[str, ...], absent: tuple[str, ...]):
    code = "import sys\n" + "\n".join(f"import knowledge.{module}" for module in modules)
    code += f"\nprint(*(name for name in {absent!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.split() == []
