"""What the shop sells. Lists come from the cache when they can; a single product is always read fresh."""

from __future__ import annotations

import json
import os
from typing import Any

import redis
from breaker import Breaker
from database import Database, DatabaseError
from flask import Flask
from redis.backoff import NoBackoff
from redis.retry import Retry
from web import serve

CACHE_S = 3600

app = Flask(__name__)
database = Database(os.environ["DATABASE_URL"], workers=4)
cache = redis.Redis.from_url(
    os.environ["REDIS_URL"], protocol=2, socket_timeout=0.1, socket_connect_timeout=0.1, retry=Retry(NoBackoff(), 1)
)
breaker = Breaker(failures=1, open_s=1.0)


def cached(key: str, sql: str) -> Any:
    """Rows from the cache; from the database when the cache is empty, or is not well."""
    if not breaker.allows():
        return database.ask(sql)
    try:
        found = cache.get(key)
        breaker.report(good=True)
        if found:
            return json.loads(found)
        rows = database.ask(sql)
        cache.set(key, json.dumps(rows), ex=CACHE_S)
    except (redis.RedisError, ValueError):
        breaker.report(good=False)
        return database.ask(sql)
    return rows


@app.get("/products")
def products() -> dict[str, Any]:
    rows = cached("catalog:products", "SELECT id, name, cents FROM products ORDER BY id")
    return {"products": [{"id": row[0], "name": row[1], "cents": row[2]} for row in rows]}


@app.get("/products/<int:product>")
def one_product(product: int) -> tuple[dict[str, Any], int]:
    rows = database.ask("SELECT id, name, cents FROM products WHERE id = %s", product)
    if not rows:
        return {"error": "no such product"}, 404
    return {"id": rows[0][0], "name": rows[0][1], "cents": rows[0][2]}, 200


@app.get("/health")
def health() -> dict[str, str]:
    database.ask("SELECT 1")
    return {"status": "ok"}


@app.errorhandler(DatabaseError)
def unavailable(error: Exception) -> tuple[dict[str, str], int]:
    return {"error": str(error)}, 503


if __name__ == "__main__":
    serve(app, threads=12)
