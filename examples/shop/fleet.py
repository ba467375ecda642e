"""Who is in the shop: each program with its port, whom it calls, and what happens when it dies. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_BASE_PORT = 18080
PORTS = 40
"""The shop takes this many ports from its base port on."""


@dataclass(frozen=True)
class Member:
    """One process of the shop."""

    instance: str
    service: str
    offset: int
    """Its port, counted from the base port."""
    program: str = ""
    """The Python file; empty for PostgreSQL, Redis and the proxy, which ``servers.py`` knows how to run."""
    role: str = ""
    """What tells two uses of one program apart."""
    health: str = "/health"
    calls: dict[str, str] = field(default_factory=dict)
    """Environment variable to the service whose address it is to hold."""
    settings: dict[str, str] = field(default_factory=dict)
    needs_database_first: bool = False
    """Whether it gives up when the database is not there at its start."""
    restart: bool = True
    """Whether it is started again when it ends. The end of one that is not ends the whole shop."""
    unhealthy_s: float | None = None
    """Ended, to be started again, when it fails its health check for so long."""


FLEET: tuple[Member, ...] = (
    Member("postgres", "postgres", 11, needs_database_first=False),
    Member("redis", "redis", 12),
    Member("recommendations", "recommendations", 10, "recommendations.py", calls={"REDIS_URL": "redis"}),
    Member(
        "storefront",
        "storefront",
        0,
        "storefront.py",
        calls={"CATALOG_URL": "catalog-lb", "RECOMMENDATIONS_URL": "recommendations", "INVENTORY_URL": "inventory"},
    ),
    Member(
        "catalog-lb",
        "catalog-lb",
        1,
        "balancer.py",
        role="catalog-lb",
        health="/balancer/health",
        settings={"MEMBERS": "catalog", "TIMEOUT_S": "0.7"},
    ),
    Member("catalog-1", "catalog", 2, "catalog.py", calls={"DATABASE_URL": "postgres", "REDIS_URL": "redis"}),
    Member("catalog-2", "catalog", 3, "catalog.py", calls={"DATABASE_URL": "postgres", "REDIS_URL": "redis"}),
    Member("cart", "cart", 4, "cart.py", calls={"DATABASE_URL": "postgres", "RECOMMENDATIONS_URL": "recommendations"}),
    Member(
        "checkout",
        "checkout",
        5,
        "checkout.py",
        calls={
            "CART_URL": "cart",
            "INVENTORY_URL": "inventory",
            "PAYMENT_URL": "payment-lb",
            "RECOMMENDATIONS_URL": "recommendations",
        },
    ),
    Member(
        "payment-lb",
        "payment-lb",
        6,
        "balancer.py",
        role="payment-lb",
        health="/balancer/health",
        settings={"MEMBERS": "payment", "TRIES": "2", "TIMEOUT_S": "0.35", "EJECT_AFTER": "2"},
    ),
    Member("payment-1", "payment", 7, "payment.py", calls={"DATABASE_URL": "postgres"}),
    Member("payment-2", "payment", 8, "payment.py", calls={"DATABASE_URL": "postgres"}),
    Member(
        "inventory",
        "inventory",
        9,
        "inventory.py",
        calls={"DATABASE_URL": "postgres"},
        needs_database_first=True,
        unhealthy_s=8,
    ),
)
FIRST_EDGE_OFFSET = 20


def member_of(service: str) -> Member:
    """The first process of a service."""
    return next(member for member in FLEET if member.service == service)


def edges() -> dict[tuple[str, str], int]:
    """Every (caller, callee) that runs through the fault proxy, with its listener's offset. Balancers reach their
    members directly: one edge has one listener, and they have two members each."""
    pairs = dict.fromkeys((member.service, callee) for member in FLEET for callee in member.calls.values())
    return {pair: FIRST_EDGE_OFFSET + number for number, pair in enumerate(pairs)}


def address(caller: str, callee: str, base: int, *, proxied: bool) -> str:
    """What ``caller`` is told to call, in the form its client library wants."""
    offset = edges()[(caller, callee)] if proxied else member_of(callee).offset
    where = f"127.0.0.1:{base + offset}"
    if callee == "postgres":
        return f"postgresql://shop@{where}/shop"
    return f"redis://{where}/0" if callee == "redis" else f"http://{where}"


def environment(member: Member, base: int, *, proxied: bool) -> dict[str, str]:
    """The variables that tell a process whom to call and how to behave."""
    told = {name: address(member.service, callee, base, proxied=proxied) for name, callee in member.calls.items()}
    settings = dict(member.settings)
    if "MEMBERS" in settings:
        ports = [base + other.offset for other in FLEET if other.service == settings["MEMBERS"]]
        settings["MEMBERS"] = ",".join(f"http://127.0.0.1:{port}" for port in ports)
    return told | settings
