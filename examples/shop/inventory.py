"""How much of everything is left. Only one may run, or goods are promised twice: it holds a lease while it lives."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask, request
from web import serve

LEASE = Path(os.environ["LEASE_FILE"])
LEASE_S = 6.5
"""How long a lease counts after its holder last renewed it. A holder that crashed could not give it back."""
RENEW_S = 1.0
POOL_SIZE = 3

app = Flask(__name__)
have_lease = threading.Event()
pool: queue.Queue[psycopg.Connection[Any]] = queue.Queue()
for _ in range(POOL_SIZE):
    pool.put(psycopg.connect(os.environ["DATABASE_URL"], autocommit=True))


@contextmanager
def connection() -> Iterator[psycopg.Connection[Any]]:
    """One of the pool's connections, as soon as there is one."""
    taken = pool.get()
    try:
        yield taken
    finally:
        pool.put(taken)


def hold_lease() -> None:
    """Wait until nobody else's lease counts, then renew our own for ever."""
    while LEASE.exists() and time.time() - LEASE.stat().st_mtime < LEASE_S:
        time.sleep(0.1)
    have_lease.set()
    while True:
        LEASE.touch()
        time.sleep(RENEW_S)


def give_lease_back() -> None:
    if have_lease.is_set():
        LEASE.unlink(missing_ok=True)


@app.before_request
def only_with_the_lease() -> tuple[dict[str, str], int] | None:
    return None if have_lease.is_set() else ({"error": "waiting for the lease of an earlier instance"}, 503)


@app.get("/stock/<int:product>")
def stock(product: int) -> tuple[dict[str, Any], int]:
    with connection() as database:
        row = database.execute("SELECT available FROM stock WHERE product = %s", (product,)).fetchone()
    return ({"product": product, "available": row[0]}, 200) if row else ({"error": "no such product"}, 404)


@app.get("/warehouses")
def warehouses() -> dict[str, Any]:
    with connection() as database:
        return {"warehouses": [row[0] for row in database.execute("SELECT town FROM warehouses ORDER BY town")]}


@app.post("/reservations")
def reserve() -> tuple[dict[str, Any], int]:
    wanted = request.get_json()
    with connection() as database, database.transaction():
        new = database.execute(
            "INSERT INTO reservations (order_id) VALUES (%s) ON CONFLICT DO NOTHING RETURNING 1", (wanted["order"],)
        ).fetchone()
        for item in wanted["items"] if new else ():
            database.execute(
                "UPDATE stock SET available = available - %s WHERE product = %s", (item["quantity"], item["product"])
            )
    return {"order": wanted["order"]}, 201


@app.get("/health")
def health() -> dict[str, str]:
    with connection() as database:
        database.execute("SELECT 1")
    return {"status": "ok"}


@app.errorhandler(psycopg.Error)
def unavailable(error: Exception) -> tuple[dict[str, str], int]:
    return {"error": str(error)}, 503


if __name__ == "__main__":
    threading.Thread(target=hold_lease, daemon=True).start()
    serve(app, threads=8, on_stop=give_lease_back)
