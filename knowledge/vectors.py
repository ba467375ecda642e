"""The Chroma index: vectors of texts by id, in one directory, embedded by our own function. Loads what is heavy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chromadb.api.client import Client
from chromadb.api.collection_configuration import CreateCollectionConfiguration
from chromadb.api.models.Collection import Collection
from chromadb.config import Settings

from knowledge.prose import Embed

BATCH = 2000
"""Chroma takes 5,461 at most at once."""
_CONFIGURATION: CreateCollectionConfiguration = {
    "hnsw": {"space": "cosine", "ef_construction": 200, "ef_search": 200},
}
"""Twice the library's default breadth: recall matters more here than the half millisecond."""


class Index:
    """An open index with a collection for each kind of thing remembered.

    One process may have a directory open, and only once; the caller sees to that. Any error of Chroma's, a panic of
    its native part included, is passed on as it is: the index is then worth nothing.
    """

    def __init__(self, path: Path) -> None:
        settings = Settings(
            _env_file=None,  # a .env that lies around must not redirect it
            chroma_api_impl="chromadb.api.rust.RustBindingsAPI",
            chroma_otel_collection_endpoint="",
            anonymized_telemetry=False,
            is_persistent=True,
            persist_directory=str(path),
        )
        self._client = Client(settings=settings)
        self._open: dict[str, Vectors] = {}

    def of(self, name: str, embed: Embed) -> Vectors:
        """The collection of that name, of three letters at least, made if it is not there; ``embed`` makes its vectors.

        Chroma is given vectors only: its own default embedding would download a model.
        """
        if name not in self._open:
            made = self._client.get_or_create_collection(name, embedding_function=None, configuration=_CONFIGURATION)
            self._open[name] = Vectors(made, embed)
        return self._open[name]

    def close(self) -> None:
        """Give files and threads back. Idempotent."""
        self._client.close()


class Vectors:
    """One collection: vectors by id. The texts stay where they came from, so that they can be forgotten there."""

    def __init__(self, collection: Collection, embed: Embed) -> None:
        self._collection = collection
        self._embed = embed

    def ids(self) -> set[str]:
        """All that are in it."""
        return set(self._collection.get(include=[])["ids"])

    def add(self, documents: Sequence[tuple[str, str]]) -> None:
        """Add (id, text) pairs; what is there already is replaced. Durable on return."""
        for start in range(0, len(documents), BATCH):
            part = documents[start : start + BATCH]
            self._collection.upsert(ids=[name for name, _ in part], embeddings=self._embed([text for _, text in part]))

    def remove(self, ids: Sequence[str]) -> None:
        """Take these out."""
        for start in range(0, len(ids), BATCH):
            self._collection.delete(ids=list(ids[start : start + BATCH]))

    def nearest(self, texts: Sequence[str], k: int) -> list[list[tuple[str, float]]]:
        """For each text up to ``k`` (id, closeness) pairs, closest first; closeness is the cosine, 0 if negative."""
        count = min(k, self._collection.count())
        if not count or not texts:
            return [[] for _ in texts]
        found = self._collection.query(query_embeddings=self._embed(texts), n_results=count, include=["distances"])
        distances = found["distances"] or []
        return [
            [(name, max(0.0, min(1.0, 1 - distance))) for name, distance in zip(names, far, strict=True)]
            for names, far in zip(found["ids"], distances, strict=True)
        ]
