"""gRPC's own server and clients, each in a process of its own: its threads and descriptors are none of the tests'."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from executor.model.system import ProcessInstance

HERE = Path(__file__).parent
UNARY = "/demo.Echo/Unary"
OTHER = "/demo.Other/Unary"


class _Talks:
    """A process that answers lines with lines."""

    def __init__(self, script: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class GrpcServer(_Talks):
    """A callee."""

    def __init__(self) -> None:
        super().__init__("grpc_server.py")
        self.port: int = self.answer()

    def seen(self) -> dict[str, int]:
        """Calls that have come, by their path."""
        self.say("seen")
        return dict(self.answer())


class GrpcCaller(_Talks):
    """A caller; told apart by its command line."""

    def __init__(self, name: str) -> None:
        self.name = f"--name={name}-{os.getpid()}"
        super().__init__("grpc_caller.py", self.name)

    @property
    def instance(self) -> ProcessInstance:
        return ProcessInstance(id="a-1", command=self.name)

    def begin(self, port: int, **how: Any) -> None:
        self.say(json.dumps({"port": port, **how}))

    def call(self, port: int, **how: Any) -> dict[str, Any]:
        self.begin(port, **how)
        return dict(self.answer())

    def well(self, port: int, **how: Any) -> bool:
        """Whether every call is answered rightly."""
        said = self.call(port, **how)
        return list(said["codes"]) == ["OK"] and said["right"] == said["codes"]["OK"]
