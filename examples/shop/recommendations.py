"""What a customer may like. The model behind it is slow, so answers are kept in the cache for an hour."""

from __future__ import annotations

import json
import os
import random
import threading
import time

import redis
from breaker import Breaker
from flask import Flask
from redis.backoff import NoBackoff
from redis.retry import Retry
from web import serve

MODEL_S = 2.0
"""The time in which the model, which runs elsewhere and is not part of the shop, would answer."""
KEEP_S = 3600
REGULARS = ("alice", "bob")
BESTSELLERS = [1, 2, 3]

app = Flask(__name__)
warm = threading.Event()
cache = redis.Redis.from_url(
    os.environ["REDIS_URL"], protocol=2, socket_timeout=0.1, socket_connect_timeout=0.1, retry=Retry(NoBackoff(), 1)
)
breaker = Breaker(failures=1, open_s=1.0)


def ask_model(customer: str) -> list[int]:
    time.sleep(MODEL_S)
    return random.Random(customer).sample(range(1, 13), 4)


def liked_by(customer: str) -> list[int]:
    """From the cache, else from the model. Without a cache the model would drown, so bestsellers must do."""
    if not breaker.allows():
        return BESTSELLERS
    try:
        found = cache.get(f"liked:{customer}")
        breaker.report(good=True)
        if found is not None:
            return [int(item) for item in json.loads(found)]
        products = ask_model(customer)
        cache.set(f"liked:{customer}", json.dumps(products), ex=KEEP_S)
    except (redis.RedisError, ValueError):
        breaker.report(good=False)
        return BESTSELLERS
    return products


def warm_up() -> None:
    """Ask for the regular customers before anybody else does."""
    askers = [threading.Thread(target=liked_by, args=(customer,)) for customer in REGULARS]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    warm.set()


@app.get("/for/<customer>")
def recommend(customer: str) -> dict[str, list[int]]:
    return {"products": liked_by(customer)}


@app.get("/bestsellers")
def bestsellers() -> dict[str, list[int]]:
    return {"products": BESTSELLERS}


@app.get("/health")
def health() -> tuple[dict[str, str], int]:
    return ({"status": "ok"}, 200) if warm.is_set() else ({"status": "warming up"}, 503)


if __name__ == "__main__":
    threading.Thread(target=warm_up, daemon=True).start()
    serve(app, threads=4)
