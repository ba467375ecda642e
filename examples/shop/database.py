"""PostgreSQL with everything a careful client has: bounded work, bounded waiting, connections that come back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from breaker import Breaker


class DatabaseError(Exception):
    """The database did not answer, or not in time."""


class Database:
    """Runs statements on ``workers`` connections of its own.

    A statement ends on the server after ``statement_ms``, so that a locked table frees its connection soon. The caller
    waits at most ``answer_s``, whatever happens to the network or to the queue of statements, and not at all while the
    database is known to be silent.
    """

    def __init__(self, url: str, *, workers: int = 8, statement_ms: int = 150, answer_s: float = 0.4) -> None:
        self._url = url
        self._options = f"-c statement_timeout={statement_ms}"
        self._answer_s = answer_s
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="database")
        self._own = threading.local()
        self._breaker = Breaker(failures=4, open_s=0.5)

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of one statement, committed at once. Raises ``DatabaseError``."""
        if not self._breaker.allows():
            raise DatabaseError("it was not there a moment ago")
        answer = self._workers.submit(self._run, sql, values)
        try:
            rows = answer.result(timeout=self._answer_s)
        except TimeoutError:
            answer.cancel()
            self._breaker.report(good=False)
            raise DatabaseError("no answer in time") from None
        except psycopg.Error as error:
            lost = isinstance(error, psycopg.OperationalError)
            # a statement that was ended for want of a lock is an answer: other tables may do well
            self._breaker.report(good=not lost or isinstance(error, psycopg.errors.QueryCanceled))
            raise DatabaseError(str(error)) from error
        self._breaker.report(good=True)
        return rows

    def _run(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._execute(sql, values)
        except psycopg.OperationalError:
            connection = getattr(self._own, "connection", None)
            if connection is None or not connection.closed:
                raise
            return self._execute(sql, values)  # the connection had died unnoticed; a fresh one may do

    def _execute(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        connection = getattr(self._own, "connection", None)
        if connection is None or connection.closed:
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=2, options=self._options)
            self._own.connection = connection
        cursor = connection.execute(sql, values)
        return cursor.fetchall() if cursor.description else []
