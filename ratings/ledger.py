"""What one transaction does to the votes: take records as they come in, take over those of others, forget raters.

All this runs while nobody else writes (:meth:`ratings.database.Database.writing`), so it looks first and writes then.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from ratings.database import COUNTERS, FORGOTTEN, PARTS, VOTES
from ratings.parts import order_of
from ratings.vote import Forget, Record, line_of, slot_of

__all__ = ["Counters", "Merged", "Outcome", "counters_of", "merge_records", "note_parts", "take_records"]

Outcome: TypeAlias = Literal["accepted", "repeated", "taken", "forgotten"]
"""Of giving a record: stored; its id is stored already, maybe with another answer; another vote has its slot; its rater
asked to be forgotten."""


class Counters(NamedTuple):
    """How often what counts has changed, and how often by more than new records."""

    revision: int
    rewrites: int


class Merged(NamedTuple):
    """How many records were new, and which parts hold votes that were left out because their rater is forgotten."""

    new: int
    stained: frozenset[str]


# Made once, because making a statement takes longer than running it.
_IDS: Final = select(VOTES.c.id).where(VOTES.c.id.in_(bindparam("wanted", expanding=True)))
_SLOTS: Final = select(VOTES.c.slot).where(VOTES.c.slot.in_(bindparam("wanted", expanding=True)))
_RATERS: Final = select(FORGOTTEN.c.rater).where(FORGOTTEN.c.rater.in_(bindparam("wanted", expanding=True)))
_ADD: Final = insert(VOTES)
_COUNT: Final = (
    update(COUNTERS).where(COUNTERS.c.name.in_(bindparam("names", expanding=True))).values(value=COUNTERS.c.value + 1)
)
_COUNTERS: Final = select(COUNTERS)


def counters_of(connection: Connection) -> Counters:
    """Returns the counters as they are now."""
    values = {row.name: row.value for row in connection.execute(_COUNTERS)}
    return Counters(values["revision"], values["rewrites"])


def take_records(connection: Connection, records: Sequence[Record]) -> list[Outcome]:
    """Stores records in their order, and tells what became of each."""
    ids = set(connection.scalars(_IDS, {"wanted": [one.id for one in records]}))
    slots = set(connection.scalars(_SLOTS, {"wanted": _slots(records)}))
    forgotten = _forgotten_of(connection, records)
    rows: dict[str, dict[str, Any]] = {}
    outcomes: list[Outcome] = []
    for record in records:
        slot = slot_of(record)
        if record.id in ids:
            outcomes.append("repeated")
            continue
        if isinstance(record, Forget):
            _forget(connection, record.raters)
            forgotten |= set(record.raters)
            rows = {key: row for key, row in rows.items() if row["rater"] not in forgotten}
        elif record.rater in forgotten:
            outcomes.append("forgotten")
            continue
        elif slot in slots:
            outcomes.append("taken")
            continue
        ids.add(record.id)
        slots.add(slot)
        rows[record.id] = _row(record, is_saved=False, part=None, is_shadowed=False)
        outcomes.append("accepted")
    if rows:
        connection.execute(_ADD, list(rows.values()))
        _count(connection, is_rewrite=False)
    return outcomes


def merge_records(connection: Connection, records: Sequence[tuple[str, Record]]) -> Merged:
    """Takes over records, each with the part that it is in; those that are here already are saved now.

    Of two records with one id, or of two votes in one slot, the lesser by :func:`ratings.parts.order_of` counts, in
    whatever order they come in. Of records taken over together, wishes count first.
    """
    for _, wish in records:
        if isinstance(wish, Forget):
            _forget(connection, wish.raters)
    forgotten = _forgotten_of(connection, [record for _, record in records])
    wanted: dict[str, Record] = {}
    parts: dict[str, str] = {}
    stained = set[str]()
    for part, record in sorted(records, key=lambda one: order_of(one[1])):
        if not isinstance(record, Forget) and record.rater in forgotten:
            stained.add(part)
        elif record.id not in wanted:
            wanted[record.id], parts[record.id] = record, part
    there = connection.execute(select(VOTES.c.id, VOTES.c.at, VOTES.c.line).where(VOTES.c.id.in_(list(wanted)))).all()
    _note_saved(connection, {row.id: parts[row.id] for row in there})
    beaten = [row.id for row in there if order_of(wanted[row.id]) < (row.at, row.id, row.line)]
    if beaten:
        connection.execute(delete(VOTES).where(VOTES.c.id.in_(beaten)))
    for row in there:
        if row.id not in beaten:
            del wanted[row.id]
    left, rows = _settled(connection, parts, list(wanted.values()))
    if left:
        connection.execute(update(VOTES).where(VOTES.c.id.in_(left)).values(is_shadowed=True))
    if rows:
        connection.execute(_ADD, rows)
    if rows or beaten:
        _count(connection, is_rewrite=bool(left or beaten))
    return Merged(new=len(rows) - len(beaten), stained=frozenset(stained))


def note_parts(connection: Connection, parts: Mapping[str, bool]) -> None:
    """Notes that parts are in the archive, whose records are merged, and whether each is stained."""
    named = PARTS.c.name.in_(list(parts))
    there = set(connection.scalars(select(PARTS.c.name).where(named)))
    connection.execute(update(PARTS).where(named).values(is_waiting=False, content=None))
    for is_stained in (False, True):
        alike = [name for name in there if parts[name] == is_stained]
        connection.execute(update(PARTS).where(PARTS.c.name.in_(alike)).values(is_stained=is_stained))
    rows = [
        {"name": name, "is_waiting": False, "is_stained": is_stained}
        for name, is_stained in parts.items()
        if name not in there
    ]
    if rows:
        connection.execute(insert(PARTS), rows)


def _note_saved(connection: Connection, parts: Mapping[str, str]) -> None:
    """Notes that stored records are in the archive, and the part of each, by its id.

    A record that waits in a part keeps that one, which goes out with it all the same.
    """
    connection.execute(update(VOTES).where(VOTES.c.id.in_(list(parts))).values(is_saved=True))
    ids: dict[str, list[str]] = {}
    for one, part in parts.items():
        ids.setdefault(part, []).append(one)
    waits = exists().where(PARTS.c.name == VOTES.c.part, PARTS.c.is_waiting)
    for part, held in ids.items():
        connection.execute(update(VOTES).where(VOTES.c.id.in_(held), ~waits).values(part=part))


def _settled(
    connection: Connection, parts: Mapping[str, str], records: Sequence[Record]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Returns the ids of votes that lose their slot to one of some new records, and the rows of these.

    Args:
        connection: Of the transaction.
        parts: What each comes with, by its id.
        records: Sorted, none of them stored.
    """
    query = select(VOTES.c.slot, VOTES.c.at, VOTES.c.id, VOTES.c.line).where(
        VOTES.c.slot.in_(_slots(records)), ~VOTES.c.is_shadowed
    )
    holders = {slot: order for slot, *order in connection.execute(query)}
    losers: list[str] = []
    rows: list[dict[str, Any]] = []
    for record in records:
        slot, order = slot_of(record), order_of(record)
        holder = None if slot is None else holders.get(slot)
        is_shadowed = holder is not None and tuple(holder) < order
        if holder is not None and not is_shadowed:
            losers.append(holder[1])
        if slot is not None and not is_shadowed:
            holders[slot] = list(order)
        rows.append(_row(record, is_saved=True, part=parts[record.id], is_shadowed=is_shadowed))
    return losers, rows


