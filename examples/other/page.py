"""The page that people read: ``python page.py PORT WEATHER_PORT PLACES_PORT``. Needs the weather, not the place."""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

from answers import serve

port, weather_port, places_port = map(int, sys.argv[1:])


def ask(callee: int, timeout: float | None) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{callee}/", timeout=timeout) as answer:
        return json.load(answer)


def page() -> dict[str, Any]:
    try:
        place = ask(places_port, timeout=0.3)["place"]
    except OSError:
        place = "somewhere"
    return {"place": place, "sky": ask(weather_port, timeout=None)["sky"]}


serve(port, page)
