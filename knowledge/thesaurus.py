"""Words of this trade that mean nearly the same, so that hashing meets them: concept → its words, as written."""

from __future__ import annotations

CONCEPTS: dict[str, str] = {
    "silent": "hang hangs hung stuck silent unresponsive freeze frozen blackhole swallowed waits waiting unanswered"
    " endless endlessly indefinitely forever stall stalls stalled blocked",
    "slow": "slow slower slowly slowdown latency delay delayed late lag sluggish degraded",
    "dead": "dead dies died kill killed crash crashed crashes down gone lost dying disappears vanish vanishes outage"
    " terminated",
    "refused": "refuse refused reject rejected reset disconnect disconnected cut unreachable",
    "error": "error errors 500 502 503 exception fails failing failure failed faulty erroneous",
    "malformed": "malformed corrupt corrupted truncated garbled damaged invalid broken",
    "overload": "overload overloaded saturate saturated exhausted exhaustion exhausts full queue congested starved"
    " spike flood stampede thundering amplification storm",
    "recover": "recover recovers recovered recovery restart restarted restarts reconnect reconnects heal heals return"
    " comes back",
    "detect": "detect detects detected detection health healthy alert alarm monitor monitoring notices report reports"
    " blind",
    "repeat": "retry retries retried repeat repeats repeated again attempt attempts backoff",
    "optional": "fallback degrade degrades degradation graceful gracefully optional soft without tolerate tolerates",
    "pool": "pool pools connection connections session sessions thread threads worker workers",
    "store": "database postgres postgresql mysql sql table tables transaction transactions",
    "cache": "cache caches cached redis valkey memcached",
    "balance": "balancer balancers balancing member members upstream rotation pool",
    "timeout": "timeout timeouts deadline deadlines limit",
    "serve": "serve serves answer answers answering respond responds response reply replies works working",
}
"""A word may stand for several concepts."""
