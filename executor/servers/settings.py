"""One value in a text of settings, found and changed in its place: comments and layout stay as they are.

What comes out is read again and must say what was meant, and nothing else: so the finding may be simple. Standard
library only, but for YAML.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from executor.errors import UnavailableError

if TYPE_CHECKING:
    import yaml

Value = bool | int | float | str
_NAMED: Final = 8
"""Keys that a refusal names."""
_STRING = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*')"""
_LINE: Final = {
    "toml": re.compile(rf"(?P<before>\s*(?P<name>[^=#\[]+?)\s*=\s*)(?P<value>{_STRING}|.*?)(?P<after>\s*(?:#.*)?)"),
    "properties": re.compile(
        rf"(?P<before>\s*(?:export\s+)?(?P<name>[^=#;!\[]+?)\s*=\s*)(?P<value>{_STRING}|.*?)(?P<after>(?:\s+[#;].*)?\s*)"
    ),
}
_TABLE: Final = re.compile(r"\s*(?P<many>\[?)\[\s*(?P<name>[^\[\]]+?)\s*\]\]?\s*(?:[#;].*)?")


def changed(text: str, form: str, key: str, value: Value) -> str:
    """The text with another value at a key; the same text if that is its value already.

    ``form``: json, yaml, toml or properties. ``key``: names joined by dots, numbers within a list; what stands under
    ``[section]`` has the section's name before. Raises ``UnavailableError`` that says what is in the way.
    """
    read, edits = _FORMS[form]
    try:
        old = read(text)
        wanted = _with(old, key.split("."), value)
    except _AbsentError:
        known = ", ".join(sorted(_keys(old))[:_NAMED]) or "no key at all"
        raise UnavailableError(f"has no single value at {key}; it has {known}.") from None
    except Exception:  # noqa: BLE001 - a parser's own; its text may quote a secret
        raise UnavailableError(f"is no sound {form}, or holds more than a fault can change.") from None
    if _same(old, wanted):
        return text
    for candidate in edits(text, key, value):
        try:
            if _same(read(candidate), wanted):
                return candidate
        except Exception:  # noqa: BLE001, S112 - whatever it made of the text is not what was meant
            continue
    raise UnavailableError(f"cannot be changed at {key} alone; its value is written in a way that is not understood.")


class _AbsentError(LookupError):
    """There is no such key, or no single value at it."""


def _with(data: Any, path: list[str], value: Value) -> Any:
    """A copy with another value at a path; a part that is in two places is changed in one."""
    if isinstance(data, _Flat):  # the whole path is one name
        path, value = [".".join(path)], _plain(value)
    name, *rest = path
    place: Any = int(name) if isinstance(data, list) and name.isdecimal() else name
    try:
        old = data[place]
    except (KeyError, IndexError, TypeError):
        raise _AbsentError from None
    if not rest and isinstance(old, dict | list):
        raise _AbsentError
    made = copy.copy(data)
    made[place] = _with(old, rest, value) if rest else value
    return made


def _keys(data: Any, before: str = "") -> Iterator[str]:
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for name, value in pairs:
        if isinstance(value, dict | list):
            yield from _keys(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: 1 is not true."""
    return bool(one == other) and repr(one) == repr(other)


class _Flat(dict[str, str]):
    """Names and texts, sections as part of the names."""


def _properties(text: str) -> _Flat:
    found = _Flat()
    for _, line, section in _lines(text, "properties"):
        found[f"{section}{line['name']}"] = _unquoted(line["value"])
    return found


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _toml(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


def _yaml(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


def _lines(text: str, form: str) -> Iterator[tuple[int, re.Match[str], str]]:
    """Where each line with a value begins, the line taken apart, and the section it is in, with a dot behind."""
    section, counts, at = "", dict[str, int](), 0
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        if table := _TABLE.fullmatch(bare):
            name = _dotted(table["name"]) if form == "toml" else table["name"]
            if table["many"]:
                counts[name] = counts.get(name, -1) + 1
                name = f"{name}.{counts[name]}"
            section = f"{name}."
        elif found := _LINE[form].fullmatch(bare):
            yield at, found, section
        at += len(line)


def _dotted(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))


def _on_lines(form: str) -> Callable[[str, str, Value], Iterator[str]]:
    def edits(text: str, key: str, value: Value) -> Iterator[str]:
        for at, line, section in _lines(text, form):
            name = _dotted(line["name"]) if form == "toml" else line["name"]
            if f"{section}{name}" == key:
                start, end = (at + place for place in line.span("value"))
                yield text[:start] + _written(value, form, text[start:end]) + text[end:]

    return edits


def _in_tree(form: str) -> Callable[[str, str, Value], Iterator[str]]:
    def edits(text: str, key: str, value: Value) -> Iterator[str]:
        import yaml

        # JSON is YAML but for tabs, which stand between its tokens only: so places are the same
        node: yaml.Node | None = yaml.compose(text.replace("\t", " ") if form == "json" else text, yaml.SafeLoader)
        for name in key.split("."):
            node = _child(node, name)
        if node is not None:
            start, end = node.start_mark.index, node.end_mark.index
            old = text[start:end].rstrip()
            gap = "" if old else " "
            yield text[:start] + gap + _written(value, form, old) + text[start + len(old) :]

    return edits


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    import yaml

    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == name), None)
    if isinstance(node, yaml.SequenceNode) and name.isdecimal():
        return next(iter(node.value[int(name) :]), None)
    return None


def _written(value: Value, form: str, old: str) -> str:
    """As the file would have it."""
    if form != "properties":
        return json.dumps(value, ensure_ascii=False)
    quote = old[:1] if old[:1] in ("'", '"') else ""
    return f"{quote}{_plain(value)}{quote}"


def _plain(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_FORMS: Final[dict[str, tuple[Callable[[str], Any], Callable[[str, str, Value], Iterator[str]]]]] = {
    "json": (json.loads, _in_tree("json")),
    "yaml": (_yaml, _in_tree("yaml")),
    "toml": (_toml, _on_lines("toml")),
    "properties": (_properties, _on_lines("properties")),
}
