"""A figure as a file of its own, for a page, a notebook or a pull request."""

from __future__ import annotations

from importlib.resources import files

_FONT = "svg { font: 11px system-ui, sans-serif; background: var(--page) }"


def alone(figure: str) -> str:
    """An SVG file of one of this package's figures, with their colours, dark and light. Empty of nothing."""
    if not figure:
        return ""
    style = files("planner.report").joinpath("figures.css").read_text(encoding="utf-8")
    head, rest = figure.split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{style}{_FONT}</style>{rest}\n'
