"""Experiments of Fault Injection Service: what is asked for, and what the contract suite does not show."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from executor.drivers.aws import api, fis
from executor.drivers.targets import Ec2Target
from executor.errors import UnavailableError
from executor.model.faults.infrastructure import Fis
from tests.executor.faults.amazon import ROLE, Amazon
from tests.executor.faults.infrastructure.test_ec2 import Struck

ARN = "arn:aws:ec2:eu-central-1:123456789012:instance/i-0123456789abcdef0"


@pytest.fixture
def service(amazon: Amazon) -> Iterator[Amazon]:
    amazon.fis.forget()
    yield amazon
    amazon.end()


@pytest.mark.parametrize(
    ("fault", "document", "values"),
    [
        (Fis(does="cpu", percent=80), "CPU-Stress", {"LoadPercent": "80"}),
        (Fis(does="memory", percent=70), "Memory-Stress", {"Percent": "70"}),
        (Fis(does="latency", delay_ms=250), "Network-Latency", {"DelayMilliseconds": "250"}),
        (
            Fis(does="packet_loss", percent=15, interface="ens5"),
            "Network-Packet-Loss",
            {"LossPercent": "15", "Interface": "ens5"},
        ),
    ],
    ids=lambda each: each.does if isinstance(each, Fis) else "",
)
def test_a_command_within_the_instance(service: Amazon, fault: Fis, document: str, values: dict[str, str]) -> None:
    """The client and botocore's model of FIS take it; this FIS is simulated and gives no command."""
    struck = Struck(service, fault)
    struck.inject()
    action = struck.record["template"]["actions"]["strike"]
    assert action["actionId"] == "aws:ssm:send-command"
    given = action["parameters"]
    assert given["documentArn"] == f"arn:aws:ssm:eu-central-1::document/AWSFIS-Run-{document}"
    assert given["duration"] == "PT5M"
    assert json.loads(given["documentParameters"]) == values | {"DurationSeconds": "300", "InstallDependencies": "True"}
    assert struck.how.active(struck.record) is True
    assert service.image_of(struck.machine) == struck.before
    struck.how.revert(struck.record)
    assert struck.how.active(struck.record) is False
    assert service.fis.templates == {}
    assert [e["state"]["status"] for e in service.fis.experiments.values()] == ["stopped"]


def test_it_ends_by_itself(service: Amazon) -> None:
    struck = Struck(service, Fis(does="stop", duration_s=60))
    struck.inject()
    assert struck.how.active(struck.record) is True
    service.fis.experiments[struck.record["experiment"]]["startTime"] = time.time() - 61
    assert struck.how.active(struck.record) is False
    assert service.image_of(struck.machine) == struck.before
    struck.how.revert(struck.record)
    assert service.fis.templates == {}


def test_one_that_fails_says_why_and_leaves_nothing(service: Amazon) -> None:
    struck = Struck(service, Fis(does="cpu"))
    service.fis.fails = "The instance is not managed by Systems Manager."
    with pytest.raises(UnavailableError, match=r"FIS failed: The instance is not managed by Systems Manager\."):
        struck.inject()
    assert len(service.fis.templates) == 1
    struck.how.revert(struck.record)
    assert service.fis.templates == {}


def test_a_template_of_which_nothing_was_started_goes_too(service: Amazon) -> None:
    """Whoever made it died before it said so."""
    struck = Struck(service, Fis(does="stop"))
    record = {**struck.how.prepare(struck.fault, struck.target, _context(struck)), "endpoint": service.endpoint}
    api.ask(record, "fis", "create_experiment_template", clientToken="one", **record["template"])
    assert struck.how.active(record) is False
    struck.how.revert(record)
    assert service.fis.templates == {}


def test_experiments_of_others_are_left_alone(service: Amazon) -> None:
    struck = Struck(service, Fis(does="cpu"))
    struck.inject()
    theirs = {**struck.record["template"], "tags": {"team": "theirs"}}
    made = api.ask(struck.record, "fis", "create_experiment_template", clientToken="theirs", **theirs)
    begun = api.ask(
        struck.record,
        "fis",
        "start_experiment",
        clientToken="theirs",
        experimentTemplateId=made["experimentTemplate"]["id"],
    )["experiment"]["id"]
    struck.how.revert(struck.record)
    assert list(service.fis.templates) == [made["experimentTemplate"]["id"]]
    assert service.fis.experiments[begun]["state"]["status"] == "running"


def test_without_a_role_it_says_where_to_name_one(service: Amazon) -> None:
    struck = Struck(service, Fis(does="cpu"))
    target = Ec2Target(struck.target.service, "web-1", struck.machine, "eu-central-1", service.endpoint)
    assert "name one as fis_role of web-1" in str(struck.how.unsupported(struck.fault, target))


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"roleArn": 7}, "Invalid type for parameter roleArn"),
        ({"stopConditions": None}, 'Missing required parameter in input: "stopConditions"'),
        ({"actions": {"strike": {"parameters": {}}}}, 'Missing required parameter in actions.strike: "actionId"'),
    ],
)
def test_what_is_asked_is_checked_by_botocore(service: Amazon, broken: dict[str, Any], why: str) -> None:
    """So that the tests above cannot pass with what Amazon's own client would refuse."""
    wanted = {**fis.template(Fis(does="stop").model_dump(), ARN, ROLE, "murphy-1"), **broken}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    place = {"region": "eu-central-1", "endpoint": service.endpoint, "instance": "web-1"}
    with pytest.raises(UnavailableError, match=why):
        api.ask(place, "fis", "create_experiment_template", clientToken="x", **wanted)


def _context(struck: Struck) -> Any:
    from executor.faults.behaviour import Context

    return Context(struck.system, "murphy-half", "/tmp")
