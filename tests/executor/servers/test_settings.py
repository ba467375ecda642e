"""One value is changed in its place, whatever stands around it; what cannot be is refused without quoting anything."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.errors import UnavailableError
from executor.servers.settings import changed

JSON = '{\n\t"listen": [8080, 8081],\n\t"pool": {"size":10 , "name" : "ma\\u00efn\\/"},\n\t"debug": false\n}\n'
YAML = """\
# of all
listen: [8080, 8081]  # two
pool: &pool
  size:   10   # measured
  name: 'main'
  empty:
debug: no
other: *pool
"""
TOML = """\
title = "a # b" # c
listen = [8080, 8081]

[pool]  # of connections
size=10#measured
name = 'main'
[pool.inner]
on = false
[[member]]
port = 1
[[member]]
port = 2   # the second
"""
PROPERTIES = """\
; of all
export LISTEN=8080
pool.size = 10   # measured
NAME="main # not a word about it"
[debug]
on = true
size= 3
"""


@pytest.mark.parametrize(
    ("text", "form", "key", "value", "old", "new"),
    [
        (JSON, "json", "pool.size", 1, '"size":10 ,', '"size":1 ,'),
        (JSON, "json", "pool.name", "größer", '"ma\\u00efn\\/"', '"größer"'),
        (JSON, "json", "listen.1", "x", "8081", '"x"'),
        (JSON, "json", "debug", True, "false", "true"),
        (YAML, "yaml", "listen.0", 1, "[8080,", "[1,"),
        (YAML, "yaml", "debug", 2.5, "debug: no", "debug: 2.5"),
        (TOML, "toml", "title", "it's", '"a # b" # c', '"it\'s" # c'),
        (TOML, "toml", "pool.size", 1, "size=10#measured", "size=1#measured"),
        (TOML, "toml", "pool.inner.on", True, "on = false", "on = true"),
        (TOML, "toml", "member.1.port", 7, "port = 2   #", "port = 7   #"),
        (PROPERTIES, "properties", "LISTEN", 1, "LISTEN=8080", "LISTEN=1"),
        (PROPERTIES, "properties", "pool.size", 1, "pool.size = 10   #", "pool.size = 1   #"),
        (PROPERTIES, "properties", "NAME", "x", '"main # not a word about it"', '"x"'),
        (PROPERTIES, "properties", "debug.on", False, "on = true", "on = false"),
        (PROPERTIES, "properties", "debug.size", 4, "size= 3", "size= 4"),
    ],
)
def test_nothing_else_is_touched(text: str, form: str, key: str, value: Any, old: str, new: str) -> None:
    assert text.count(old) == 1
    for ends in ("\n", "\r\n"):
        given_text = text.replace("\n", ends)
        made = changed(given_text, form, key, value)
        assert made == given_text.replace(old, new)
        assert changed(made, form, key, value) == made, "what is that way already is left alone"


def test_a_value_that_is_empty_is_filled() -> None:
    assert changed("a:\nb: 1\n", "yaml", "a", "x") == 'a: "x"\nb: 1\n'
    assert changed("a=\nb=1\n", "properties", "a", "x") == "a=x\nb=1\n"


@pytest.mark.parametrize(
    ("text", "form", "key", "why"),
    [
        (JSON, "json", "pool.sise", "has no single value at pool.sise; it has debug, listen.0, listen.1, pool.name"),
        (JSON, "json", "pool", "has no single value at pool;"),
        (JSON, "json", "listen.2", "has no single value"),
        ("{}", "json", "a", "it has no key at all"),
        (YAML, "yaml", "pool.size", "cannot be changed at pool.size alone"),  # other.size is the same place
        (YAML, "yaml", "other.size", "cannot be changed at other.size alone"),
        ("a: 1\n---\nb: 2\n", "yaml", "a", "is no sound yaml"),
        ("canary: {", "yaml", "a", "is no sound yaml"),
        ("canary = ", "toml", "a", "is no sound toml"),
        ('{"canary" 1}', "json", "a", "is no sound json"),
        ("a = { b = 1 }\n", "toml", "a.b", "cannot be changed at a.b alone"),
        ('a = """\nb = 1\n"""\n', "toml", "b", "has no single value"),
        ("1: x\n", "yaml", "1", "has no single value"),
    ],
)
def test_what_cannot_be_changed_is_said_and_nothing_quoted(text: str, form: str, key: str, why: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        changed(text, form, key, 5)
    assert why in str(caught.value)
    assert "canary" not in str(caught.value)


names = st.text("abcxyz", min_size=1, max_size=4)
values = st.one_of(
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=8),
)


@settings(max_examples=40)
@given(st.dictionaries(names, st.dictionaries(names, values, min_size=1), min_size=1), values, st.data())
def test_what_comes_out_says_what_was_meant_and_nothing_else(
    tree: dict[str, Any], value: Any, data: st.DataObject
) -> None:
    outer = data.draw(st.sampled_from(sorted(tree)))
    inner = data.draw(st.sampled_from(sorted(tree[outer])))
    toml = "".join(
        f"[{t}]\n" + "".join(f"{k} = {json.dumps(v, ensure_ascii=False)}\n" for k, v in of.items())
        for t, of in tree.items()
    )
    for text, form, read in (
        (json.dumps(tree, indent=1), "json", json.loads),
        (yaml.safe_dump(tree, allow_unicode=True), "yaml", yaml.safe_load),
        (toml, "toml", tomllib.loads),
    ):
        wanted = read(text)
        wanted[outer][inner] = value
        try:
            assert read(changed(text, form, f"{outer}.{inner}", value)) == wanted
        except UnavailableError as error:
            assert "alone" in str(error) or "no sound" in str(error)  # it may refuse, never err
