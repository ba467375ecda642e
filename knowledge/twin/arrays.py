"""Arrays of the twin. Shapes are (places, worlds) unless said otherwise; shares are 0–1, latencies milliseconds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]


def places(values: object) -> Places:
    """Indices as an array, also if there are none."""
    return np.asarray(values, dtype=np.intp).reshape(-1)
