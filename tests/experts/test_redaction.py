"""What looks like a secret, whatever it looks like, is withheld; names and numbers that are none stay."""

from __future__ import annotations

import time

import pytest

from executor.model.faults import SPECS
from experts.brief import Brief
from experts.models.prompt import names
from experts.playbook import COUNCIL, persona
from experts.redaction import MARK, Redactor
from tests.experts.systems import library

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\nabc+/=\n-----END RSA PRIVATE KEY-----"
ENVIRONMENT = {
    "DATABASE_PASSWORD": "hunter2",
    "SESSION_SECRET": "correct-horse",
    "INTERNAL_HOST": "db7.corp.internal:5432/x1",
    "ENVIRONMENT": "production",
    "HOME": "/home/somebody1",
    "EDITOR": "vim",
    "SHORT": "a1",
}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("connect to postgresql://app:s3cr3t@10.0.0.1/shop now", "s3cr3t"),
        ("redis://:s3cr3t@cache:6379/0", "s3cr3t"),
        ("https://example.com/hook?token=s3cr3t&x=1", "s3cr3t"),
        ("password=s3cr3t", "s3cr3t"),
        ("GET / failed: token=s3cr3t for x", "s3cr3t"),
        ("a=b&secret=s3cr3t", "s3cr3t"),
        ("it was (password: s3cr3t)", "s3cr3t"),
        ("x: y: api-key: s3cr3t", "s3cr3t"),
        ("token=" + "ab" * 300 + "s3cr3t", "s3cr3t"),
        ('{"api_key": "s3cr3t", "x": 1}', "s3cr3t"),
        ("{'client_secret': 's3cr3t'}", "s3cr3t"),
        ("DB_PASSWORD: s3cr3t", "s3cr3t"),
        ("run it with --db-password s3cr3t please", "s3cr3t"),
        ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
        ("curl -H 'X-Api-Key: s3cr3t'", "s3cr3t"),
        ("sk-proj-abcdefghij0123456789", "abcdefghij0123456789"),
        ("sk-ant-api03-abcdefghij0123456789", "abcdefghij0123456789"),
        ("ghp_abcdefghijklmnopqrstu", "abcdefghijklmnopqrstu"),
        ("github_pat_abcdefghijklmnopqrstu", "abcdefghijklmnopqrstu"),
        ("glpat-abcdefghijklmnop1234", "abcdefghijklmnop1234"),
        ("AKIAABCDEFGHIJKLMNOP", "ABCDEFGHIJKLMNOP"),
        ("AIzaSyA-abcdefghijklmnopqrstuvwxyz01234", "abcdefghijklmnopqrstuvwxyz"),
        ("hf_abcdefghijABCDEFGHIJ01", "abcdefghijABCDEFGHIJ01"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJzdWIiOiIxIn0"),
        (f"key: {PEM} end", "MIIEowIBAAKCAQEA7"),
        (PEM[:60], "MIIEowIBAAKCAQEA7"),
        ("write to jane.doe+x@example.co.uk at once", "jane.doe"),
        ("wJalrXUtnFEMI0K7MDENG0bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI0K7MDENG"),
        ("the password is hunter2, says the log", "hunter2"),
        ("correct-horse was seen", "correct-horse"),
        ("the password is s3cr3t, says the page", "s3cr3t"),
        ("password → s3cr3t", "s3cr3t"),
        ("db_password 's3cret and more'", "more"),
        ('token="one two s3cr3t" x', "s3cr3t"),
        (r"it said {\"password\": \"one s3cr3t\"}", "s3cr3t"),
        ("mysql -h db -us -ps3cr3t shop", "s3cr3t"),
        ("curl -u admin:s3cr3t http://db", "s3cr3t"),
        ("answered Set-Cookie: sid=s3cr3t; Path=/", "s3cr3t"),
        ("ALTER USER x IDENTIFIED BY 's3cr3t'", "s3cr3t"),
        ("AccountKey=s3cr3t;EndpointSuffix=x", "s3cr3t"),
        ("dbPass: s3cr3t", "s3cr3t"),
        ("DB_PW=s3cr3t", "s3cr3t"),
        ("db7.corp.internal:5432/x1 does not answer", "db7.corp.internal"),
    ],
)
def test_what_is_secret_is_withheld(text: str, secret: str) -> None:
    hide = Redactor(environment=ENVIRONMENT)
    said = hide.text(text)
    assert secret not in said
    assert MARK in said
    assert hide.count >= 1
    assert hide.value({"a": [text, {"b": text}]})["a"][1]["b"] == said


@pytest.mark.parametrize(
    "text",
    [
        "Does checkout stand without the token service?",
        "production broke at 12:30, run-977f6a625aa6, delay_ms=3000",
        "desk->reviews: 3 of 40 (8 %) good; http://127.0.0.1:9001/path?q=books",
        "sha256:0f0f0f and /home/somebody1/file and vim",
        "infrastructure.stale_credentials at shelves",
        "auth and credentials were stale",
        "xapp-frontend asks mysql, and its token was late; the session_key is 'x'",
        "does it stand when the password is rotated?",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    hide = Redactor(environment=ENVIRONMENT)
    assert hide.text(text) == text
    assert hide.count == 0


def test_under_the_name_of_a_secret_anything_is_one() -> None:
    assert Redactor(environment={}).value({"password": "open", "note": "open"}) == {"password": MARK, "note": "open"}


def test_names_reach_the_model_as_they_are() -> None:
    keep = names(Brief(system=library()))
    hide = Redactor(keep, {"UPSTREAM_SECRET": "shelves", "OTHER_TOKEN": "desk->reviews", "NAME1": "infrastructure.dns"})
    assert hide.text("shelves") == "shelves"
    assert hide.value(sorted(keep)) == sorted(keep)


def test_our_own_words_are_never_taken_for_secrets() -> None:
    hide = Redactor(environment={})
    for text in [*(persona(name) for name in COUNCIL), *(spec.__doc__ or "" for spec in SPECS)]:
        assert hide.form(text) == text


@pytest.mark.parametrize(
    "run",
    [
        "a" * 100_000,
        "a.b-" * 25_000,
        "A1a" * 30_000,
        "x@" * 50_000,
        " " * 100_000,
        "://" * 30_000,
        "a=" * 50_000,
        "token=" * 20_000,
    ],
)
def test_no_text_takes_long(run: str) -> None:
    began = time.process_time()
    Redactor(environment=ENVIRONMENT).text(run)
    assert time.process_time() - began < 2
