"""How people write of weaknesses, technologies, kinds of services and kinds of faults: as regular expressions."""

from __future__ import annotations

from typing import Final

WEAKNESSES: Final[dict[str, tuple[str, ...]]] = {
    "single_point_of_failure": (
        "single points? of failure",
        r"\bspof\b",
        "only one (?:instance|replica|copy)",
        "no (?:replica|standby)",
    ),
    "hard_dependency": (
        "hard dependenc",
        "soft dependenc",
        "cannot (?:work|serve|start) without",
        r"takes? (?:\S+ ){0,3}down with it",
        "must not depend",
    ),
    "missing_timeout": (
        r"(?:no|without|missing|lacks? an?|infinite|unbounded) (?:\S+ ){0,2}time-?\s?outs?",
        "hangs? (?:for ever|forever|indefinitely)",
        "waits? (?:for ever|forever|indefinitely|without end)",
    ),
    "timeout_inversion": (
        r"time-?\s?outs? inver",
        "gives? up before",
        r"shorter than (?:\S+ ){0,4}time-?\s?out",
        r"time-?\s?outs? (?:\S+ ){0,4}longer than",
    ),
    "missing_retry": (r"(?:no|without|never|does not|did not) (?:\S+ )?retr(?:y|ies|ied)",),
    "retry_storm": (
        "retry storms?",
        "retry amplification",
        "metastable",
        "thundering herd",
        r"retries (?:\S+ ){0,3}(?:multipl|amplif|flood)",
    ),
    "missing_circuit_breaker": ("circuit.?breakers?",),
    "missing_bulkhead": (
        "bulkheads?",
        "noisy neighbou?r",
        r"starv(?:es?|ed|ing) (?:\S+ ){0,3}(?:requests|endpoints|operations)",
    ),
    "pool_exhaustion": (
        "(?:connection|thread|worker)s? pools?",
        "pool (?:is |was )?(?:exhaust|full|empty)",
        "too many (?:clients|connections)",
    ),
    "cold_cache_overload": (
        "cold caches?",
        "cache stampede",
        "cache (?:is |was )?(?:empty|flushed)",
        "warm.?up",
    ),
    "slow_or_missing_recovery": (
        "(?:did|does|do) not recover",
        "never recover",
        "slow recovery",
        "recovery (?:took|takes)",
        "stayed down",
    ),
    "does_not_reconnect": (
        "reconnect",
        "stale connections?",
        "broken connections?",
    ),
    "detection_blind_spot": (
        "health.?checks?",
        "blind spots?",
        "no alerts?",
        "nobody (?:noticed|was paged)",
        "not alerted",
    ),
    "load_balancer_keeps_dead_member": (
        "dead (?:members?|backends?|upstreams?)",
        "out of rotation",
        "still routed",
        "ejects?",
    ),
    "inconsistent_after_crash": (
        "inconsisten",
        "lost (?:writes?|orders?|updates?|messages?)",
        "duplicate[sd]?",
        "half.?written",
        "data loss",
    ),
    "unusable_backup": (
        "back-?ups?",
        "restores?",
        "point.in.time",
    ),
    "stale_credentials": (
        "credentials?",
        "certificates?",
        "rotat(?:e[sd]?|ion|ing)",
        "expired? (?:tokens?|keys?)",
    ),
    "stale_name_resolution": (
        r"\bdns\b",
        "name resolution",
        "resolver",
        "old (?:ip|address)",
    ),
    "resource_leak_under_failure": (
        r"leaks?\b",
        "file descriptors?",
        "out of memory",
        r"\boom",
    ),
    "capacity_cliff": (
        "overload",
        "capacity",
        "saturat",
        "throughput (?:collapse|fell)",
        "load shed",
    ),
    "no_graceful_degradation": (
        "graceful",
        "degrad(?:e[sd]?|ation)",
        r"fall-?\s?backs?",
    ),
}
"""Parts of a text that speak of a weakness; a phrase may speak of several."""
TECHNOLOGIES: Final[dict[str, tuple[str, ...]]] = {
    "postgresql": (
        "postgres(?:ql)?",
        "psql",
        r"pg_\w+",
    ),
    "pgbouncer": ("pgbouncer",),
    "mysql": (
        "mysql",
        "mariadb",
        "innodb",
    ),
    "mongodb": ("mongo(?:db)?",),
    "redis": ("redis",),
    "valkey": ("valkey",),
    "memcached": ("memcached?",),
    "rabbitmq": ("rabbit(?:mq)?",),
    "kafka": ("kafka",),
    "nats": (
        "nats",
        "jetstream",
    ),
    "nginx": ("nginx",),
    "haproxy": ("haproxy",),
    "caddy": ("caddy",),
    "traefik": ("traefik",),
    "envoy": ("envoy",),
    "elasticsearch": (
        "elastic(?:search)?",
        "opensearch",
    ),
    "flask": ("flask",),
    "fastapi": (
        "fastapi",
        "uvicorn",
    ),
    "django": ("django",),
    "node": (
        r"node(?:\.?js)?",
        "express(?:js)?",
    ),
    "go": (
        "golang",
        "goroutines?",
    ),
    "java": (
        "java",
        "jvm",
        "spring",
    ),
    "kubernetes": (
        "kubernetes",
        "k8s",
        "pods?",
    ),
}
"""Whole words, as ``knowledge/topology/technology.py`` names what they mean, and a few more."""
KINDS: Final[dict[str, tuple[str, ...]]] = {
    "database": (
        "databases?",
        "sql",
        "replicas?",
        "postgres(?:ql)?",
        "mysql",
        "mongo(?:db)?",
    ),
    "cache": (
        "caches?",
        "cached",
        "redis",
        "memcached?",
        "valkey",
    ),
    "queue": (
        "queues?",
        "brokers?",
        "consumers?",
        "kafka",
        "rabbit(?:mq)?",
        "jetstream",
    ),
    "load_balancer": (
        "load.?balancers?",
        "upstreams?",
        "haproxy",
        "nginx",
        "envoy",
    ),
    "worker": (
        "workers?",
        "batch",
        "cron",
    ),
    "external": (
        "third.?party",
        "vendors?",
        "external",
        "provider",
    ),
}
"""Whole words."""
FAULTS: Final[dict[str, tuple[str, ...]]] = {
    "dead": (
        "crash(?:es|ed)?",
        "dies",
        "died",
        "killed",
        "down",
        "outage",
        "oom.?killed",
        "restart(?:s|ed)?",
    ),
    "refused": (
        "refused",
        "connection reset",
        "unreachable",
    ),
    "silent": (
        "hangs?",
        "hung",
        "blackholed?",
        "silent",
        "unresponsive",
        "packet loss",
        "partition(?:ed)?",
    ),
    "slow": (
        "slow(?:er|ly)?",
        "latenc(?:y|ies)",
        "delay(?:s|ed)?",
        "sluggish",
    ),
    "server_error": (
        r"5\d\d",
        "error rate",
        "errors",
        "exceptions?",
    ),
    "malformed": (
        "malformed",
        "truncated",
        "garbled",
        "corrupt(?:ed)?",
    ),
    "locked": (
        "locks?",
        "locked",
        "deadlocks?",
    ),
    "cold": (
        "cold",
        "flushed",
        "evict(?:ed|ion)s?",
    ),
    "starved_cpu": (
        "cpu",
        "throttl(?:ed|ing)",
    ),
    "starved_memory": (
        "memory",
        "oom",
    ),
    "starved_disk": (
        "disk (?:is |was )?full",
        "disk space",
        "no space",
        "iops",
        "i/o",
    ),
    "clock_wrong": (
        "clocks?",
        "ntp",
        "time skew",
        "drift(?:ed|s)?",
    ),
    "unresolved": (
        "dns",
        "name resolution",
        "nxdomain",
    ),
    "connections_taken": (
        "too many (?:clients|connections)",
        "max_connections",
        "connection slots?",
    ),
    "stale": (
        "replication lag",
        "lagging",
        "stale reads?",
    ),
}
"""Whole words, by the type of the fault that they speak of."""
