"""The shop's face: the home page, product pages, and a page about the shop."""

from __future__ import annotations

import os
from typing import Any

import urllib3
from breaker import Breaker
from flask import Flask
from web import client, serve

CATALOG_URL = os.environ["CATALOG_URL"]
RECOMMENDATIONS_URL = os.environ["RECOMMENDATIONS_URL"]
INVENTORY_URL = os.environ["INVENTORY_URL"]

app = Flask(__name__)
http = client()
breaker = Breaker(failures=3, open_s=2.0)


def from_catalog(path: str) -> Any:
    answer = http.request("GET", CATALOG_URL + path, timeout=0.8)
    if answer.status != 200:
        raise urllib3.exceptions.HTTPError(f"catalog answered {answer.status}")
    return answer.json()


def recommended(customer: str) -> list[int]:
    """What to show beside the products; nobody misses it when it is not there."""
    if not breaker.allows():
        return []
    try:
        answer = http.request("GET", f"{RECOMMENDATIONS_URL}/for/{customer}", timeout=0.3)
        found = [int(item) for item in answer.json()["products"]]
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError):
        breaker.report(good=False)
        return []
    breaker.report(good=True)
    return found


def stock_badge(product: int) -> str:
    """How many are left. A stock service that is down, failing or late only costs the badge."""
    try:
        answer = http.request("GET", f"{INVENTORY_URL}/stock/{product}", timeout=0.3)
    except urllib3.exceptions.HTTPError:
        return "ask us"
    if answer.status >= 500:
        return "ask us"
    level = answer.json()["available"]
    return "in stock" if level > 0 else "sold out"


@app.get("/")
def home() -> dict[str, Any]:
    return {"products": from_catalog("/products")["products"], "recommended": recommended("bob")}


@app.get("/products/<int:product>")
def product_page(product: int) -> dict[str, Any]:
    return {"product": from_catalog(f"/products/{product}"), "stock": stock_badge(product)}


@app.get("/about")
def about() -> dict[str, str]:
    return {"shop": "a small shop", "since": "2026"}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.errorhandler(urllib3.exceptions.HTTPError)
def unavailable(error: Exception) -> tuple[dict[str, str], int]:
    return {"error": str(error)}, 503


if __name__ == "__main__":
    serve(app, threads=24)
