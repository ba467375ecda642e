"""References to secrets are resolved when used; errors name the reference and nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from executor.errors import UnavailableError
from executor.secrets import look_secret, named_secret, plain, redacted, reveal
from executor.servers import postgresql


def test_from_the_environment_and_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_DSN", "redis://:canary@127.0.0.1/0")
    file = tmp_path / "dsn"
    file.write_text("postgresql://canary\n")
    assert reveal("env:A_DSN") == "redis://:canary@127.0.0.1/0"
    assert reveal(f"file:{file}") == "postgresql://canary"


def test_what_is_missing_or_empty_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AN_EMPTY_ONE", "")
    for reference, why in (
        ("env:NOT_SET_AT_ALL", "the environment variable NOT_SET_AT_ALL is not set"),
        (f"file:{tmp_path}/none", "No such file"),
        ("env:AN_EMPTY_ONE", "is empty"),
    ):
        with pytest.raises(UnavailableError, match=why) as caught:
            reveal(reference)
        assert caught.value.where == reference


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("server.py --password=x --port 80", "server.py --port 80"),
        ("server.py --db-password x --port 80", "server.py --port 80"),
        ("server.py --api-token=x -v", "server.py -v"),
        ("redis-server --requirepass x --save y", "redis-server --save y"),
        ("java -Ddb.password=x -jar shop.jar", "java -jar shop.jar"),
        ("env API_KEY=x DEBUG=1 run", "env DEBUG=1 run"),
        ("worker postgresql://u:x@db/shop amqp://h/", "worker amqp://h/"),
        ("call sk-abcdefghijklmnopqrstuvwx here", "call here"),
        ("call glpat-abcdefghijklmnop1234 here", "call here"),
        (
            "server.py --password-file /x --key-id 7 --token-ttl 5",
            "server.py --password-file /x --key-id 7 --token-ttl 5",
        ),
        ("gunicorn shop.main:app --bind 127.0.0.1:80 --keep-alive 5", None),
        ("server.py --password --verbose", "server.py"),
        ("service.py auth 8001", None),
        ("virsh -c qemu+ssh://root@host/system", None),
        ("virsh -c qemu+ssh://root:x@host/system", "virsh -c"),
        ("grep token= page", None),
        ("python -m shop.token --service auth", None),
    ],
)
def test_what_looks_like_a_secret_is_left_out_of_command_lines(given: str, kept: str | None) -> None:
    assert " ".join(plain(given.split())) == (given if kept is None else kept)
    assert look_secret(given.split()) == (kept not in (None, given))


def test_names_of_secrets() -> None:
    assert all(map(named_secret, ("token", "access_token", "API-Key", "x-api-key", "pwd", "client.secret", "--auth")))
    assert not any(map(named_secret, ("author", "tokens_max", "monkey", "compass", "bypass", "keyboard", "key", "")))


def test_a_password_with_an_at_sign_is_not_taken_for_a_host_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_DSN", "postgresql://u:first@canary@127.0.0.1:1/db")
    with pytest.raises(UnavailableError, match="more than one @") as caught, postgresql.session("env:A_DSN"):
        pass
    assert "canary" not in str(caught.value)


def test_an_argument_of_several_words_or_parameters_is_looked_into() -> None:
    assert list(plain(["sh", "-c", "serve --password x", "end"])) == ["sh", "-c", "end"]
    assert look_secret(["http://127.0.0.1/?a=b&api_key=x"])
    assert not look_secret(["select count(*) = 0 from users where token = ''", "http://127.0.0.1/?page=1&size=2"])


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("password: hunter2", "password: [redacted]"),
        ("PGPASSWORD=abc psql -h db", "PGPASSWORD=[redacted] psql -h db"),
        ('{"api_key": "abc def", "x": 1}', '{"api_key": [redacted], "x": 1}'),
        ("psql --password s3cret -h x", "psql --password [redacted] -h x"),
        ("see postgresql://app:pw@db/shop", "see postgresql://[redacted]@db/shop"),
        ("the password is hunter2.", "the password is [redacted]"),
        ("mysqldump -u root -pHunter2 shop", "mysqldump -u root -p[redacted] shop"),
        ("Set-Cookie: sid=abc; Path=/", "Set-Cookie: [redacted]"),
        ("CREATE USER x IDENTIFIED BY 'a b'", "CREATE USER x IDENTIFIED BY [redacted]"),
        ("ALTER ROLE x WITH PASSWORD 'a b';", "ALTER ROLE x WITH PASSWORD [redacted];"),
        ("requirepass Ab3def", "requirepass [redacted]"),
        ("AccountKey=abc;EndpointSuffix=x", "AccountKey=[redacted];EndpointSuffix=x"),
        ("dbPass: abc", "dbPass: [redacted]"),
        ("the xapp-frontend asks for a token 3 times", None),
        ("| password | hunter2 |", "| password | [redacted] |"),
        ("Set `REDIS_PASSWORD=abc`, then restart", "Set `REDIS_PASSWORD=[redacted]`, then restart"),
        ("curl -s -u admin:pw http://x/", "curl -s -u [redacted] http://x/"),
        (
            "the runner registers by glpat-abcdefghijklmnop1234, then waits",
            "the runner registers by [redacted], then waits",
        ),
        ("maps use AIzaSyA-abcdefghijklmnopqrstuvwxyz01234", "maps use [redacted]"),
        ("vault gave hvs.abcdefghijklmnopqrstuv", "vault gave [redacted]"),
        ("db.password = 'x y'", "db.password = [redacted]"),
        ("the key AKIAABCDEFGHIJKLMNOP here", "the key [redacted] here"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nthen", "[redacted]\n\n\nthen"),
        ("the password is stored in the vault", None),
        ("the token bucket is full; secrets are rotated", None),
        ("password=\nnext line", None),
        ("ask user@example.org; password: null", None),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_of_free_text(written: str, kept: str | None) -> None:
    assert redacted(written) == (written if kept is None else kept)
    assert redacted(redacted(written)) == redacted(written)


def test_a_header_that_lets_in_is_taken_out_of_free_text() -> None:
    assert "canary" not in redacted("Authorization: Bearer canary.canary-canary")


@pytest.mark.parametrize("piece", ["a", "a.", "-eyJ", 'password:"', "curl ", "a://b:"])
def test_no_text_is_so_odd_that_looking_through_it_takes_for_ever(piece: str) -> None:
    begun = time.process_time()
    redacted(piece * (200_000 // len(piece)))
    assert time.process_time() - begun < 5
