"""Behaviours of the network layer. Standard library only."""

from __future__ import annotations

from executor.faults.behaviour import Behaviour
from executor.faults.network.bandwidth import Bandwidth
from executor.faults.network.connection_limit import ConnectionLimit
from executor.faults.network.corruption import Corruption
from executor.faults.network.dns import Dns
from executor.faults.network.duplicate_reorder import DuplicateReorder
from executor.faults.network.latency import Latency
from executor.faults.network.loss import Loss
from executor.faults.network.partition import Partition
from executor.faults.network.reset import Reset
from executor.faults.network.saturation import Saturation

BEHAVIOURS: tuple[Behaviour, ...] = (
    Latency(),
    Reset(),
    Partition(),
    Loss(),
    ConnectionLimit(),
    Bandwidth(),
    Corruption(),
    Dns(),
    Saturation(),
    DuplicateReorder(),
)
