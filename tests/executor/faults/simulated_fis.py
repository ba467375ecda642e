"""A SIMULATED AWS Fault Injection Service: moto has none, so this stands in for it, before moto's own server.

Real are the client, its checks of what is asked, and the machines of moto that are stopped and started. What is
asked and answered is checked against botocore's own model of FIS, its patterns and lists of words too. That FIS itself
does as it is written of, nothing here shows.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import botocore.session
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

_MODEL = ServiceModel(botocore.session.get_session().get_service_data("fis"), "fis")
_DOCUMENTS = re.compile(
    r"^arn:aws:ssm:[a-z0-9-]+::document/AWSFIS-Run-(CPU-Stress|Memory-Stress|Network-Latency|Network-Packet-Loss)$"
)
_STOP, _END, _COMMAND = "aws:ec2:stop-instances", "aws:ec2:terminate-instances", "aws:ssm:send-command"
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class RefusedError(Exception):
    """An answer with FIS's own name for what is wrong."""

    def __init__(self, status: str, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class SimulatedFis:
    """Templates and experiments in memory. An experiment runs as soon as it is looked at once."""

    def __init__(self, behind: Wsgi, ec2: Callable[[], Any]) -> None:
        self.behind, self.ec2 = behind, ec2
        self.templates: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.fails = ""
        """Why the next experiment fails, if it is to."""
        self._tokens: dict[str, str] = {}
        self._lock = threading.Lock()

    def forget(self) -> None:
        """All that was ever made: tests mark theirs alike, as no two runs do."""
        for table in (self.templates, self.experiments, self._tokens):
            table.clear()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answers what is FIS's, and leaves the rest to whoever is behind."""
        parts = [part for part in environ["PATH_INFO"].split("/") if part]
        if not parts or parts[0] not in ("experimentTemplates", "experiments", "actions"):
            return self.behind(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            with self._lock:
                answer = self._answer(environ["REQUEST_METHOD"], parts, json.loads(body or b"{}"))
            status, headers = "200 OK", []
        except RefusedError as error:
            answer, status, headers = {"message": str(error)}, error.status, [("x-amzn-errortype", error.code)]
        start_response(status, [("content-type", "application/json"), *headers])
        return [json.dumps(answer).encode()]

    def _answer(self, method: str, parts: list[str], body: dict[str, Any]) -> dict[str, Any]:
        kind, name = parts[0], parts[1] if len(parts) > 1 else ""
        do: dict[tuple[str, str, bool], tuple[str, Callable[[], dict[str, Any]]]] = {
            ("GET", "actions", True): ("GetAction", lambda: {"action": {"id": name}}),
            ("POST", "experimentTemplates", False): ("CreateExperimentTemplate", lambda: self._create(body)),
            ("GET", "experimentTemplates", False): ("ListExperimentTemplates", self._list_templates),
            ("DELETE", "experimentTemplates", True): ("DeleteExperimentTemplate", lambda: self._delete(name)),
            ("POST", "experiments", False): ("StartExperiment", lambda: self._start(body)),
            ("GET", "experiments", False): ("ListExperiments", self._list),
            ("GET", "experiments", True): ("GetExperiment", lambda: {"experiment": self._look(name)}),
            ("DELETE", "experiments", True): ("StopExperiment", lambda: self._stop(name)),
        }
        operation, answer = do[method, kind, bool(name)]
        if body:
            _check(body, _MODEL.operation_model(operation).input_shape)
        said = answer()
        _check(said, _MODEL.operation_model(operation).output_shape)
        return said

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["clientToken"] not in self._tokens:
            for action in body["actions"].values():
                _check_action(action, body["targets"])
            name = f"EXT{len(self._tokens):014d}"
            self._tokens[body["clientToken"]] = name
            kept = {
                part: body[part] for part in ("description", "targets", "actions", "stopConditions", "roleArn", "tags")
            }
            self.templates[name] = {"id": name, **kept}
        return {"experimentTemplate": self.templates[self._tokens[body["clientToken"]]]}

    def _delete(self, name: str) -> dict[str, Any]:
        return {"experimentTemplate": self.templates.pop(self._known(self.templates, name))}

    def _list_templates(self) -> dict[str, Any]:
        keep = ("id", "description", "tags")
        return {"experimentTemplates": [{k: t[k] for k in keep} for t in self.templates.values()]}

    def _start(self, body: dict[str, Any]) -> dict[str, Any]:
        token = f"start {body['clientToken']}"
        if token not in self._tokens:
            template = self.templates[self._known(self.templates, body["experimentTemplateId"])]
            name = f"EXP{len(self._tokens):014d}"
            self._tokens[token] = name
            self.experiments[name] = {
                "id": name,
                "experimentTemplateId": template["id"],
                "state": {"status": "initiating"},
                "actions": template["actions"],
                "startTime": time.time(),
                "tags": body.get("tags", {}),
                "targets": template["targets"],
            }
        return {"experiment": self._seen(self.experiments[self._tokens[token]])}

    def _list(self) -> dict[str, Any]:
        keep = ("id", "experimentTemplateId", "state", "tags")
        return {"experiments": [{k: self._look(name)[k] for k in keep} for name in self.experiments]}

    def _look(self, name: str) -> dict[str, Any]:
        experiment = self.experiments[self._known(self.experiments, name)]
        action = experiment["actions"]["strike"]
        if experiment["state"]["status"] == "initiating":
            if self.fails:
                experiment["state"] = {"status": "failed", "reason": self.fails}
                self.fails = ""
            else:
                experiment["state"] = {"status": "running"}
                if action["actionId"] == _STOP:
                    self.ec2().stop_instances(InstanceIds=_instances(experiment))
                elif action["actionId"] == _END:
                    self.ec2().terminate_instances(InstanceIds=_instances(experiment))
                    experiment["state"] = {"status": "completed"}
        elif experiment["state"]["status"] == "running" and time.time() > experiment["startTime"] + _seconds(action):
            self._finish(experiment, "completed")
        return self._seen(experiment)

    def _stop(self, name: str) -> dict[str, Any]:
        experiment = self.experiments[self._known(self.experiments, name)]
        if experiment["state"]["status"] in ("initiating", "running"):
            self._finish(experiment, "stopped")
        return {"experiment": self._seen(experiment)}

    def _finish(self, experiment: dict[str, Any], status: str) -> None:
        """What is to be done after an action is done before its experiment ends, in whatever way it does."""
        if experiment["actions"]["strike"]["actionId"] == _STOP:
            self.ec2().start_instances(InstanceIds=_instances(experiment))
        experiment["state"] = {"status": status}

    def _seen(self, experiment: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in experiment.items() if k not in ("actions", "targets")}

    def _known(self, table: dict[str, Any], name: str) -> str:
        if name not in table:
            raise RefusedError("404 Not Found", "ResourceNotFoundException", f"{name} is not found.")
        return name


def _check(value: Any, shape: Shape | None) -> None:
    assert shape is not None
    report = ParamValidator().validate(value, shape)
    problems = [report.generate_report()] if report.has_errors() else []
    problems += _words(value, shape)
    if problems:
        raise RefusedError("400 Bad Request", "ValidationException", "; ".join(problems))


def _words(value: Any, shape: Any) -> list[str]:
    """What botocore leaves to the service to check: patterns, lists of words, longest lengths."""
    if shape.type_name == "structure":
        return [p for k, v in value.items() for p in _words(v, shape.members[k])]
    if shape.type_name == "list":
        return [p for each in value for p in _words(each, shape.member)]
    if shape.type_name == "map":
        return [p for k, v in value.items() for p in (*_words(k, shape.key), *_words(v, shape.value))]
    if shape.type_name != "string":
        return []
    about = shape.metadata
    wrong = [f"{shape.name}: {value!r}"] if about.get("pattern") and not re.fullmatch(about["pattern"], value) else []
    wrong += [f"{shape.name}: {value!r} is none of its words"] if shape.enum and value not in shape.enum else []
    return wrong + ([f"{shape.name} is too long"] if len(value) > about.get("max", 10**6) else [])


def _check_action(action: dict[str, Any], targets: dict[str, Any]) -> None:
    """What FIS's list of actions says of the three that are known here."""
    given = action["parameters"]
    right = set(action["targets"]) == {"Instances"} and set(action["targets"].values()) <= set(targets)
    if action["actionId"] == _STOP:
        right = right and set(given) == {"startInstancesAfterDuration"} and _seconds(action) >= 60
    elif action["actionId"] == _END:
        right = right and not given
    elif action["actionId"] == _COMMAND:
        values = json.loads(given["documentParameters"])
        right = (
            right and bool(_DOCUMENTS.match(given["documentArn"])) and all(isinstance(v, str) for v in values.values())
        ) and _seconds(action) >= 60
    else:
        right = False
    if not right:
        raise RefusedError("400 Bad Request", "ValidationException", f"the action is not valid: {action}")


def _seconds(action: dict[str, Any]) -> int:
    given = action["parameters"]
    span = given["startInstancesAfterDuration"] if action["actionId"] == _STOP else given["duration"]
    found = re.fullmatch(r"PT(\d+)M", span)
    return int(found[1]) * 60 if found else 0


def _instances(experiment: dict[str, Any]) -> list[str]:
    return [arn.rpartition("/")[2] for arn in experiment["targets"]["instance"]["resourceArns"]]
