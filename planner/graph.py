"""The loop as a graph: each step's result is checkpointed, so that a crash in the middle loses and repeats nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import Any, Final

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Send

from executor.state.durable import create
from planner.nodes.adapt import adapt
from planner.nodes.approve import approve
from planner.nodes.brief import brief
from planner.nodes.check import check
from planner.nodes.compile import compile as compile_
from planner.nodes.critique import critique
from planner.nodes.gather import gather
from planner.nodes.learn import learn
from planner.nodes.propose import propose
from planner.nodes.recall import recall
from planner.nodes.rehearse import rehearse
from planner.nodes.run import run
from planner.nodes.select import select
from planner.shelf import BUSY_S, unkept
from planner.state import Asked, State
from planner.tools import Tools

Graph = CompiledStateGraph[Any, Any, Any, Any]

STEPS: tuple[tuple[str, Callable[[State, Tools], State]], ...] = (
    ("recall", recall),
    ("brief", brief),
    ("gather", gather),
    ("compile", compile_),
    ("rehearse", rehearse),
    ("select", select),
    ("check", check),
    ("approve", approve),
    ("run", run),
    ("learn", learn),
    ("adapt", adapt),
)
"""The steps in their order. Between ``brief`` and ``gather`` each expert proposes, and after that each criticises."""
ORDER: Final = (*("recall", "brief", "propose", "gather", "critique"), *(name for name, _ in STEPS[3:]))
"""Every node in its order."""
_ASKINGS: tuple[tuple[str, Callable[[Asked, Tools], State]], ...] = (("propose", propose), ("critique", critique))


@contextmanager
def open_graph(tools: Tools) -> Iterator[Graph]:
    """The graph over the home's checkpoints (mode 0600). Only plain values are ever read back from them.

    Raises ``UnavailableError`` where they cannot be read or written, also while the graph is used.
    """
    path = tools.home.sessions
    try:
        create(path)
        with closing(sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)) as connection:
            yield build(tools).compile(SqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None)))
    except sqlite3.Error as error:
        raise unkept(path, error) from error


def build(tools: Tools) -> StateGraph[State, None, State, State]:
    """Nodes and edges, before they are given a memory of their own."""
    graph = StateGraph(State)
    for name, step in STEPS:
        graph.add_node(name, _bound(step, tools))
    for name, asking in _ASKINGS:
        graph.add_node(name, _asking(asking, tools), input_schema=Asked)
    graph.add_edge(START, "recall")
    graph.add_edge("recall", "brief")
    graph.add_conditional_edges("brief", _each("propose", tools), ["propose"])
    graph.add_edge("propose", "gather")
    graph.add_conditional_edges("gather", _each("critique", tools), ["critique"])
    for before, after in pairwise((*ORDER[ORDER.index("critique") :], END)):
        graph.add_edge(before, after)
    return graph


# The graph's library takes a node by the name of its parameter, which no plain Callable type can say; hence Any.
def _bound(step: Callable[[State, Tools], State], tools: Tools) -> Any:
    def node(state: State) -> State:
        return step(state, tools)

    return node


def _asking(step: Callable[[Asked, Tools], State], tools: Tools) -> Any:
    def node(asked: Asked) -> State:
        return step(asked, tools)

    return node


def _each(node: str, tools: Tools) -> Callable[[State], list[Send]]:
    """One task an expert. In the second round all see all proposals, in an order that no race decides."""

    def fan_out(state: State) -> list[Send]:
        proposals = state.get("proposals", []) if node == "critique" else []
        ordered = sorted(proposals, key=lambda p: (p["expert"], p["weakness"], p["place"], str(p)))
        asked = {"plan_id": state["plan_id"], "brief": state["brief"], "proposals": ordered}
        return [Send(node, {**asked, "expert": expert.name}) for expert in tools.experts]

    return fan_out
