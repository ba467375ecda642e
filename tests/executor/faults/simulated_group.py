"""SIMULATED time that Auto Scaling groups take: moto's groups replace an instance at once, Amazon's do not.

Real are the requests, and that moto launches another by itself. Here what is launched is ``Pending`` at first, and in
service once its group has been looked at a few times. Its network card goes with it, as by Amazon's default.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup

LOOKS = 4


class SimulatedLaunches:
    """How long launches take, in looks at their group; ``stuck``: they never get in service."""

    def __init__(self) -> None:
        self.looks = 0
        self.stuck = False
        self._left: dict[str, int] = {}

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Takes its place in moto for a while."""
        launch, look = (
            FakeAutoScalingGroup.replace_autoscaling_group_instances,
            AutoScalingBackend.describe_auto_scaling_groups,
        )

        def launched(group: Any, *given: Any, **named: Any) -> None:
            before = set(map(id, group.instance_states))
            launch(group, *given, **named)
            for state in (each for each in group.instance_states if id(each) not in before):
                for card in state.instance.nics.values():
                    card.delete_on_termination = True  # Amazon's default; moto leaves a group's cards behind
                if self.looks or self.stuck:
                    state.lifecycle_state = "Pending"
                    self._left[state.instance_id] = self.looks

        def looked(backend: Any, *given: Any, **named: Any) -> Any:
            groups = look(backend, *given, **named)
            for state in (state for group in groups for state in group.instance_states):
                left = self._left.get(state.instance_id, 0)
                self._left[state.instance_id] = left - 1
                if state.lifecycle_state == "Pending" and left <= 0 and not self.stuck:
                    state.lifecycle_state = "InService"
            return groups

        with (
            patch.object(FakeAutoScalingGroup, "replace_autoscaling_group_instances", launched),
            patch.object(AutoScalingBackend, "describe_auto_scaling_groups", looked),
        ):
            yield
