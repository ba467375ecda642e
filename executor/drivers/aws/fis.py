"""Experiments of AWS Fault Injection Service (FIS): from a template to the end of what was made of it.

An experiment bears our mark as a tag, so it is found without anything that was learned by starting it.
Source: https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from executor.drivers.aws import api, marks
from executor.drivers.aws.marks import TAG
from executor.drivers.driver import Record
from executor.errors import UnavailableError

STOPS: Final = "murphy-stops"
"""Tag with the id of the instance that an experiment stops."""
_BEGINS_WITHIN_S = 12.0
_ENDS_WITHIN_S = 10.0
_LIVING = ("pending", "initiating", "running", "stopping")
_MOST_PAGES = 50
_SSM = "aws:ssm:send-command"
_DOCUMENTS: Final = {
    "cpu": ("AWSFIS-Run-CPU-Stress", {"LoadPercent": "percent"}),
    "memory": ("AWSFIS-Run-Memory-Stress", {"Percent": "percent"}),
    "latency": ("AWSFIS-Run-Network-Latency", {"DelayMilliseconds": "delay_ms", "Interface": "interface"}),
    "packet_loss": ("AWSFIS-Run-Network-Packet-Loss", {"LossPercent": "percent", "Interface": "interface"}),
}
"""Amazon's documents for what is done within an instance, with their parameters and ours."""


def template(fault: Record, arn: str, role: str, mark: str) -> dict[str, Any]:
    """What FIS is to be asked for: one action on one instance, which it ends by itself after ``duration_s``.

    ``fault``: the parameters of ``infrastructure.fis``; ``arn``: the instance's.
    """
    action_id, parameters = _action(fault, arn)
    return {
        "description": f"Murphy: {fault['does']} ({mark})",
        "roleArn": role,
        "stopConditions": [{"source": "none"}],  # Murphy's guard stops it, and its own duration does
        "targets": {"instance": {"resourceType": "aws:ec2:instance", "resourceArns": [arn], "selectionMode": "ALL"}},
        "actions": {
            "strike": {"actionId": action_id, "parameters": parameters, "targets": {"Instances": "instance"}},
        },
        "tags": {TAG: mark},
    }


def _action(fault: Record, arn: str) -> tuple[str, dict[str, str]]:
    span = f"PT{fault['duration_s'] // 60}M"
    if fault["does"] == "stop":
        return "aws:ec2:stop-instances", {"startInstancesAfterDuration": span}
    if fault["does"] == "terminate":
        return "aws:ec2:terminate-instances", {}
    document, names = _DOCUMENTS[fault["does"]]
    values = {theirs: _text(fault[ours]) for theirs, ours in names.items() if fault[ours] != ""}
    values |= {"DurationSeconds": _text(fault["duration_s"]), "InstallDependencies": "True"}
    _, partition, _, region, *_ = arn.split(":")
    place = f"arn:{partition}:ssm:{region}::document/{document}"
    said = json.dumps(values, separators=(",", ":"), sort_keys=True)  # FIS's own model allows no blanks here
    return _SSM, {"documentArn": place, "documentParameters": said, "duration": span}


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str) else str(round(value))


def impossible(place: Record, wanted: Record) -> str | None:
    """Why FIS could not do it, in one sentence, as far as it says before it is asked to; ``None`` if it could."""
    try:
        api.ask(place, "fis", "get_action", id=wanted["actions"]["strike"]["actionId"])
    except UnavailableError as error:
        return str(error)
    return None


def start(record: Record) -> dict[str, Any]:
    """Make the template, start an experiment, and see it begin; returns their ids.

    Raises ``UnavailableError`` with FIS's own reason if it fails.
    """
    mark = record["mark"]
    stopped = {STOPS: record["ec2"]} if record["does"] == "stop" else {}
    wanted = {**record["template"], "tags": marks.tags(mark, stopped)}
    made = api.ask(record, "fis", "create_experiment_template", clientToken=mark, **wanted)["experimentTemplate"]["id"]
    begun = api.ask(
        record, "fis", "start_experiment", clientToken=mark, experimentTemplateId=made, tags=wanted["tags"]
    )["experiment"]["id"]
    api.wait(lambda: _state(record, begun)["status"] not in ("pending", "initiating"), _BEGINS_WITHIN_S)
    state = _state(record, begun)
    if state["status"] in ("failed", "cancelled"):
        raise UnavailableError(f"FIS failed: {state.get('reason', 'it does not say why')}", where=record["instance"])
    return {"template_id": made, "experiment": begun}


def running(record: Record) -> bool:
    """Whether an experiment of ours is under way, or being ended."""
    return any(state in _LIVING for _, state in _experiments(record))


def end(record: Record) -> None:
    """Stop what runs, let FIS undo what it has done, and delete the template. Idempotent.

    Raises ``UnavailableError`` while FIS is still at it.
    """
    stop(record)
    forget(record)


def stop(record: Record) -> None:
    """Stop what runs. Idempotent. Raises ``UnavailableError`` while FIS is still at it."""
    for experiment, state in _experiments(record):
        if state in _LIVING and state != "stopping":
            with api.unless_gone():
                api.ask(record, "fis", "stop_experiment", id=experiment)
    if not api.wait(lambda: not running(record), _ENDS_WITHIN_S):
        raise UnavailableError("FIS is still ending its experiment.", where=record["instance"])


def forget(record: Record) -> None:
    """Delete the template. Idempotent."""
    for made in _templates(record):
        with api.unless_gone():
            api.ask(record, "fis", "delete_experiment_template", id=made)


def marked(place: Record) -> dict[str, dict[str, str]]:
    """The tags of all of ours that is there: templates and experiments under way; by mark."""
    templates = _listed(place, "list_experiment_templates", "experimentTemplates")
    experiments = _listed(place, "list_experiments", "experiments")
    found = [*templates, *(each for each in experiments if each["state"]["status"] in _LIVING)]
    borne = (dict(each.get("tags") or {}) for each in found)
    return {tags[TAG]: tags for tags in borne if marks.HOLDER in tags and TAG in tags}


def _state(record: Record, experiment: str) -> dict[str, Any]:
    state: dict[str, Any] = api.ask(record, "fis", "get_experiment", id=experiment)["experiment"]["state"]
    return state


def _templates(record: Record) -> Iterator[str]:
    for each in _listed(record, "list_experiment_templates", "experimentTemplates"):
        if each.get("tags", {}).get(TAG) == record["mark"]:
            yield each["id"]


def _experiments(record: Record) -> list[tuple[str, str]]:
    """Ids of ours with their states; experiments outlive their template."""
    found = _listed(record, "list_experiments", "experiments")
    return [(each["id"], each["state"]["status"]) for each in found if each.get("tags", {}).get(TAG) == record["mark"]]


def _listed(record: Record, operation: str, name: str) -> Iterator[dict[str, Any]]:
    more: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        answer = api.ask(record, "fis", operation, maxResults=100, **more)
        yield from answer[name]
        if not (token := answer.get("nextToken")):
            return
        more = {"nextToken": token}
    raise UnavailableError("FIS lists too many experiments to find ours.", where=record["instance"])
