"""The store of votes: on this machine's disk or in a database before anybody is told, then in parts for elsewhere.

A vote is *accepted* when it is on the disk here, and *saved* when it would outlive this machine: a part that holds it
is in the archive, or the database is elsewhere anyway. Every step can be repeated without harm: votes are known by
their ids, and parts by their names.
"""

import logging
import threading
import time
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal, Self, TypeAlias, TypeVar

from sqlalchemy import and_, bindparam, delete, exists, func, insert, or_, select, update

from ratings.database import ARCHIVE, FORGOTTEN, PARTS, VOTES, Database
from ratings.ledger import Counters, Outcome, counters_of, merge_records, note_parts, take_records
from ratings.parts import Part, fresh_part, is_merged
from ratings.vote import Forget, Record, record_of
from sr_core.errors import VoteError

__all__ = ["Outcome", "State", "VoteStore"]

State: TypeAlias = Literal["accepted", "saved", "unknown"]
"""Of an id: on the disk here; safe from the loss of this machine; not here, or deleted on request."""

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_TURN_SECONDS: Final = 15
"""Longest wait for the votes of others."""
_PIECE: Final = 500
"""Most records that one transaction takes, so that none waits for long."""
_COURTESY_SECONDS: Final = 0.002
"""Pause between the transactions of a long work, in which votes get their turn."""


# Of what every draw and vote asks; made once, because making a statement takes longer than running it.
_COUNT: Final = select(func.count()).where(VOTES.c.rater == bindparam("rater"), VOTES.c.at >= bindparam("since"))
_SLOTS: Final = select(VOTES.c.slot).where(VOTES.c.rater == bindparam("rater"))
_STATES: Final = select(VOTES.c.id, VOTES.c.is_saved).where(VOTES.c.id.in_(bindparam("wanted", expanding=True)))

_UNSEALED: Final = and_(~VOTES.c.is_saved, VOTES.c.part.is_(None))
_ASTRAY: Final = and_(or_(VOTES.c.is_saved, VOTES.c.part.is_not(None)), ~exists().where(PARTS.c.name == VOTES.c.part))
"""Of records that were sent or read, and whose part is not known any more."""


@dataclass(slots=True)
class _Call:
    """A thread that waits until its record is stored."""

    record: Record
    outcome: Outcome | None = None
    error: Exception | None = None


@dataclass(slots=True)
class _Counted:
    """The records that count, as they were read last."""

    counters: Counters | None = None
    last: int = 0
    records: tuple[Record, ...] = ()
    lock: threading.Lock = field(default_factory=threading.Lock)


