"""How much more each service is asked than usual, because those who call it try again."""

from __future__ import annotations

import numpy as np

from knowledge.twin.arrays import Floats
from knowledge.twin.solve import Setting, Solved


def amplification(setting: Setting, solved: Solved, through: Floats) -> Floats:
    """Requests to each service as a multiple of what is usual: shape (services, worlds).

    Callers come first, so that tries multiply along a way: three tries on each of two calls are nine at the end. Edges
    that close a cycle are left out. ``through`` is the share of the calls on each edge that get as far as the callee.
    """
    net, services, worlds = setting.net, *setting.workers.shape
    asked = np.zeros((services, worlds))
    usual = np.zeros(services)
    for group in reversed(net.groups):
        edges = np.arange(group.edges.start, group.edges.stop)
        edges = edges[net.whole[net.tail[edges]] & net.timed[edges] & (net.edge[edges] >= 0)]
        if not len(edges):
            continue
        edges = edges[np.argsort(net.head[edges], kind="stable")]
        tails, heads = net.tail[edges], net.head[edges]
        callers = np.where(usual[tails] > 0, usual[tails], 1.0)[:, None]
        times = np.where(usual[tails][:, None] > 0, asked[tails] / callers, 1.0)
        load = setting.load_per_s[tails]
        ends, starts = np.unique(heads, return_index=True)
        asked[ends] += np.add.reduceat(load[:, None] * times * solved.tries[edges] * through[edges], starts)
        usual[ends] += np.add.reduceat(load, starts)
    return np.where(usual[:, None] > 0, asked / np.where(usual > 0, usual, 1.0)[:, None], 1.0)
