"""What the shop sells. Lists come from the cache when they can; a single product is always read fresh."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import redis
from database import Database, DatabaseError
from flask import Flask
from redis.backoff import NoBackoff
from redis.retry import Retry
from web import serve

CACHE_S = 60
CACHE_REST_S = 1.0

app = Flask(__name__)
database = Database(os.environ["DATABASE_URL"], workers=4)
cache = redis.Redis.from_url(
    os.environ["REDIS_URL"], protocol=2, socket_timeout=0.15, socket_connect_timeout=0.15, retry=Retry(NoBackoff(), 1)
)
cache_trusted_from = 0.0


def cached(key: str, sql: str) -> Any:
    """Rows from the cache; from the database when the cache is empty, or is not well."""
    global cache_trusted_from
    trusted = time.monotonic() >= cache_trusted_from
    try:
        if trusted and (found := cache.get(key)):
            return json.loads(found)
    except (redis.RedisError, ValueError):
        cache_trusted_from = time.monotonic() + CACHE_REST_S  # waiting for it in each request would cost everybody
        trusted = False
    rows = database.ask(sql)
    try:
        if trusted:
            cache.set(key, json.dumps(rows), ex=CACHE_S)
    except redis.RedisError:
        cache_trusted_from = time.monotonic() + CACHE_REST_S
    return rows


@app.get("/products")
def products() -> dict[str, Any]:
    rows = cached("catalog:products", "SELECT id, name, cents FROM products ORDER BY id")
    return {"products": [{"id": row[0], "name": row[1], "cents": row[2]} for row in rows]}


@app.get("/categories")
def categories() -> dict[str, Any]:
    return {"categories": [row[0] for row in cached("catalog:categories", "SELECT name FROM categories ORDER BY 1")]}


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
