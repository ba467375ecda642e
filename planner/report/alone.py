"""A figure by itself: in a notebook, or as a file for a pull request. In a page it is what its text says."""

from __future__ import annotations

from importlib.resources import files

_FONT = "svg { font: 11px system-ui, sans-serif; background: var(--page) }"
_CLASS = "murphy"


class Drawing(str):
    """One figure of this package. A page that has ``figures.css`` takes its text; a notebook shows it by itself."""

    __slots__ = ()

    def _repr_svg_(self) -> str | None:
        """What IPython asks for; ``None`` of nothing, which it then shows as text."""
        return alone(self) or None


def alone(figure: str) -> str:
    """An SVG file of one of this package's figures, with their colours, dark and light. Empty of nothing.

    Its rules are for it alone, since a notebook that is saved as a page has it among other figures.
    """
    if not figure:
        return ""
    style = files("planner.report").joinpath("figures.css").read_text(encoding="utf-8") + _FONT
    own = style.replace(":root", "svg").replace("svg", f"svg.{_CLASS}")
    head, rest = figure.split(">", 1)
    return f'{head} class="{_CLASS}" xmlns="http://www.w3.org/2000/svg"><style>{own}</style>{rest}\n'
