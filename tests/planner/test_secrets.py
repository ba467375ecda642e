"""No secret of the systems that Murphy works on, nor of its own, gets into what it keeps, says, or sends to a model."""

from __future__ import annotations

import base64
import html
import json
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from executor.errors import InputError
from executor.model.system import Dependency, Service, System
from executor.safety.limits import to_toml
from executor.state.home import Home
from executor.state.journal import Journal
from knowledge.topology.annotations import load_system
from planner import files
from tests.executor.faults import servers
from tests.executor.faults.servers import Postgres
from tests.executor.kit import LIMITS, until
from tests.experts.provider import Provider, provider
from tests.planner.canaries import Canaries
from tests.planner.vault import Guarded, Vault, close


@pytest.fixture(scope="module")
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory, canaries: Canaries) -> Iterator[Vault]:
    with servers.directory() as root:
        postgres = Postgres(root)
        postgres.start()
        redis = Guarded(root, canaries.plant("redis password"))
        made = None
        try:
            postgres.prepare()
            close(postgres, canaries.plant("dsn"))
            with redis.client() as client:
                client.set(canaries.plant("key of a cache"), canaries.plant("value of a cache"))
            made = Vault(tmp_path_factory.mktemp("vault"), postgres, redis, canaries)
            yield made
        finally:
            if made:
                made.end()
            redis.end()
            postgres.end()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_secret_is_kept_said_or_sent(vault: Vault, canaries: Canaries) -> None:
    """The whole loop: discovered, planned by both kinds of experts, run, killed in mid-fault, recovered, reported."""
    ports = [word for port in (vault.port, vault.postgres.port, vault.redis.port) for word in ("--port", str(port))]
    notes = str(vault.directory / "annotations.yaml")
    vault.murphy("discover", "--live", *ports, "--annotations", notes, "--name", "vault", "--window", "0.3")
    with provider(lambda _schema, _told: {"proposals": [], "critiques": []}) as server:
        asked = plan_with_models(vault, server)
    assert asked
    assert not canaries.found("\n".join(asked).encode())

    (vault.work / "limits.toml").write_text(to_toml(LIMITS), encoding="utf-8")
    vault.murphy("keys", "create", "operator")
    one, other = vault.plans()
    files.save(one, vault.work / "plan.json")
    killed_in_mid_fault(vault)
    vault.murphy("recover", "--json")
    files.save(other, vault.work / "plan.json")
    vault.murphy("approve", "plan.json", "--key", "operator", "--yes")
    vault.murphy("run", "plan.json", "--json", codes=(0, 1))
    look_at_everything(vault)

    assert canaries.found_in(vault.home.path, vault.work) == {}
    assert not canaries.found(b"\n".join(vault.said))
    with vault.redis.client() as client:
        assert client.get(canaries.known["key of a cache"]) == canaries.known["value of a cache"].encode()


def plan_with_models(vault: Vault, server: Provider) -> list[str]:
    """Plan with no model and with one; what that one was sent, the key for it aside, which it must get."""
    vault.murphy("plan", "--goal", "Does web stand?", "-o", "offline.json", codes=(0, 2, 3))
    for name, address in (("openai", server.url("/v1")), ("anthropic", server.url())):
        given = {f"{name.upper()}_BASE_URL": address, "MURPHY_MODEL_CALLS": "4"}
        vault.murphy("plan", "--experts", name, "-o", f"{name}.json", "--json", codes=(0, 2, 3), **given)
    keys = ("authorization", "x-api-key")
    return [
        json.dumps([{k: v for k, v in headers.items() if k not in keys}, body], ensure_ascii=False)
        for _, headers, body in server.requests
    ]


def killed_in_mid_fault(vault: Vault) -> None:
    vault.murphy("show", "plan.json")
    vault.murphy("approve", "plan.json", "--key", "operator", "--yes")
    running = vault.begin("run", "plan.json")
    until(lambda: running.poll() is not None or len(injected(vault.home)) == 3, within_s=240)
    assert running.poll() is None, running.communicate()
    kept = [path for path in vault.home.runs.glob("*/scratch/*") if vault.canaries.found(path.read_bytes())]
    running.kill()
    vault.said += running.communicate()
    assert {path.suffix for path in kept} == {".environ", ".arguments", ".keys"}, "what undoing needs is kept meanwhile"
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept if path.exists())
    until(lambda: not injected(vault.home) and not list(vault.home.runs.glob("*/scratch")), within_s=120)


def injected(home: Home) -> list[object]:
    if not home.journal.exists():
        return []
    with closing(Journal(home.journal)) as journal:
        return [injection for injection in journal.pending() if injection.state == "injected"]


