"""Behaviours of the infrastructure layer. Standard library only."""

from __future__ import annotations

from executor.faults.behaviour import Behaviour
from executor.faults.infrastructure.chaos_mesh import ChaosMesh
from executor.faults.infrastructure.config import Config
from executor.faults.infrastructure.container import Container
from executor.faults.infrastructure.credentials import Credentials
from executor.faults.infrastructure.endpoints import Endpoints
from executor.faults.infrastructure.fis import Fis
from executor.faults.infrastructure.load_balancer import LoadBalancer
from executor.faults.infrastructure.network_policy import NetworkPolicy
from executor.faults.infrastructure.node import Node
from executor.faults.infrastructure.scale import Scale
from executor.faults.infrastructure.secret import Secret
from executor.faults.infrastructure.storage import Storage
from executor.faults.infrastructure.vm import Vm
from executor.faults.infrastructure.zone import Zone

BEHAVIOURS: tuple[Behaviour, ...] = (
    Container(),
    Vm(),
    Zone(),
    Node(),
    Scale(),
    NetworkPolicy(),
    Endpoints(),
    Secret(),
    ChaosMesh(),
    Fis(),
    Storage(),
    Credentials(),
    Config(),
    LoadBalancer(),
)