def _forget(connection: Connection, raters: Collection[str]) -> None:
    """Deletes the votes of raters, and takes them for good out of what waits to be sent."""
    known = set(connection.scalars(select(FORGOTTEN.c.rater).where(FORGOTTEN.c.rater.in_(list(raters)))))
    new = sorted(set(raters) - known)
    if not new:
        return
    connection.execute(insert(FORGOTTEN), [{"rater": rater} for rater in new])
    theirs = VOTES.c.rater.in_(new)
    parts = list(connection.scalars(select(VOTES.c.part).where(theirs, VOTES.c.part.is_not(None)).distinct()))
    if connection.execute(delete(VOTES).where(theirs)).rowcount:
        _count(connection, is_rewrite=True)
    named = PARTS.c.name.in_(parts)
    waiting = list(connection.scalars(select(PARTS.c.name).where(named, PARTS.c.is_waiting)))
    connection.execute(update(VOTES).where(VOTES.c.part.in_(waiting)).values(part=None))  # to be sealed anew
    connection.execute(delete(PARTS).where(PARTS.c.name.in_(waiting)))
    connection.execute(update(PARTS).where(named).values(is_stained=True))


def _forgotten_of(connection: Connection, records: Sequence[Record]) -> set[str]:
    raters = {one.rater for one in records if not isinstance(one, Forget)}
    return set(connection.scalars(_RATERS, {"wanted": list(raters)}))


def _count(connection: Connection, *, is_rewrite: bool) -> None:
    names = ["revision", "rewrites"] if is_rewrite else ["revision"]
    connection.execute(_COUNT, {"names": names})


def _slots(records: Sequence[Record]) -> list[str]:
    return [slot for slot in map(slot_of, records) if slot is not None]


def _row(record: Record, *, is_saved: bool, part: str | None, is_shadowed: bool) -> dict[str, Any]:
    return {
        "id": record.id,
        "at": int(record.at.timestamp()),
        "rater": None if isinstance(record, Forget) else record.rater,
        "slot": slot_of(record),
        "line": line_of(record),
        "is_shadowed": is_shadowed,
        "is_saved": is_saved,
        "part": part,
    }
