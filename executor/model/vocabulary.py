"""The closed vocabularies that experts, beliefs, validators and reports share."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal


class Environment(StrEnum):
    """Where a system runs; decides which limits and which approvals apply."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class ServiceKind(StrEnum):
    """What a service is to its callers."""

    HTTP = "http"
    GRPC = "grpc"
    DATABASE = "database"
    CACHE = "cache"
    QUEUE = "queue"
    LOAD_BALANCER = "load_balancer"
    WORKER = "worker"
    EXTERNAL = "external"
    GENERIC = "generic"


class Weakness(StrEnum):
    """What can be wrong with a service or an edge. One meaning each; see docs/glossary.md."""

    SINGLE_POINT_OF_FAILURE = "single_point_of_failure"
    HARD_DEPENDENCY = "hard_dependency"
    MISSING_TIMEOUT = "missing_timeout"
    TIMEOUT_INVERSION = "timeout_inversion"
    MISSING_RETRY = "missing_retry"
    RETRY_STORM = "retry_storm"
    MISSING_CIRCUIT_BREAKER = "missing_circuit_breaker"
    MISSING_BULKHEAD = "missing_bulkhead"
    POOL_EXHAUSTION = "pool_exhaustion"
    COLD_CACHE_OVERLOAD = "cold_cache_overload"
    SLOW_OR_MISSING_RECOVERY = "slow_or_missing_recovery"
    DOES_NOT_RECONNECT = "does_not_reconnect"
    DETECTION_BLIND_SPOT = "detection_blind_spot"
    LOAD_BALANCER_KEEPS_DEAD_MEMBER = "load_balancer_keeps_dead_member"
    INCONSISTENT_AFTER_CRASH = "inconsistent_after_crash"
    UNUSABLE_BACKUP = "unusable_backup"
    STALE_CREDENTIALS = "stale_credentials"
    STALE_NAME_RESOLUTION = "stale_name_resolution"
    RESOURCE_LEAK_UNDER_FAILURE = "resource_leak_under_failure"
    CAPACITY_CLIFF = "capacity_cliff"
    NO_GRACEFUL_DEGRADATION = "no_graceful_degradation"


class Verdict(StrEnum):
    """What an experiment says of a hypothesis. ``breaks`` means the weakness was seen."""

    HOLDS = "holds"
    BREAKS = "breaks"
    INCONCLUSIVE = "inconclusive"
    ABORTED = "aborted"


class Severity(StrEnum):
    """How much a finding matters: from the criticality of what was hurt and how badly."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Phase(StrEnum):
    """The parts of one trial, in order."""

    BASELINE = "baseline"
    FAULT = "fault"
    RECOVERY = "recovery"


class Scope(StrEnum):
    """How far a fault reaches. Whatever shares that with what a plan names is struck too, and counts as struck."""

    TARGET = "target"
    """What is named, and what lives in it: a process's children, what shares a container's network, a machine's all."""
    CALLERS = "callers"
    """The caller of an edge, and who else calls by the same line."""
    SERVICE = "service"
    """Every instance of the service."""
    MEMBER = "member"
    """One of those that a load balancer leads to; nobody can tell which."""
    MEMBERS = "members"
    """All that a load balancer leads to."""
    MACHINE = "machine"
    """All on the same machine: host or node."""
    NETWORK = "network"
    """All in the same network namespace, unless that is this machine's own."""
    VOLUME = "volume"
    """All with files on the volume of the fault's path."""
    DIRECTORY = "directory"
    """All with files in the directory of the fault's path."""
    SERVER = "server"
    """All with data on the same server."""
    SETTINGS = "settings"
    """All that read the same file of settings or the same Secret, or are backed up to the same place."""


class FaultType(StrEnum):
    """What a fault looks like to those who meet it, which decides the weaknesses that it can reveal."""

    DEAD = "dead"
    STOPPED = "stopped"
    REFUSED = "refused"
    SILENT = "silent"
    SLOW = "slow"
    SLUGGISH = "sluggish"
    SERVER_ERROR = "server_error"
    CLIENT_ERROR = "client_error"
    MALFORMED = "malformed"
    INTERMITTENT = "intermittent"
    SESSIONS_LOST = "sessions_lost"
    LOCKED = "locked"
    COLD = "cold"
    STARVED_CPU = "starved_cpu"
    STARVED_MEMORY = "starved_memory"
    STARVED_DISK = "starved_disk"
    STARVED_HANDLES = "starved_handles"
    CLOCK_WRONG = "clock_wrong"
    MISCONFIGURED = "misconfigured"
    CONNECTIONS_TAKEN = "connections_taken"
    UNRESOLVED = "unresolved"
    UNPLACEABLE = "unplaceable"
    STALE = "stale"
    REHEARSED = "rehearsed"


GrpcStatus = Literal[
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]
"""Every status of gRPC that is an error, in the order of their numbers, which begin with 1."""
