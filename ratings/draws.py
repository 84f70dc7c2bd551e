"""What the draws go by: the votes as of the last fit, and all that has come or been drawn since.

A fit over all votes takes too long to be made for each draw. Between two fits every new vote, and every draw that may
still be answered, is counted on top of the last one. Nothing here needs to be known to other replicas or after a
restart: it makes draws better, and no vote depends on it.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Final, Protocol

from ratings.ballot import LIFE_SECONDS, Ballot
from ratings.bradley_terry import fit_pairs
from ratings.trial import Counts, Knowledge, known_from
from ratings.vote import Forget, PairVote, Record

__all__ = ["Draws", "Votes"]

_FIT_VOTES: Final = 20
"""So many new votes make a new fit worth its time."""
_FIT_SECONDS: Final = 30.0
"""A fit is renewed after so long whatever came: other replicas' votes are not counted here."""
_FIT_SHARE: Final = 0.1
"""Fits may take this share of the time, however many votes come."""
_ANSWER_SECONDS: Final = 180.0
"""An open draw is expected to be answered for so long."""
_MOST_OPEN: Final = 20_000
"""Open draws that are remembered; a ballot is as good when its draw is not."""


class Votes(Protocol):
    """Where the votes come from: a :class:`ratings.store.VoteStore`."""

    @property
    def revision(self) -> int: ...
    def records(self) -> tuple[Record, ...]: ...


@dataclass(slots=True, kw_only=True)
class _Open:
    """A draw that may be answered, and whether it counts as if it were."""

    ballot: Ballot
    counts: bool = True


class Draws:
    """Counts of what is answered and of what is open. Safe between threads.

    Args:
        votes: All votes.
        version: Of the set of pictures.
        pictures: Names of the pictures.
        systems: Names of the systems that can be drawn.
        references: From a variant to the full-precision network that it was made from.
        clock: Where the time comes from.
    """

    def __init__(
        self,
        votes: Votes,
        version: str,
        pictures: Sequence[str],
        systems: Sequence[str],
        references: Mapping[str, str],
        clock: Callable[[], datetime],
    ) -> None:
        self._votes, self._references, self._clock = votes, references, clock
        self._version, self._pictures, self._systems = version, tuple(pictures), tuple(systems)
        self._picture_place = {name: place for place, name in enumerate(self._pictures)}
        self._system_place = {name: place for place, name in enumerate(self._systems)}
        self._lock, self._fitting = threading.Lock(), threading.Lock()
        self._more = Counts.none(len(self._pictures), len(self._systems))
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._counted: deque[_Open] = deque()
        self._of_rater: dict[str, dict[str, _Open]] = {}
        self._new: dict[str, tuple[Ballot, bool]] = {}
        self._forgotten: set[str] = set()
        self._known: Knowledge | None = None
        self._known_at, self._fit_seconds, self._revision = clock(), 0.0, -1

    def knowledge(self) -> Knowledge:
        """Returns what is known now; one caller at a time makes a new fit where it is due, others get the last one."""
        if self._known is None:
            with self._fitting:
                if self._known is None:
                    self._fit()
        elif self._is_due() and self._fitting.acquire(blocking=False):
            try:
                self._fit()
            finally:
                self._fitting.release()
        with self._lock:
            self._sweep()
            known, more = self._known, deepcopy(self._more)
        assert known is not None  # noqa: S101 - a fit was made above
        return known.with_more(more)

    def is_forgotten(self, rater: str) -> bool:
        """Returns whether a rater is known to have asked to be forgotten."""
        with self._lock:
            return rater in self._forgotten

    def forget(self, raters: Sequence[str]) -> None:
        """Remembers that raters asked to be forgotten."""
        with self._lock:
            self._forgotten.update(raters)

    def open(self, ballot: Ballot) -> None:
        """Counts a draw as if it were answered, for a while; one that is given out anew counts once."""
        with self._lock:
            self._drop(ballot.id)
            draw = _Open(ballot=ballot)
            self._open[ballot.id] = draw
            self._counted.append(draw)
            self._count(ballot, 1)
            self._of_rater.setdefault(ballot.rater, {})[ballot.id] = draw
            self._sweep()

    def open_ballots(self, rater: str) -> tuple[Ballot, ...]:
        """Returns what a rater has drawn and may still answer, the oldest first."""
        with self._lock:
            self._sweep()
            return tuple(draw.ballot for draw in self._of_rater.get(rater, {}).values())

    def close(self, ballot: Ballot, tells: bool) -> None:
        """Counts a vote that the store took.

        Args:
            ballot: What it answers.
            tells: Whether it is no skip.
        """
        with self._lock:
            self._drop(ballot.id)
            self._new[ballot.id] = ballot, tells
            self._count(ballot, 1, tells)

    def _is_due(self) -> bool:
        waited = (self._clock() - self._known_at).total_seconds()
        if waited * _FIT_SHARE < self._fit_seconds:
            return False
        return len(self._new) >= _FIT_VOTES or (waited >= _FIT_SECONDS and self._votes.revision != self._revision)

    def _fit(self) -> None:
        """Takes in what all votes tell; those that came before it began are no longer counted on top of it."""
        start = perf_counter()
        with self._lock:
            new = list(self._new)  # each of them is in the store already
        revision, records = self._votes.revision, self._votes.records()
        fit = fit_pairs([record for record in records if isinstance(record, PairVote)], self._systems)
        known = known_from(records, fit, self._version, self._pictures, self._references)
        forgotten = [word for record in records if isinstance(record, Forget) for word in record.raters]
        with self._lock:
            for vote in new:
                ballot, tells = self._new.pop(vote)
                self._count(ballot, -1, tells)
            self._forgotten.update(forgotten)
            self._known, self._revision = known, revision
            self._known_at, self._fit_seconds = self._clock(), perf_counter() - start

    def _sweep(self) -> None:
        """Lets go of draws that nobody will answer any more."""
        now = self._clock()
        while self._counted and (now - self._counted[0].ballot.at).total_seconds() > _ANSWER_SECONDS:
            self._discount(self._counted.popleft())
        while self._open:
            oldest = next(iter(self._open.values())).ballot
            if len(self._open) <= _MOST_OPEN and (now - oldest.at).total_seconds() <= LIFE_SECONDS:
                break
            self._drop(oldest.id)

    def _drop(self, vote: str) -> None:
        draw = self._open.pop(vote, None)
        if draw is None:
            return  # drawn by another replica or before a restart
        self._discount(draw)
        of_rater = self._of_rater[draw.ballot.rater]
        del of_rater[vote]
        if not of_rater:
            del self._of_rater[draw.ballot.rater]

    def _discount(self, draw: _Open) -> None:
        if draw.counts:
            draw.counts = False
            self._count(draw.ballot, -1)

    def _count(self, ballot: Ballot, times: int, tells: bool = True) -> None:
        systems = tuple(self._system_place[system] for system in ballot.systems)
        self._more.add(self._picture_place[ballot.picture], systems, times, tells)
