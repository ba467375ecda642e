"""A SIMULATED Chaos Mesh: its resources are taken, begun, ended after their duration, and go when they are undone.

No pod is touched.
"""

from __future__ import annotations

import time
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.executor.faults.kube_fake.store import Store

Json = dict[str, Any]
DEFINITIONS = Path(__file__).parents[3] / "data" / "chaosmesh"
FINALIZER = "chaos-mesh/records"


@cache
def definitions() -> list[Json]:
    """The real resource definitions."""
    return [yaml.safe_load(file.read_text()) for file in sorted(DEFINITIONS.glob("*.yaml"))]


class ChaosMesh:
    """For ``Cluster.more``."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.plurals = [each["spec"]["names"]["plural"] for each in definitions()]
        self._begun: dict[str, float] = {}
        for each in definitions():
            store.create("customresourcedefinitions", deepcopy(each))

    def __call__(self) -> None:
        for plural in self.plurals:
            for each in self.store.all(plural):
                self._turn(plural, each)

    def _turn(self, plural: str, found: Json) -> None:
        about = found["metadata"]
        name, space = about["name"], about["namespace"]
        if "deletionTimestamp" in about:
            self.store.patch(plural, name, {"metadata": {"finalizers": None}}, space)
            return
        begun = self._begun.setdefault(about["uid"], time.monotonic())
        over = time.monotonic() - begun >= float(found["spec"]["duration"].removesuffix("s"))
        conditions = {"Selected": True, "AllInjected": not over, "AllRecovered": over, "Paused": False}
        status = {
            "conditions": [{"type": kind, "status": str(holds)} for kind, holds in conditions.items()],
            "experiment": {"desiredPhase": "Stop" if over else "Run"},
        }
        if FINALIZER not in about.get("finalizers", ()):
            self.store.patch(plural, name, {"metadata": {"finalizers": [FINALIZER]}}, space)
        if found.get("status") != status:
            self.store.patch(plural, name, {"status": status}, space, status=True)
