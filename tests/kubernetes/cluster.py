"""A real API server with etcd, controller manager and scheduler on loopback; kubelets are simulated, there are none.

``build.sh`` has built them. Everything lives in a directory of its own and ends with the context. What a kubelet would
do is patched in: nodes and pods become ready, and pods that are to end are forgotten.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import secrets
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from executor.drivers.kubernetes.api import AbsentError, Api, RefusedError, connect
from executor.errors import UnavailableError
from tests.executor.faults.kube_fake.store import KINDS
from tests.executor.faults.kube_fake.world import SPACE, manifests, space_of
from tests.executor.kit import until

Json = dict[str, Any]
BUILT = Path(os.environ.get("MURPHY_KUBERNETES", Path.home() / ".cache/murphy/kubernetes")) / "bin"


class Remote:
    """The objects of a real cluster, as the simulated one's store gives them."""

    def __init__(self, api: Api, served: Json) -> None:
        self.api, self.served = api, served

    def _path(self, plural: str, namespace: str, name: str = "") -> str:
        group = next(self.served[group] for group, kinds in KINDS.items() if plural in kinds)
        spaced = f"/namespaces/{namespace}" if namespace else ""
        return f"{'/api' if group == 'v1' else '/apis'}/{group}{spaced}/{plural}{'/' if name else ''}{name}"

    def all(self, plural: str, namespace: str = "") -> list[Json]:
        found = self.api.all(self._path(plural, namespace))
        usual = ("kubernetes", "kube-root-ca.crt")
        spaced = [each for each in found if each["metadata"].get("namespace", SPACE) == SPACE]
        return [each for each in spaced if each["metadata"]["name"] not in usual]

    def get(self, plural: str, name: str, namespace: str = "") -> Json:
        return self.api.read(self._path(plural, namespace, name))

    def create(self, plural: str, body: Json, namespace: str = "") -> Json:
        group = next(self.served[group] for group, kinds in KINDS.items() if plural in kinds)
        return self.api.create(self._path(plural, namespace), {**body, "apiVersion": group})

    def remove(self, plural: str, found: Json) -> None:
        about = found["metadata"]
        self.api.delete(self._path(plural, about.get("namespace", ""), about["name"]), grace_s=0)

    def status(self, plural: str, found: Json, status: Json) -> None:
        """Patch what a kubelet would say."""
        about = found["metadata"]
        path = self._path(plural, about.get("namespace", ""), about["name"]) + "/status"
        with suppress(RefusedError):
            self.api.change(path, lambda _: {"status": status})

    def furnish(self) -> None:
        """The system that is struck, anew."""
        for plural in ("deployments", "services", "secrets", "networkpolicies", "poddisruptionbudgets", "nodes"):
            for each in self.all(plural, space_of(plural)):
                self.remove(plural, each)
        until(lambda: not self.all("pods", SPACE) and not self.all("endpoints", SPACE), 60, "pods stay")
        for plural, body in manifests():
            with suppress(RefusedError) if plural == "namespaces" else ExitStack():
                self.create(plural, body, space_of(plural))


class Kubelets:
    """SIMULATED kubelets for all nodes."""

    def __init__(self, remote: Remote) -> None:
        self.remote, self._addresses = remote, itertools.count(10)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._ended.wait(0.05):
            with suppress(UnavailableError):
                self._turn()

    def _turn(self) -> None:
        for node in self.remote.all("nodes"):
            if not node.get("status", {}).get("allocatable"):
                room = {"cpu": "8", "memory": "16Gi", "pods": "110"}
                ready = [{"type": "Ready", "status": "True", "reason": "Simulated", "message": ""}]
                self.remote.status("nodes", node, {"capacity": room, "allocatable": room, "conditions": ready})
        for pod in self.remote.all("pods", SPACE):
            if not pod["spec"].get("nodeName"):
                continue
            if pod["metadata"].get("deletionTimestamp"):
                self.remote.remove("pods", pod)
            elif not pod.get("status", {}).get("podIP"):
                address = f"10.1.0.{next(self._addresses) % 250}"
                conditions = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")]
                status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions}
                self.remote.status("pods", pod, status)


