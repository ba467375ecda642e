"""Takes money and remembers it. Runs twice, behind a load balancer of its own."""

from __future__ import annotations

import os
from typing import Any

from database import Database, DatabaseError
from flask import Flask, request
from web import serve

app = Flask(__name__)
database = Database(os.environ["DATABASE_URL"], workers=8, answer_s=0.3)


@app.post("/payments")
def pay() -> tuple[dict[str, Any], int]:
    wanted = request.get_json()
    database.ask(
        "INSERT INTO payments (order_id, cents) VALUES (%s, %s) ON CONFLICT (order_id) DO NOTHING",
        wanted["order"],
        int(wanted["cents"]),
    )
    return {"order": wanted["order"], "status": "paid"}, 201


@app.get("/payments/<order>")
def payment(order: str) -> tuple[dict[str, Any], int]:
    rows = database.ask("SELECT cents FROM payments WHERE order_id = %s", order)
    return ({"order": order, "cents": rows[0][0]}, 200) if rows else ({"error": "no such payment"}, 404)


@app.get("/fees")
def fees() -> dict[str, Any]:
    return {"fees": dict(database.ask("SELECT method, cents FROM fees"))}


@app.get("/health")
def health() -> dict[str, str]:
    database.ask("SELECT 1 FROM payments, fees LIMIT 1")  # what it serves, so that a locked table is unwell too
    return {"status": "ok"}


@app.errorhandler(DatabaseError)
def unavailable(error: Exception) -> tuple[dict[str, str], int]:
    return {"error": str(error)}, 503


if __name__ == "__main__":
    serve(app, threads=16)
