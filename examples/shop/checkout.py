"""Turns a cart into an order: reserves the goods, takes the money, thanks the customer."""

from __future__ import annotations

import os
import threading
import time
import uuid
from typing import Any

import urllib3
from flask import Flask, request
from web import client, serve

CART_URL = os.environ["CART_URL"]
INVENTORY_URL = os.environ["INVENTORY_URL"]
PAYMENT_URL = os.environ["PAYMENT_URL"]
RECOMMENDATIONS_URL = os.environ["RECOMMENDATIONS_URL"]
PAYMENT_TRIES = 6

app = Flask(__name__)
http = client()


class DependencyError(Exception):
    """A service that the order needs did not do its part."""


class RetryBudget:
    """Each good answer earns half a retry, up to ten: single failures are retried, a dead service is left alone."""

    def __init__(self) -> None:
        self._left = 10.0
        self._lock = threading.Lock()

    def earn(self) -> None:
        with self._lock:
            self._left = min(10.0, self._left + 0.5)

    def spend(self) -> bool:
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True


budget = RetryBudget()


def call(method: str, url: str, *, timeout: float, tries: int, body: Any = None) -> Any:
    """The JSON of a good answer. Tries again within the budget; every call here may safely be repeated."""
    problem = ""
    for number in range(tries):
        if number:
            if not budget.spend():
                break
            time.sleep(0.05 * number)
        try:
            answer = http.request(method, url, json=body, timeout=timeout)
        except urllib3.exceptions.HTTPError as error:
            problem = str(error)
            continue
        if answer.status < 400:
            budget.earn()
            return answer.json()
        problem = f"answered {answer.status}"
        if answer.status < 500:
            break
    raise DependencyError(f"{url} {problem}")


def take_money(order: str, cents: int) -> None:
    """The bank has its moods, so try again until it says yes. (The order's id keeps it from being charged twice.)"""
    for _ in range(PAYMENT_TRIES):
        try:
            answer = http.request("POST", PAYMENT_URL + "/payments", json={"order": order, "cents": cents}, timeout=1.0)
        except urllib3.exceptions.ReadTimeoutError:
            break
        except urllib3.exceptions.HTTPError:
            continue
        if answer.status < 400:
            return
        if answer.status < 500:
            break
    raise DependencyError("the payment did not go through")


def thanks(customer: str) -> list[int]:
    """What other customers bought, for the page that thanks them."""
    answer = http.request("GET", f"{RECOMMENDATIONS_URL}/for/{customer}", timeout=0.8)
    return [int(item) for item in answer.json()["products"]]


@app.post("/checkout")
def place_order() -> tuple[dict[str, Any], int]:
    customer = str(request.get_json()["customer"])
    order = uuid.uuid4().hex
    items = call("GET", f"{CART_URL}/carts/{customer}/items", timeout=0.25, tries=3)["items"]
    if not items:
        return {"error": "the cart is empty"}, 409
    reservation = {"order": order, "items": items}
    call("POST", INVENTORY_URL + "/reservations", timeout=0.4, tries=3, body=reservation)
    take_money(order, cents=1000 * len(items))
    return {"order": order, "others_bought": thanks(customer)}, 201


@app.get("/methods")
def methods() -> dict[str, list[str]]:
    return {"methods": ["card", "invoice"]}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.errorhandler(DependencyError)
def unavailable(error: Exception) -> tuple[dict[str, str], int]:
    return {"error": str(error)}, 503


if __name__ == "__main__":
    serve(app, threads=24)
