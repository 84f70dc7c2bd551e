"""The database of the votes: its tables, and transactions that write one after another.

SQLite in a file of this machine, or PostgreSQL. Only one transaction writes at a time, also across processes, so what
it reads stays true until it ends; on both databases what was written is on the disk when it has ended.
"""

import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from sr_core.errors import VoteError

__all__ = ["ARCHIVE", "COUNTERS", "FORGOTTEN", "PARTS", "VOTES", "Database", "is_elsewhere"]

_WAIT_SECONDS: Final = 10
"""Longest wait for the turn to write, for a connection, and for an answer of PostgreSQL."""
_LOCK: Final = 7_261_093_118
"""Number of PostgreSQL's advisory lock that a writer holds; it only has to be ours."""
_COURIER_LOCK: Final = 7_261_093_119
"""Number of the one that a courier at work holds."""

_TABLES: Final = MetaData()
_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
_COUNTS: Final = text("NOT is_shadowed")
_WAITS: Final = text("NOT is_saved")

VOTES: Final = Table(
    "psr_votes",
    _TABLES,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("at", BigInteger, nullable=False),
    Column("rater", String(16)),  # none for a wish to forget
    Column("slot", Text),
    Column("line", Text, nullable=False),
    Column("is_shadowed", Boolean, nullable=False),  # an earlier vote, of another replica, has its slot
    Column("is_saved", Boolean, nullable=False),
    Column("part", Text),  # that it was sealed into or came with
    Index("psr_one_vote_per_slot", "slot", unique=True, sqlite_where=_COUNTS, postgresql_where=_COUNTS),
    Index("psr_votes_of_rater", "rater", "at"),
    Index("psr_votes_of_part", "part"),
    Index("psr_votes_that_wait", "seq", sqlite_where=_WAITS, postgresql_where=_WAITS),
    sqlite_autoincrement=True,
)
"""All records, those that do not count included."""

PARTS: Final = Table(
    "psr_parts",
    _TABLES,
    Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, unique=True),
    Column("content", LargeBinary),  # only while it waits
    Column("is_waiting", Boolean, nullable=False),
    Column("is_stained", Boolean, nullable=False),
    sqlite_autoincrement=True,
)
"""Parts that wait to be sent, and those that are known to be away: sent from here, or read."""

FORGOTTEN: Final = Table("psr_forgotten", _TABLES, Column("rater", String(16), primary_key=True))
"""Words of raters whose votes are not taken any more."""

ARCHIVE: Final = Table("psr_archive", _TABLES, Column("name", Text, primary_key=True))
"""The archive that the known parts are in; no row before the first."""

COUNTERS: Final = Table(
    "psr_counters", _TABLES, Column("name", String(16), primary_key=True), Column("value", BigInteger, nullable=False)
)
"""``revision`` grows with every change of what counts, ``rewrites`` when anything but new records changed it."""