@contextmanager
def running() -> Iterator[tuple[Remote, Json]]:
    """A cluster that runs, and a kubeconfig for it. Raises ``AssertionError`` if it is not built or does not start."""
    assert (BUILT / "kube-apiserver").exists(), f"nothing in {BUILT}: run make test-k8s"
    with TemporaryDirectory(prefix="murphy-k8s-") as root, ExitStack() as stack:
        place = Path(root)
        settings = _settings(place, stack)
        file = place / "kubeconfig.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(settings))
        api = connect({"kubeconfig": str(file)})
        until(lambda: _well(api), 60, f"no API server: {(place / 'kube-apiserver.log').read_text()[-2000:]}")
        for name, more in (("kube-controller-manager", _MANAGER), ("kube-scheduler", ())):
            silent = ("--leader-elect=false", "--port=0", "--secure-port=0")  # nobody asks them anything
            _start(place, stack, BUILT / name, f"--kubeconfig={file}", *silent, *more)
        remote = Remote(api, {group: _served(api, group) for group in KINDS})
        with Kubelets(remote):
            yield remote, settings


@cache
def _cluster() -> tuple[Remote, Json]:
    """One for all tests; it takes seconds to start."""
    manager = running()
    atexit.register(manager.__exit__, None, None, None)
    return manager.__enter__()


@contextmanager
def real() -> Iterator[tuple[Remote, Json]]:
    """The real cluster, furnished anew."""
    remote, settings = _cluster()
    remote.furnish()
    yield remote, settings


_MANAGER = ("--node-monitor-grace-period=1h", "--node-startup-grace-period=1h", "--pod-eviction-timeout=1h")
"""Nobody sends a node's heartbeats."""


def _settings(place: Path, stack: ExitStack) -> Json:
    """Start etcd and the API server; a kubeconfig for it."""
    client, peer, port = _free_ports(3)
    etcd = shutil.which("etcd")
    assert etcd, "etcd is not installed"
    urls = [f"--listen-client-urls=http://127.0.0.1:{client}", f"--advertise-client-urls=http://127.0.0.1:{client}"]
    peers = [f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}"]
    cluster = f"--initial-cluster=default=http://127.0.0.1:{peer}"
    _start(place, stack, Path(etcd), f"--data-dir={place / 'etcd'}", "--unsafe-no-fsync", *urls, *peers, cluster)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    signer, tokens, token = place / "signer.pem", place / "tokens.csv", f"canary-{secrets.token_hex(8)}"
    for file, content in ((signer, key), (tokens, f'{token},murphy,1,"system:masters"\n'.encode())):
        file.touch(mode=0o600)
        file.write_bytes(content)
    _start(
        place,
        stack,
        BUILT / "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{client}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=192.0.2.1",
        "--endpoint-reconciler-type=none",
        f"--cert-dir={place / 'certificates'}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://murphy.test",
        f"--service-account-signing-key-file={signer}",
        f"--service-account-key-file={signer}",
        "--service-cluster-ip-range=10.2.0.0/16",
        "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
    )
    authority = place / "certificates" / "apiserver.crt"
    until(lambda: authority.exists(), 60, "the API server makes no certificate")
    server = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(authority)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "real",
        "contexts": [{"name": "real", "context": {"cluster": "real", "user": "murphy"}}],
        "clusters": [{"name": "real", "cluster": server}],
        "users": [{"name": "murphy", "user": {"token": token}}],
    }


def _free_ports(count: int) -> list[int]:
    """Ports that differ: they are held until all are known."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]


def _start(place: Path, stack: ExitStack, program: Path, *arguments: str) -> None:
    with (place / f"{program.name}.log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], stdout=log, stderr=log, cwd=place)
    stack.callback(process.wait)
    stack.callback(process.kill)


def _well(api: Api) -> bool:
    with suppress(UnavailableError):
        return bool(api.all("/api/v1/namespaces"))
    return False


def _served(api: Api, group: str) -> str:
    """The group's version there: policies became stable in 1.21."""
    try:
        api.read(f"{'/api' if group == 'v1' else '/apis'}/{group}")
    except AbsentError:
        return f"{group}beta1"
    return group