class VoteStore:
    """All votes; safe between threads, and between processes that open the same database.

    Threads that give votes at the same time share a transaction: the first writes those of all that wait.

    Attributes:
        is_remote: Whether the database is outside of this machine, so that what it took is saved.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_remote = database.is_remote
        self._turn, self._calls = threading.Lock(), list[_Call]()
        self._calls_lock = threading.Lock()
        self._counted = _Counted()

    @classmethod
    def open(cls, url: str) -> Self:
        """Returns the store at ``sqlite:///FILE`` or ``postgresql://...``, made when it is new.

        Raises:
            VoteError: It cannot be opened.
        """
        return cls(Database.open(url))

    @property
    def revision(self) -> int:
        """A number that grows whenever :meth:`records` may have changed, whoever changed it."""
        with self._database.reading() as connection:
            return counters_of(connection).revision

    def accept(self, record: Record) -> Outcome:
        """Stores a record, durably when this returns, and tells what became of it.

        A wish to forget deletes the votes of its raters.

        Raises:
            VoteError: It could not be stored in time; giving it again is safe.
        """
        call = _Call(record)
        with self._calls_lock:
            self._calls.append(call)
        if not self._turn.acquire(timeout=_TURN_SECONDS):
            raise VoteError("Too many votes come in just now; please try again in a minute.")
        try:
            while call.outcome is None and call.error is None:
                self._accept_all()
        finally:
            self._turn.release()
        if call.error is not None:
            raise call.error
        assert call.outcome is not None  # noqa: S101
        return call.outcome

    def find(self, vote_id: str) -> Record | None:
        """Returns the record of an id, whether it counts or not, or None."""
        with self._database.reading() as connection:
            line = connection.scalar(select(VOTES.c.line).where(VOTES.c.id == vote_id))
        return None if line is None else record_of(line)

    def records(self) -> tuple[Record, ...]:
        """Returns all records that count, by time and id: one vote for each slot, and no vote of a forgotten rater."""
        counted = self._counted
        with counted.lock:
            with self._database.reading() as connection:
                counters = counters_of(connection)
                if counters == counted.counters:
                    return counted.records
                is_grown = counted.counters is not None and counted.counters.rewrites == counters.rewrites
                known = counted.records if is_grown else ()
                last = counted.last if known else 0
                columns = select(VOTES.c.seq, VOTES.c.line).where(~VOTES.c.is_shadowed, VOTES.c.seq > last)
                rows = connection.execute(columns).all()
            new = [record_of(line) for _, line in rows]
            counted.records = tuple(sorted((*known, *new), key=lambda one: (one.at, one.id)))
            counted.last = max((seq for seq, _ in rows), default=last)
            counted.counters = counters
            return counted.records

    def slots_of(self, rater: str) -> frozenset[str]:
        """Returns the slots that a rater's votes take."""
        with self._database.reading() as connection:
            slots = connection.scalars(_SLOTS, {"rater": rater})
            return frozenset(slot for slot in slots if slot is not None)

    def count_of(self, rater: str, since: datetime) -> int:
        """Returns how many votes of a rater are from a time on."""
        with self._database.reading() as connection:
            return connection.scalar(_COUNT, {"rater": rater, "since": int(since.timestamp())}) or 0

    def states(self, ids: Sequence[str]) -> dict[str, State]:
        """Returns the state of each id."""
        states: dict[str, State] = dict.fromkeys(ids, "unknown")
        with self._database.reading() as connection:
            for piece in _pieces(list(states)):
                rows = connection.execute(_STATES, {"wanted": piece})
                states |= {one: "saved" if is_saved or self.is_remote else "accepted" for one, is_saved in rows}
        return states

    def forgotten(self) -> frozenset[str]:
        """Returns the words of all raters that asked to be forgotten."""
        with self._database.reading() as connection:
            return frozenset(connection.scalars(select(FORGOTTEN.c.rater)))

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    # What follows is the way out: records wait, are sealed into parts, and the parts wait until they are saved.

    def waiting(self) -> int:
        """Returns how many records are in no archive yet."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(VOTES).where(~VOTES.c.is_saved)) or 0

    def has_outgoing(self) -> bool:
        """Returns whether anything is to be sent to the archive."""
        with self._database.reading() as connection:
            return any(
                connection.scalar(select(column).where(is_so).limit(1)) is not None
                for column, is_so in ((VOTES.c.seq, _UNSEALED), (PARTS.c.seq, PARTS.c.is_waiting))
            )

    @contextmanager
    def alone(self) -> Generator[bool]:
        """Tells whether no other server that shares the database sends or reads now, and keeps it so until the end."""
        with self._database.alone() as is_alone:
            yield is_alone

    def turn_to(self, archive: str) -> None:
        """Notes the name of the archive; what was saved in another one is not saved any more.

        It is not sent either before this archive was read, which may hold it as well (:meth:`send_strays_again`).
        """
        with self._database.reading() as connection:
            if connection.scalar(select(ARCHIVE.c.name)) == archive:
                return
        with self._database.writing() as connection:
            is_other = connection.execute(delete(ARCHIVE).where(ARCHIVE.c.name != archive)).rowcount
            if connection.scalar(select(ARCHIVE.c.name)) is None:
                connection.execute(insert(ARCHIVE).values(name=archive))
            if is_other:
                connection.execute(delete(PARTS).where(~PARTS.c.is_waiting))
                connection.execute(update(VOTES).where(VOTES.c.is_saved).values(is_saved=False))

    def seal(self, writer: str, day: date, most: int = _PIECE) -> None:
        """Puts the records that wait into parts, whose names and bytes never change from then on.

        Args:
            writer: A random word of this process.
            day: In UTC.
            most: Records of a part.
        """
        while True:
            with self._database.reading() as connection:
                if connection.scalar(select(VOTES.c.seq).where(_UNSEALED).limit(1)) is None:
                    return
            with self._database.writing() as connection:
                rows = connection.execute(
                    select(VOTES.c.seq, VOTES.c.line, VOTES.c.rater).where(_UNSEALED).order_by(VOTES.c.seq).limit(most)
                ).all()
                if not rows:
                    return
                part = fresh_part([row.line for row in rows], day, writer, rows[0].seq)
                has_wish = any(row.rater is None for row in rows)
                connection.execute(
                    insert(PARTS).values(name=part.name, content=part.content, is_waiting=True, is_stained=has_wish)
                )
                within = VOTES.c.seq.between(rows[0].seq, rows[-1].seq)
                connection.execute(update(VOTES).where(within, _UNSEALED).values(part=part.name))

    def waiting_parts(self, most: int = 20) -> tuple[Part, ...]:
        """Returns the oldest parts that are in no archive yet."""
        with self._database.reading() as connection:
            query = select(PARTS.c.name, PARTS.c.content).where(PARTS.c.is_waiting).order_by(PARTS.c.seq).limit(most)
            return tuple(Part(name=name, content=bytes(content)) for name, content in connection.execute(query))

    def mark_saved(self, names: Iterable[str]) -> None:
        """Notes that parts are in the archive, and with them the records that they were sealed from."""
        wanted = list(names)
        with self._database.writing() as connection:
            connection.execute(update(VOTES).where(VOTES.c.part.in_(wanted)).values(is_saved=True))
            connection.execute(update(PARTS).where(PARTS.c.name.in_(wanted)).values(is_waiting=False, content=None))

    def known_parts(self) -> frozenset[str]:
        """Returns the names of the parts that were sent from here or merged."""
        with self._database.reading() as connection:
            return frozenset(connection.scalars(select(PARTS.c.name).where(~PARTS.c.is_waiting)))

    def stained_parts(self) -> frozenset[str]:
        """Returns the names of the known parts that hold what must be deleted, or a wish that may not be done."""
        with self._database.reading() as connection:
            return frozenset(connection.scalars(select(PARTS.c.name).where(~PARTS.c.is_waiting, PARTS.c.is_stained)))

    def merge(self, parts: Mapping[str, Sequence[Record]]) -> int:
        """Takes over what parts of the archive hold, wishes to forget first, and tells how many records are new here.

        Of two records with one id, or of two votes in one slot, every store takes the same as the one that counts: the
        lesser in :func:`ratings.parts.order_of`.

        Args:
            parts: Records by the name of their part.
        """
        every = [(name, record) for name, records in parts.items() for record in records]
        wishes = [(name, record) for name, record in every if isinstance(record, Forget)]
        votes = [(name, record) for name, record in every if not isinstance(record, Forget)]
        new = 0
        stained = {name for name, _ in wishes if not is_merged(name)}
        for piece in (*_pieces(wishes), *_pieces(votes)):
            with self._database.writing() as connection:
                merged = merge_records(connection, piece)
            new, stained = new + merged.new, stained | merged.stained
            time.sleep(_COURTESY_SECONDS)
        for names in _pieces(list(parts)):
            with self._database.writing() as connection:
                note_parts(connection, {name: name in stained for name in names})
        if wishes:
            self._shred()
        return new

    def drop_parts(self, names: Collection[str]) -> None:
        """Lets go of the names of known parts that are gone; when one comes back, it is read again."""
        for piece in _pieces(sorted(names)):
            with self._database.writing() as connection:
                connection.execute(delete(PARTS).where(PARTS.c.name.in_(piece), ~PARTS.c.is_waiting))

    def has_strays(self) -> bool:
        """Returns whether there are records that were saved, and whose part is gone."""
        with self._database.reading() as connection:
            return connection.scalar(select(VOTES.c.seq).where(_ASTRAY).limit(1)) is not None

    def send_strays_again(self) -> None:
        """Lets the records wait that were saved and whose part is gone.

        Every part of the archive has been merged before, because another one may hold them now.
        """
        with self._database.writing() as connection:
            connection.execute(update(VOTES).where(_ASTRAY).values(is_saved=False, part=None))

    def _accept_all(self) -> None:
        with self._calls_lock:
            calls, self._calls[:] = self._calls[:_PIECE], self._calls[_PIECE:]
        try:
            with self._database.writing() as connection:
                outcomes = take_records(connection, [call.record for call in calls])
        except Exception as error:  # noqa: BLE001  raised again in each thread that waits
            for call in calls:
                call.error = error
            return
        for call, outcome in zip(calls, outcomes, strict=True):
            call.outcome = outcome
        if any(isinstance(call.record, Forget) for call in calls):
            self._shred()

    def _shred(self) -> None:
        try:
            self._database.shred()
        except VoteError:  # what was deleted is deleted all the same
            _LOG.warning("Deleted votes may stay in the log of the database for a while.")


def _pieces(things: Sequence[_T]) -> list[Sequence[_T]]:
    return [things[start : start + _PIECE] for start in range(0, len(things), _PIECE)]