class Database:
    """Connections to the database of the votes; safe between threads.

    Attributes:
        is_remote: Whether it is on another machine, and so outlives this machine's disk.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(is_writing=True)
        self._turn = threading.Lock()
        self._is_postgresql: bool = engine.dialect.name == "postgresql"
        self.is_remote = False

    @classmethod
    def open(cls, url: str) -> Self:
        """Returns the database of a URL, with its tables.

        Args:
            url: ``sqlite:///FILE``, whose folder is made when it is missing, or ``postgresql://...`` in any of the
                spellings that are in use.

        Raises:
            VoteError: It is no such URL, or the database cannot be opened.
        """
        parsed = _parse(url)
        kind = "PostgreSQL" if parsed.drivername.startswith("postgresql") else f"{parsed.database}"
        try:
            engine = _sqlite(parsed) if parsed.drivername == "sqlite" else _postgresql(parsed)
            database = cls(engine)
            with database.writing() as connection:
                _TABLES.create_all(connection)
                if database._is_postgresql:
                    info = connection.connection.driver_connection.info  # type: ignore[union-attr]
                    database.is_remote = is_elsewhere(info.host, info.hostaddr)
                there = set(connection.scalars(select(COUNTERS.c.name)))
                for name in {"revision", "rewrites"} - there:
                    connection.execute(insert(COUNTERS).values(name=name, value=0))
        except (DBAPIError, OSError, VoteError) as error:
            raise VoteError(
                f"The votes in {kind} cannot be opened; please check its address and access, and that a file is on a "
                "local disk."
            ) from error
        return database

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """Gives a connection whose answers belong together, except on PostgreSQL, where each is newer than the last.

        Raises:
            VoteError: The database does not answer.
        """
        with _told(), self._engine.begin() as connection:
            if self._is_postgresql:
                connection.execute(text(f"SET LOCAL statement_timeout = {_WAIT_SECONDS * 1000}"))
            yield connection

    @contextmanager
    def alone(self) -> Generator[bool]:
        """Tells whether no other process does what is asked for in this way, and keeps it so until the end.

        Only where several machines may share a database, on PostgreSQL; in a file one always is alone.

        Raises:
            VoteError: The database does not answer.
        """
        if not self._is_postgresql:
            yield True
            return
        with self.reading() as connection:
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            query = text("SELECT pg_try_advisory_xact_lock(:lock)")
            yield bool(connection.scalar(query, {"lock": _COURIER_LOCK}))

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """Gives a connection while nobody else writes; what it did is on the disk, or undone, when it is given back.

        Raises:
            VoteError: The database does not answer, or others write for too long.
        """
        if not self._turn.acquire(timeout=_WAIT_SECONDS):
            raise VoteError(_BUSY)
        try:
            with _told(), self._writer.begin() as connection:
                if self._is_postgresql:
                    connection.execute(text(f"SET LOCAL statement_timeout = {_WAIT_SECONDS * 1000}"))
                    connection.execute(text("SET LOCAL synchronous_commit = on"))
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                yield connection
        finally:
            self._turn.release()

    def shred(self) -> None:
        """Lets nothing of deleted rows stay in SQLite's log; other databases do that in their own time."""
        if not self._is_postgresql:
            with _told(), self._engine.connect() as connection:
                raw: Any = connection.connection.driver_connection
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        self._engine.dispose()


def is_elsewhere(host: str, address: str) -> bool:
    """Returns whether a server of PostgreSQL is not on this machine, as far as its address tells.

    Args:
        host: As a connection tells it: a name, an address, or the folder of a socket.
        address: The numeric address of that connection, or nothing.
    """
    if host.startswith(("/", "@")):
        return False
    try:
        return not ip_address(address or host).is_loopback
    except ValueError:
        return host not in ("", "localhost")


_BUSY: Final = "Votes cannot be stored or read just now; please try again in a minute."


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, NoConnectionError) as error:
        raise VoteError(_BUSY) from error


def _parse(url: str) -> URL:
    """Returns a URL with the name of the driver that is used; the text of an error never holds its password."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    match parsed:
        case URL(drivername="sqlite" | "sqlite+pysqlite", database=str() as file) if file not in ("", ":memory:"):
            return parsed.set(drivername="sqlite")
        case URL(drivername="postgres" | "postgresql" | "postgresql+psycopg"):
            return parsed.set(drivername="postgresql+psycopg")
        case _:
            raise VoteError("Votes are stored in sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME, nothing else.")


def _sqlite(url: URL) -> Engine:
    file = Path(str(url.database))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(0o600)
    engine = create_engine(url, pool_size=16, max_overflow=48, pool_timeout=_WAIT_SECONDS)

    def set_up(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # sqlite3 of Python 3.11 would begin transactions in its own way
        raw.execute(f"PRAGMA busy_timeout = {_WAIT_SECONDS * 1000}")
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute("PRAGMA secure_delete = ON")

    def begin(connection: Connection) -> None:
        is_writing = connection.get_execution_options().get("is_writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", begin)
    _use_log(engine)
    return engine


def _use_log(engine: Engine) -> None:
    """Switches a file to the write-ahead log, which it then keeps.

    Raises:
        VoteError: The file is where that cannot be, such as a network's disk.
    """
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        with engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            try:
                mode = raw.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                # another process switches at this moment; SQLite does not wait here, whatever its time-out
                if "locked" not in str(error) or time.monotonic() > until:
                    raise VoteError("SQLite cannot keep a log beside the file.") from error
                time.sleep(0.02)
                continue
        if mode != "wal":
            raise VoteError("SQLite cannot keep a log beside the file.")
        return


def _postgresql(url: URL) -> Engine:
    """Returns connections that notice a dead server, and that a connection pooler between can share."""
    return create_engine(
        url,
        pool_size=8,
        max_overflow=8,
        pool_timeout=_WAIT_SECONDS,
        pool_pre_ping=True,
        pool_recycle=300,
        connect_args={
            "connect_timeout": 5,
            "tcp_user_timeout": _WAIT_SECONDS * 1000,
            "keepalives_idle": 30,
            "prepare_threshold": None,
        },
    )
