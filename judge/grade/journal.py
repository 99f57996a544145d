"""What is finished stays finished: every test's evidence is written before its verdict is shown.

A judging has a key: the problem, the program and whatever else bears on the facts. One that was not finished because
its judge died is taken up by the next judge with the same key; a finished one is judged anew. Each test is one row,
written in one transaction, so that there is no half of one.

SQLite in WAL mode, synchronous=NORMAL (sqlite.org/wal.html): a commit survives the death of the process at any moment;
a loss of power may cost the last commits, never the consistency.

A judging in work is locked by an open file description lock (fcntl(2), F_OFD_SETLK) on one byte of a file beside the
database, at the offset of its number. The kernel gives it up when the judge dies, however it dies, and knows no pids:
judges in several containers or threads may share a journal.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import JudgeError
from ..facts import Evidence

VERSION = 1
_APPLICATION = 0x70794A75  # of the file's header: a database of ours
_TABLES = """
CREATE TABLE judging (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, problem TEXT NOT NULL, submission TEXT NOT NULL,
    started_s INTEGER NOT NULL, finished INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX judging_key ON judging (key) WHERE NOT finished;
CREATE TABLE test (
    judging INTEGER NOT NULL REFERENCES judging (id) ON DELETE CASCADE, name TEXT NOT NULL, evidence TEXT NOT NULL,
    PRIMARY KEY (judging, name)
) STRICT, WITHOUT ROWID;
"""
BUSY_S = 30.0
# Finished judgings are kept this long, for whoever looks into the file.
KEEP_S = 7 * 86400


def default_path() -> Path:
    """$XDG_STATE_HOME/pysandbox/judge.sqlite, ~/.local/state by default (XDG base directory specification)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "pysandbox" / "judge.sqlite"


class Journal:
    """One file, opened. To be used by one thread; any number of processes may have it open.

    Raises JudgeError: the file is none of ours, is corrupted, of a later version, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # O_NOFOLLOW: not through a link that somebody laid there. 0600: the evidence holds what submissions wrote.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            self._locks = os.open(f"{path}.locks", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise JudgeError(f"journal {path}: {os.strerror(error.errno or 0)}; name another one with --journal"
                             ) from error  # fmt: skip
        try:
            with self._told():
                self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
                self._prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """What was not finished may be taken up from now on."""
        if hasattr(self, "_db"):
            self._db.close()
        if self._locks >= 0:
            os.close(self._locks)
            self._locks = -1

    def begin(self, key: str, problem: str, submission: str, *, fresh: bool = False) -> Entry:
        """Take up an unfinished judging with this key that nobody works on, or start one. fresh: throw such away."""
        with self._transaction():
            rows = self._db.execute("SELECT id FROM judging WHERE key = ? AND NOT finished ORDER BY id DESC", (key,))
            taken = None
            for (number,) in rows.fetchall():
                if not self._lock(number):
                    continue  # another judge has it
                if taken is None and not fresh:
                    taken = number
                    continue
                self._db.execute("DELETE FROM judging WHERE id = ?", (number,))
                self._unlock(number)
            if taken is None:
                now = int(time.time())
                self._db.execute("DELETE FROM judging WHERE finished AND started_s < ?", (now - KEEP_S,))
                made = self._db.execute("INSERT INTO judging (key, problem, submission, started_s) VALUES (?, ?, ?, ?)",
                                        (key, problem, submission, now)).lastrowid  # fmt: skip
                assert made is not None
                taken = made
                self._lock(taken)
        with self._told():
            rows = self._db.execute("SELECT name, evidence FROM test WHERE judging = ?", (taken,))
            try:
                known = {name: Evidence.from_json(json.loads(text)) for name, text in rows}
            except (ValueError, TypeError, KeyError) as error:
                raise self._corrupted(f"judging {taken} holds no evidence: {error}") from error
        return Entry(self, taken, known)

    def write(self, number: int, name: str, evidence: Evidence) -> None:
        """One test, in one transaction."""
        text = json.dumps(evidence.to_json(), separators=(",", ":"))
        with self._told():  # a single statement is a transaction of its own
            self._db.execute("INSERT OR REPLACE INTO test (judging, name, evidence) VALUES (?, ?, ?)",
                             (number, name, text))  # fmt: skip

    def finish(self, number: int) -> None:
        """The judging is complete."""
        with self._told():
            self._db.execute("UPDATE judging SET finished = 1 WHERE id = ?", (number,))
        self._unlock(number)

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        with self._transaction():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
            tables = [name for (name,) in self._db.execute("SELECT name FROM sqlite_schema")]
            if not tables and version == 0 and application == 0:
                for statement in _TABLES.split(";\n"):
                    if statement.strip():
                        self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._db.execute(f"PRAGMA user_version = {VERSION}")
            elif application != _APPLICATION:
                raise JudgeError(f"journal {self.path}: a database, but not the judge's; name another one with "
                                 "--journal")  # fmt: skip
            elif version != VERSION:
                raise JudgeError(f"journal {self.path}: of version {version}, this judge knows {VERSION}; name another "
                                 "one with --journal, or remove it")  # fmt: skip

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise JudgeError(f"journal {self.path}: {error}; name another one with --journal") from error
            raise self._corrupted(str(error)) from error

    def _corrupted(self, why: str) -> JudgeError:
        return JudgeError(f"journal {self.path}: corrupted ({why}); remove it, or name another one with --journal")

    def _lock(self, number: int) -> bool:
        return self._set(number, fcntl.F_WRLCK)

    def _unlock(self, number: int) -> None:
        self._set(number, fcntl.F_UNLCK)

    def _set(self, number: int, kind: int) -> bool:
        # struct flock: l_type, l_whence, l_start, l_len, l_pid (0 for OFD locks)
        request = struct.pack("hhqqi4x", kind, os.SEEK_SET, number, 1, 0)
        try:
            fcntl.fcntl(self._locks, fcntl.F_OFD_SETLK, request)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise JudgeError(f"journal {self.path}: its file of locks cannot be locked: {error.strerror}; name a "
                             "journal on another file system with --journal") from error  # fmt: skip
        return True


class Entry:
    """One judging in work. ``known``: what was finished before."""

    def __init__(self, journal: Journal, number: int, known: dict[str, Evidence]) -> None:
        self._journal, self.number, self.known = journal, number, known

    def write(self, name: str, evidence: Evidence) -> None:
        self._journal.write(self.number, name, evidence)

    def finish(self) -> None:
        self._journal.finish(self.number)
