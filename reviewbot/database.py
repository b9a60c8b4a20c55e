# SPDX-License-Identifier: GPL-2.0-or-later
"""What the SQLite files have in common: reading, writing all or nothing, and errors that name the file.

Belongs here: nothing about what is in them (`ledger`, `index`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from reviewbot.model import ReviewbotError


class Database:
    """An open file. To be closed, or used in a `with`."""

    noun: ClassVar[str]  # what a person calls it
    error: ClassVar[type[ReviewbotError]]  # what is raised where SQLite fails
    path: str
    _db: sqlite3.Connection
    _deep = 0  # a transaction is open

    def close(self) -> None:
        """Nothing can be asked afterwards."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _guard(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self.error(f"cannot {what} {self.noun} '{self.path}': {reason(error)}") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Raises `error` where it cannot be written: read-only, full disk, damaged."""
        if self._deep:
            yield
            return
        with self._guard("write to"):
            self._db.execute("BEGIN IMMEDIATE")
            self._deep = 1
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._deep = 0

    def _all(self, sql: str, *values: object) -> list[Any]:
        with self._guard("read"):
            return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: object) -> Any:
        with self._guard("read"):
            return self._db.execute(sql, values).fetchone()


def reason(error: BaseException) -> str:
    """What SQLite or the system complains of, in a line."""
    return getattr(error, "strerror", None) or " ".join(str(error).split())
