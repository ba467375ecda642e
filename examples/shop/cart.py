"""What a customer means to buy, kept in the database."""

from __future__ import annotations

import os
from typing import Any

import urllib3
from database import Database, DatabaseError
from flask import Flask, request
from web import client, serve

RECOMMENDATIONS_URL = os.environ["RECOMMENDATIONS_URL"]

app = Flask(__name__)
http = client()
database = Database(os.environ["DATABASE_URL"], workers=8, answer_s=0.5)


def items_of(customer: str) -> list[dict[str, int]]:
    rows = database.ask("SELECT product, quantity FROM carts WHERE customer = %s ORDER BY product", customer)
    return [{"product": row[0], "quantity": row[1]} for row in rows]


def also_liked(customer: str) -> list[int]:
    """An extra: a cart without it is still a cart."""
    try:
        answer = http.request("GET", f"{RECOMMENDATIONS_URL}/for/{customer}", timeout=None)
        return [int(item) for item in answer.json()["products"]]
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError):
        return []


@app.get("/carts/<customer>")
def cart(customer: str) -> dict[str, Any]:
    return {"items": items_of(customer), "also_liked": also_liked(customer)}


@app.get("/carts/<customer>/items")
def items(customer: str) -> dict[str, Any]:
    return {"items": items_of(customer)}


@app.get("/carts/<customer>/count")
def count(customer: str) -> dict[str, int]:
    return {"count": sum(item["quantity"] for item in items_of(customer))}


@app.post("/carts/<customer>/items")
def add(customer: str) -> tuple[dict[str, Any], int]:
    wanted = request.get_json()
    database.ask(
        "INSERT INTO carts (customer, product, quantity) VALUES (%s, %s, 1)"
        " ON CONFLICT (customer, product) DO UPDATE SET quantity = carts.quantity + 1",
        customer,
        int(wanted["product"]),
    )
    return {"items": items_of(customer)}, 201


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.errorhandler(DatabaseError)
def unavailable(error: Exception) -> tuple[dict[str, str], int]:
    return {"error": str(error)}, 503


if __name__ == "__main__":
    serve(app, threads=8)
