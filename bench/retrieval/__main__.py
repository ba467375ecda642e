"""How well memory finds what answers a question: ``python -m bench.retrieval``. A minute; nothing is downloaded.

Documents: questions labelled by hand over a corpus written for it (``corpus/``, ``queries.yaml``). Past results:
hypotheses whose relevant results are known by construction (``past.py``). Each embedding
is given the weights that are best for it by every other question (tuned); the table tells of all of them, and of the
others alone (held out).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bench.retrieval import past
from bench.retrieval.embeddings import MADE, Embed
from bench.retrieval.labelled import Labelled, labelled, passages, section
from bench.retrieval.metrics import interval, ndcg_at, recall_at
from knowledge.mentions import described, mentions
from knowledge.neighbours import similarity
from knowledge.prose import HASHED, MODEL
from knowledge.retrieval import ARMS, DEPTH, Item, Question, Retriever

Scores = Sequence[tuple[float, float]]
"""(recall@5, nDCG@10) of each question."""
VECTOR = (0.25, 0.5, 1, 2, 3, 4)
FEATURES = (0.25, 0.5, 1)
"""Weights that are tried, BM25 being 1."""


def main() -> None:
    """Print the tables."""
    pieces, questions = passages(), labelled()
    items = [Item(each.id, each.document(), mentions(each.document())) for each in pieces]
    sections = {each.id: section(each) for each in pieces}
    made = {name: make([item.text for item in items]) for name, make in MADE.items()}
    for name in [name for name, embed in made.items() if embed is None]:
        print(f"{name} is not installed, and left out")
    embeds = {name: embed for name, embed in made.items() if embed is not None}
    kinds = list(dict.fromkeys(each.kind for each in questions))
    print(f"\n## Documents: {len(questions)} questions, {len(pieces)} passages\n")
    _head(
        [
            "recall@5",
            "nDCG@10",
            "more than BM25",
            "held out",
            *(f"{kind} ({_count(questions, kind)})" for kind in kinds),
        ]
    )
    asking = [each.question for each in questions]

    def judged(retriever: Retriever, arms: Mapping[str, float]) -> Scores:
        found = retriever.find(asking, DEPTH, arms=arms)
        ranked = [list(dict.fromkeys(sections[name] for name, _ in each)) for each in found]
        return [(recall_at(r, q.grades), ndcg_at(r, q.grades)) for r, q in zip(ranked, questions, strict=True)]

    retrievers = {name: Retriever(items, _nearest(items, embed)) for name, embed in embeds.items()}
    first = next(iter(retrievers.values()))
    words = judged(first, {"lexical": 1})

    def row(name: str, scores: Scores) -> None:
        _row(name, scores, questions, kinds, words)

    row("BM25 alone", words)
    row("features alone", judged(first, {"features": 1}))
    row("BM25 + features", judged(first, {"lexical": 1, "features": ARMS["features"]}))
    for name, retriever in retrievers.items():
        row(f"vectors alone, {name}", judged(retriever, {"vector": 1}))
    for name, retriever in retrievers.items():
        tried = {(v, 0.0): judged(retriever, {"lexical": 1, "vector": v}) for v in VECTOR}
        (v, _), scores = max(tried.items(), key=_tuned)
        row(f"text: BM25 + {v:g} × {name}", scores)
    for name, retriever in retrievers.items():
        tried = {
            (v, f): judged(retriever, {"lexical": 1, "vector": v, "features": f}) for v in VECTOR for f in FEATURES
        }
        (v, f), scores = max(tried.items(), key=_tuned)
        row(f"hybrid: BM25 + {v:g} × {name} + {f:g} × features", scores)
    for name, used in (("wide hashing", HASHED), ("MiniLM-L6 int8", MODEL)):
        if name in retrievers:
            row(f"**as Murphy has it, {name}**", judged(retrievers[name], {**ARMS, "vector": used.weight}))
    _speed(embeds, [item.text for item in items])
    _past(embeds)


def _past(embeds: Mapping[str, Embed]) -> None:
    rows, asked = past.made()
    items = [Item(row.key, row.features.document(), described(row.features)) for row in rows]
    by_key = {row.key: row for row in rows}
    print(f"\n## Past results: {len(asked)} hypotheses, {len(rows)} results, by construction\n")
    _head(["recall@5", "nDCG@10"])

    def told(name: str, ranked: Sequence[Sequence[str]]) -> None:
        _row(name, [(recall_at(r, a.grades), ndcg_at(r, a.grades)) for r, a in zip(ranked, asked, strict=True)])

    def sorted_by(score: Callable[[past.Asked, str, float], float], close: np.ndarray) -> list[list[str]]:
        return [
            [
                item.id
                for _, item in sorted(
                    ((score(a, item.id, max(0.0, float(c))), item) for c, item in zip(near, items, strict=True)),
                    key=lambda pair: (-pair[0], pair[1].id),
                )
            ]
            for a, near in zip(asked, close, strict=True)
        ]

    questions = [Question(a.features.document(), described(a.features)) for a in asked]
    retrievers = {name: Retriever(items, _nearest(items, embed)) for name, embed in embeds.items()}
    first = next(iter(retrievers.values()))
    told("BM25 alone", [[n for n, _ in found] for found in first.find(questions, DEPTH, arms={"lexical": 1})])
    none = np.zeros((len(asked), len(items)))
    told("features alone", sorted_by(lambda a, key, _: similarity(a.features, by_key[key], 0.0), none))
    for name, embed in embeds.items():
        stored = embed([item.text for item in items])
        close = embed([question.text for question in questions]) @ stored.T
        told(f"vectors alone, {name}", sorted_by(lambda _a, _key, c: c, close))
        told(
            f"similarity of memory (features + vectors), {name}",
            sorted_by(lambda a, key, c: similarity(a.features, by_key[key], c), close),
        )
    told("hybrid by ranks, hashing", [[n for n, _ in found] for found in first.find(questions, DEPTH)])


def _tuned(tried: tuple[tuple[float, float], Scores]) -> float:
    """Mean nDCG@10 of the half that weights are chosen by."""
    return float(np.mean([gain for _, gain in tried[1][::2]]))


def _speed(embeds: Mapping[str, Embed], texts: Sequence[str]) -> None:
    print("\nPassages a second, one thread: ", end="")
    told = []
    for name, embed in embeds.items():
        begun = time.process_time()
        embed(texts)
        told.append(f"{name} {len(texts) / (time.process_time() - begun):,.0f}")
    print("; ".join(told))


def _nearest(items: Sequence[Item], embed: Embed) -> Callable[[Sequence[str], int], list[list[tuple[str, float]]]]:
    """Exact, as the index is within its recall."""
    stored = embed([item.text for item in items])

    def nearest(texts: Sequence[str], k: int) -> list[list[tuple[str, float]]]:
        close = embed(texts) @ stored.T
        order = np.argsort(-close, axis=1, kind="stable")[:, :k]
        return [[(items[n].id, float(row[n])) for n in best] for row, best in zip(close, order, strict=True)]

    return nearest


def _head(columns: Sequence[str]) -> None:
    print("| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))


def _row(
    name: str, scores: Scores, questions: Sequence[Labelled] = (), kinds: Sequence[str] = (), beside: Scores = ()
) -> None:
    """``beside``: what it is held against, question by question."""
    recalls, gains = [r for r, _ in scores], [n for _, n in scores]
    low, high = interval(gains)
    cells = [f"{np.mean(recalls):.2f}", f"{np.mean(gains):.3f} ({low:.2f}–{high:.2f})"]
    if beside:
        more = [n - m for n, (_, m) in zip(gains, beside, strict=True)]
        low, high = interval(more)
        cells += [f"{np.mean(more):+.3f} ({low:+.2f} to {high:+.2f})", f"{np.mean(gains[1::2]):.3f}"]
    of = [(n, q.kind) for n, q in zip(gains, questions, strict=False)]
    cells += [f"{np.mean([n for n, known in of if known == kind]):.2f}" for kind in kinds]
    print(f"| {name} | " + " | ".join(cells) + " |")


def _count(questions: Sequence[Labelled], kind: str) -> int:
    return sum(each.kind == kind for each in questions)


if __name__ == "__main__":
    main()
