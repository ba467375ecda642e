"""Which processes a text of a command line means."""

from __future__ import annotations

import pytest

from executor.kernel.naming import called, fits

MEANT = [
    ("worker.py", "python3|/srv/worker.py"),
    ("srv/worker.py", "python3|-u|/srv/worker.py|--fast"),
    ("/srv/worker.py", "/srv/worker.py"),
    ("svc.py alpha ", "python3|svc.py|alpha|23100"),
    ("python3 svc.py", "/usr/bin/python3|svc.py|alpha"),
    ("-m shop.api", "python3|-m|shop.api|--port|80"),
    ("gunicorn", "gunicorn: master [shop.wsgi:app]"),
    ("gunicorn", "/venv/bin/python|/venv/bin/gunicorn|shop.wsgi:app"),
    ("nginx: master process", "nginx: master process /usr/sbin/nginx -g daemon off;"),
    ("nginx -g daemon off;", "nginx: master process /usr/sbin/nginx -g daemon off;"),
    ("redis-server", "/usr/bin/redis-server 127.0.0.1:6379"),
    ("shop", "flask|--app|shop|run"),
    ("cart-7", "java|-jar|x.jar|--name=cart-7"),
    ("python3 -c a b c it", "python3|-c|a b c|it"),
    ("it", "python3|-c|a b c|it"),
    ("run.sh", "sh|/srv/run.sh"),
    ("tail -f worker.py", "tail|-f|worker.py"),
    ("", "anything"),
]
NOT_MEANT = [
    ("worker.py", "sh|-c|python3 worker.py; sleep 1"),
    ("worker.py", "sh|-c|worker.py"),
    ("worker.py", "bash|-lc|exec /srv/worker.py"),
    ("worker.py", "tail|-f|/srv/worker.py"),
    ("worker.py", "/usr/bin/vim|worker.py"),
    ("worker.py", "sudo|python3|worker.py"),
    ("worker.py", "ssh|host|python3 worker.py"),
    ("worker.py", "docker|exec|shop|python3|worker.py"),
    ("worker.py", "git|log|worker.py"),
    ("worker.py", "python3|coworker.py"),
    ("worker.py", "python3|worker.pyc"),
    ("worker.py", "python3|worker.py.bak"),
    ("svc.py alpha", "python3|svc.py|alphabet"),
    ("svc.py alpha", "python3|svc.py|beta|alpha"),
]


@pytest.mark.parametrize(("text", "line"), MEANT)
def test_whole_arguments_are_meant(text: str, line: str) -> None:
    assert fits(text, line.split("|"))


@pytest.mark.parametrize(("text", "line"), NOT_MEANT)
def test_a_mere_mention_is_not(text: str, line: str) -> None:
    assert not fits(text, line.split("|"))


def test_what_a_process_is_called_tells_no_code_and_no_argument() -> None:
    assert called(["/usr/bin/python3", "-u", "/srv/worker.py", "--token=x"]) == "python3 worker.py"
    assert called(["sh", "-c", "TOKEN=x worker"]) == "sh"
    assert called(["nginx: master process"]) == "nginx:"
    assert called([]) == "out of sight"
