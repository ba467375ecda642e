"""The control socket: who may use it, what it says to bad input, and how long a fault lives."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from executor.model.system import Dependency, ManagedProxy
from executor.proxy import edges
from tests.executor.proxy.conftest import Managed
from tests.executor.proxy.servers import Callee, free_port, get, read_answer, status, wait_until

Dial = Callable[[int], socket.socket]
GOOD: dict[str, Any] = {"do": "put", "edge": "a->b", "mark": "m", "lease_s": 5, "fault": {"kind": "hang"}}


def _status(dial: Dial, port: int) -> int:
    one = dial(port)
    one.sendall(get("/plain"))
    return status(read_answer(one))


def test_only_the_owner_may_open_it(proxy: Managed) -> None:
    assert stat.S_IMODE(Path(proxy.control).stat().st_mode) == 0o600


BAD = {
    "not json": (b"put everything!\n", "not JSON"),
    "deep json": (b"[" * 60_000 + b"\n", "JSON"),
    "not an object": (b"[1]\n", "must be a JSON object"),
    "no command": (b"{}\n", "do must be one of"),
    "unknown command": ({"do": "listen"}, "do must be one of"),
    "command of another type": ({"do": ["put"]}, "do must be one of"),
    "missing field": ({"do": "put", "edge": "a->b"}, "put lacks fault, lease_s, mark"),
    "unknown field": (GOOD | {"force": True}, "unknown force"),
    "unknown edge": (GOOD | {"edge": "x->y"}, "no edge is named x->y"),
    "mark of another type": (GOOD | {"mark": 7}, "mark must be text"),
    "lease of another type": (GOOD | {"lease_s": "long"}, "lease_s must be a number"),
    "no lease": (GOOD | {"lease_s": 0}, "lease_s must be a number above 0"),
    "endless lease": (b'{"do": "renew", "mark": "m", "lease_s": Infinity}\n', "lease_s must be a number"),
    "not a number": (b'{"do": "renew", "mark": "m", "lease_s": NaN}\n', "lease_s must be a number"),
    "fault of another type": (GOOD | {"fault": "hang"}, "fault must be a JSON object"),
    "unknown kind": (GOOD | {"fault": {"kind": "melt"}}, "fault kind must be one of"),
    "kind of another type": (GOOD | {"fault": {"kind": ["hang"]}}, "fault kind must be one of"),
    "unknown parameter": (GOOD | {"fault": {"kind": "hang", "depth": 1}}, "unknown depth"),
    "bad probability": (GOOD | {"fault": {"kind": "hang", "probability": 1.5}}, "probability must lie between"),
    "not a probability": (
        b'{"do":"put","edge":"a->b","mark":"m","lease_s":5,"fault":{"kind":"hang","probability":NaN}}\n',
        "probability must lie between",
    ),
    "bad status": (GOOD | {"fault": {"kind": "error", "status": 200}}, "status must be 400 to 599"),
    "http on a tcp edge": (GOOD | {"edge": "a->c", "fault": {"kind": "error"}}, "speaks http"),
    "no delay": (GOOD | {"fault": {"kind": "delay"}}, "delay_ms must be above 0"),
    "endless line": (b"x" * 200_000 + b"\n", "at most 65536 bytes"),
}


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Any:
    callee = Callee()
    managed = Managed(tmp_path_factory.mktemp("proxy"), callee.port)
    yield managed
    managed.stop()
    callee.stop()


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence_and_changes_nothing(steady: Managed, dial: Dial, case: str) -> None:
    said, expected = BAD[case]
    line = said if isinstance(said, bytes) else json.dumps(said).encode() + b"\n"
    answer = steady.ask_raw(line)
    assert answer.keys() == {"error"}
    assert expected in answer["error"]
    assert "\n" not in answer["error"]
    assert steady.ask({"do": "active", "mark": "m"})["edges"] == []
    assert _status(dial, steady.http) == 200


def test_a_fault_that_nobody_renews_ends_by_itself(proxy: Managed, dial: Dial) -> None:
    assert _status(dial, proxy.http) == 200
    proxy.put(kind="error", status=500, lease_s=1.0)
    assert edges.active(proxy.control, "m") == ["a->b"]
    assert _status(dial, proxy.http) == 500
    wait_until(lambda: not edges.active(proxy.control, "m"))
    assert _status(dial, proxy.http) == 200
    assert edges.renew(proxy.control, "m", 60.0) == []
    assert _status(dial, proxy.http) == 200


def test_renewal_pushes_the_lease_on(proxy: Managed, dial: Dial) -> None:
    proxy.put(kind="error", status=500, lease_s=5.0)
    assert edges.renew(proxy.control, "m", 0.3) == ["a->b"]
    wait_until(lambda: not edges.active(proxy.control, "m"), 4.5)
    proxy.put(kind="error", status=500, lease_s=1.0, mark="n")
    assert edges.renew(proxy.control, "n", 60.0) == ["a->b"]
    proxy.put(edge="a->c", kind="hang", lease_s=1.5, mark="clock")
    wait_until(lambda: not edges.active(proxy.control, "clock"))
    assert _status(dial, proxy.http) == 500


def test_a_put_that_comes_after_its_drop_changes_nothing(proxy: Managed, dial: Dial) -> None:
    assert proxy.drop() == []
    with pytest.raises(edges.ProxyRefusedError, match="mark m is over"):
        proxy.put(kind="error")
    assert _status(dial, proxy.http) == 200


def test_marks_stand_side_by_side(proxy: Managed, dial: Dial) -> None:
    proxy.put(kind="error", status=500, mark="one", path="/x")
    proxy.put(kind="error", status=501, mark="two")
    assert proxy.drop("one") == ["a->b"]
    assert _status(dial, proxy.http) == 501
    assert proxy.drop("two") == ["a->b"]
    assert proxy.drop("two") == []
    assert _status(dial, proxy.http) == 200


def test_a_client_killed_in_the_middle_leaves_the_fault_to_its_lease(proxy: Managed, dial: Dial) -> None:
    script = (
        "import json, os, socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        " s.sendall(sys.argv[2].encode() + b'\\n' + b'{\"do\": \"re'); s.recv(100); os.kill(os.getpid(), 9)"
    )
    request = json.dumps(GOOD | {"fault": {"kind": "error"}, "lease_s": 1})
    done = subprocess.run([sys.executable, "-c", script, proxy.control, request], check=False)
    assert done.returncode == -signal.SIGKILL
    wait_until(lambda: not edges.active(proxy.control, "m"))
    assert _status(dial, proxy.http) == 200


def test_a_killed_proxy_is_said_to_be_gone_and_comes_back_with_nothing(proxy: Managed, dial: Dial) -> None:
    proxy.put(kind="error")
    proxy.process.kill()
    proxy.process.wait()
    for ask in (edges.active, edges.drop):
        with pytest.raises(edges.ProxyGoneError):
            ask(proxy.control, "m")
    proxy.start()
    assert edges.active(proxy.control, "m") == []
    assert _status(dial, proxy.http) == 200


def test_a_proxy_that_stands_still_cannot_be_asked(proxy: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edges, "ANSWER_S", 0.2)
    proxy.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(edges.UnavailableError, match="does not answer") as raised:
            edges.active(proxy.control, "m")
        assert not isinstance(raised.value, edges.ProxyGoneError)
    finally:
        proxy.process.send_signal(signal.SIGCONT)


def test_calls_are_counted_or_unknown(proxy: Managed, dial: Dial) -> None:
    known = ManagedProxy(control=proxy.control, edge="a->b")
    edge = Dependency(caller="a", callee="b", interception=known)
    assert edges.count_calls(edge) == 0
    _status(dial, proxy.http)
    assert edges.count_calls(edge) == 1
    proxy.put(kind="error")
    _status(dial, proxy.http)
    assert edges.count_calls(edge) == 2
    assert edges.count_calls(Dependency(caller="a", callee="b")) is None
    unknown = ManagedProxy(control=proxy.control, edge="x->y")
    assert edges.count_calls(Dependency(caller="a", callee="b", interception=unknown)) is None
    proxy.stop()
    assert edges.count_calls(edge) is None


def test_it_ends_when_told_with_its_socket_and_its_connections(proxy: Managed, dial: Dial) -> None:
    idle, held = dial(proxy.http), dial(proxy.tcp)
    idle.sendall(get("/plain"))
    read_answer(idle)
    proxy.put(edge="a->c", kind="hang")
    held.sendall(b"1")
    wait_until(lambda: proxy.counters("a->c")["calls"])
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(proxy.control)
        channel.sendall(b'{"do": "edges"}\n')
        assert channel.recv(1)
        proxy.stop()
    assert proxy.process.returncode == 0
    assert not Path(proxy.control).exists()
    assert "Traceback" not in proxy.log.read_text()
    for one in (idle, held):
        with pytest.raises(ConnectionResetError):
            one.recv(1)


def _start(directory: Path, **changes: Any) -> tuple[int, str]:
    edge = {"edge": "a->b", "listen": free_port(), "upstream": 9, "protocol": "http"}
    config = directory / "bad.json"
    config.write_text(json.dumps({"control": str(directory / "other.sock"), "edges": [edge | changes]}))
    command = [sys.executable, "-m", "executor.proxy", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_what_it_cannot_do_it_says_in_one_line(proxy: Managed, tmp_path: Path) -> None:
    code, said = _start(tmp_path, listen=proxy.http)
    assert code == 2
    assert "cannot be listened on" in said.splitlines()[-1]
    code, said = _start(tmp_path, protocol="smtp")
    assert (code, len(said.splitlines())) == (2, 1)
    assert "must be http, grpc or tcp" in said
    again = subprocess.run(proxy.command, capture_output=True, text=True, timeout=60, check=False)
    assert again.returncode == 2
    assert edges.served(proxy.control).keys() == {"a->b", "a->c"}