def look_at_everything(vault: Vault) -> None:
    look: list[tuple[str, ...]] = [
        ("findings", "--json"),
        ("report", "-o", "report.html"),
        ("report", "-o", "report.md"),
        ("evidence", "--json"),
        ("evidence", "--recompute"),
        ("why", "web", "--json"),
        ("experts", "--json"),
        ("faults", "--target", "db"),
        ("faults", "--target", "worker", "--json"),
        ("doctor",),
        ("keys", "list", "--json"),
        ("audit", "show", "--json"),
        ("audit", "export", "-o", "audit.jsonl"),
        ("show", "plan.json", "--json"),
        ("halt", "a drill", "--json"),
        ("resume",),
    ]
    code = "import json, sys\nfrom planner.cli.main import app\n"
    code += "for words in json.loads(sys.argv[1]):\n    app(words, standalone_mode=False)\n"
    done = subprocess.run(  # all in one process, which loads what they need once
        [sys.executable, "-c", code, json.dumps(look)],
        cwd=vault.work,
        env=vault.environment,
        capture_output=True,
        timeout=300,
        check=False,
    )
    vault.said += [done.stdout, done.stderr]
    assert done.returncode == 0, done.stderr.decode()
    for expected in (b"data.connection_failure", b"run_started", b"a drill"):
        assert expected in done.stdout, expected


def test_a_canary_is_found_in_any_spelling() -> None:
    canaries = Canaries()
    canary = canaries.plant("one")
    canaries.plant("another")
    spelt = [json.dumps({"a": canary}), html.escape(f"<{canary}>"), quote(f"/{canary}/"), f"x{canary.lower()}x"]
    spelt += [base64.b64encode(f"{'x' * n}{canary}yz".encode()).decode() for n in range(3)]
    for text in (*spelt, canary.encode("utf-16").decode("latin-1"), canary.encode().hex()):
        assert canaries.found(f"before {text} after".encode("latin-1")) == {"one"}, text


_BACKUP = {"path": "/x", "verify_command": ["true"]}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda web, c: web["operations"][0]["probe"].update(url=f"http://user:{c}@127.0.0.1:1/"),
        lambda web, c: web["operations"][0]["probe"].update(url=f"http://127.0.0.1:1/?a=b&api_key={c}"),
        lambda web, c: web["instances"][0].update(command=f"server --password={c}"),
        lambda web, c: web.update(restart_command=["server", "--db-password", c]),
        lambda web, c: web.update(restart_command=["sh", "-c", f"server --db-password {c}"]),
        lambda web, c: web.update(dsn=f"postgresql://u:{c}@127.0.0.1/db"),
        lambda web, c: web.update(control=f"http://admin:{c}@127.0.0.1:2019"),
        lambda web, c: web.update(backup={"path": "/x", "verify_command": ["true", f"--password={c}"]}),
        lambda web, c: web.update(backup=_BACKUP | {"restore_command": ["psql", f"postgresql://u:{c}@h/d"]}),
        lambda web, c: web.update(backup=_BACKUP | {"invariants": [f"select 1 -- postgresql://u:{c}@h"]}),
        lambda web, c: web.update(config=[{"path": f"/x?token={c}", "format": "json"}]),
        lambda web, c: web["instances"][0].update(driver="container", container="c", engine=f"tcp://u:{c}@h:2376"),
        lambda web, c: web["instances"][0].update(driver="theirs", at={"password": c}),
    ],
    ids=[
        *("address", "parameter", "command", "restart command", "shell's command", "dsn", "control", "verify command"),
        *("restore command", "invariant", "path of settings", "engine", "another driver's"),
    ],
)
def test_a_secret_in_a_system_is_refused_and_not_repeated(
    tmp_path: Path, spoil: Callable[[dict[str, object], str], None]
) -> None:
    canary = Canaries().plant("system")
    operation = {"id": "page", "service": "web", "probe": {"kind": "http", "url": "http://127.0.0.1:1/"}}
    web: dict[str, object] = {"name": "web", "instances": [{"id": "web-1", "port": 1}], "operations": [operation]}
    (tmp_path / "system.yaml").write_text(yaml.safe_dump({"name": "s", "services": [web]}), encoding="utf-8")
    load_system(tmp_path / "system.yaml")
    spoil(web, canary)
    (tmp_path / "system.yaml").write_text(yaml.safe_dump({"name": "s", "services": [web]}), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_system(tmp_path / "system.yaml")
    assert canary not in str(refused.value)
    assert "env:" in str(refused.value) or "kept, shown and sent to models" in str(refused.value)


def test_a_secret_of_an_edge_is_refused_by_the_fields_name() -> None:
    edge = Dependency(caller="web", callee="web", source=("environment X=redis://u:p@h",))
    with pytest.raises(ValueError, match=r"dependencies\.0\.source holds what looks like a secret"):
        System(name="s", services=(Service(name="web"),), dependencies=(edge,))
    with pytest.raises(ValueError, match="host"):
        Dependency(caller="web", callee="web", host="u:p@h")
