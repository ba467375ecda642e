"""PostgreSQL with everything a careful client has: bounded work, bounded waiting, connections that come back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg


class DatabaseError(Exception):
    """The database did not answer, or not in time."""


class Database:
    """Runs statements on ``workers`` connections of its own.

    A statement ends on the server after ``statement_ms``, so that a locked table frees its connection soon. The caller
    waits at most ``answer_s``, whatever happens to the network or to the queue of statements.
    """

    def __init__(self, url: str, *, workers: int = 8, statement_ms: int = 150, answer_s: float = 0.5) -> None:
        self._url = url
        self._options = f"-c statement_timeout={statement_ms}"
        self._answer_s = answer_s
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="database")
        self._own = threading.local()

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of one statement, committed at once. Raises ``DatabaseError``."""
        answer = self._workers.submit(self._run, sql, values)
        try:
            return answer.result(timeout=self._answer_s)
        except TimeoutError:
            answer.cancel()
            raise DatabaseError("no answer in time") from None
        except psycopg.Error as error:
            raise DatabaseError(str(error)) from error

    def _run(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._execute(sql, values)
        except psycopg.OperationalError:
            if not self._own.connection.closed:
                raise
            return self._execute(sql, values)  # the connection had died unnoticed; a fresh one may do

    def _execute(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        connection = getattr(self._own, "connection", None)
        if connection is None or connection.closed:
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=2, options=self._options)
            self._own.connection = connection
        cursor = connection.execute(sql, values)
        return cursor.fetchall() if cursor.description else []
