"""How many votes a rater, and all raters of one network together, may give on a day (UTC).

A browser's token costs nothing, so what is allowed to a rater bounds nobody who takes many tokens. What is allowed to
a network does: whoever has only one address cannot give more votes than that, however many raters they play.
"""

import threading
from collections import Counter
from collections.abc import Hashable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from ratings.identity import Keys
from ratings.store import Outcome, VoteStore
from ratings.vote import PairVote, Vote
from sr_core.errors import VoteLimitError

__all__ = ["Allowance"]

_LOCKS: Final = 256
_CLASS: Final = 30
"""People behind one address, as in a school."""


class Allowance:
    """Stores votes as long as there are some left. Safe between threads.

    The votes of a rater are counted in the store. Skips, and the votes of a network, are counted in memory: who sent
    what from where is kept nowhere, a restart begins anew, and each replica counts for itself.

    Args:
        store: Where votes are kept.
        keys: What makes the words for raters.
        per_rater: Votes of one rater on one day, of all kinds together.
        per_client: Votes of one network on one day.
    """

    def __init__(self, store: VoteStore, keys: Keys, per_rater: int, per_client: int) -> None:
        self._store, self._keys = store, keys
        self._per_rater, self._per_client = per_rater, per_client
        # Skips are for pictures of which one cannot tell; without a bound one could skip until a wanted system shows.
        self._skips, self._of_clients = _Tally(per_rater // 3 + 5), _Tally(per_client)
        self._turns = tuple(threading.Lock() for _ in range(_LOCKS))

    def today(self, browser: str, client: bytes | None, at: datetime) -> tuple[int, int]:
        """Returns how many votes a rater has given today, and how many more are left.

        Args:
            browser: The rater's token.
            client: A word for the network, or None for one that is not counted.
            at: The time.

        Raises:
            VoteLimitError: No votes are left, to the rater or to the network.
        """
        done = self._done_today(browser, at)
        if done >= self._per_rater:
            raise VoteLimitError(self._no_more())
        if client is not None and self._of_clients.is_full(client, at):
            raise VoteLimitError(self._no_more_here())
        return done, self._per_rater - done

    def store(self, vote: Vote, browser: str, client: bytes | None) -> Outcome:
        """Stores a vote, and returns what became of it; one that is there already needs no allowance.

        Raises:
            VoteLimitError: No votes, or no skips, are left.
            VoteError: Votes cannot be stored just now.
        """
        with self._turns[int(vote.rater, 16) % _LOCKS]:  # so that the limits hold however many come at once
            refusal = self._refusal(vote, browser)
            if refusal is not None and not self._is_stored(vote):
                raise VoteLimitError(refusal)
            outcome = self.store_again(vote, client, vote.at)
            if outcome == "accepted" and _is_skip(vote):
                self._skips.take(vote.rater, vote.at)
            return outcome

    def store_again(self, vote: Vote, client: bytes | None, at: datetime) -> Outcome:
        """Stores a vote that was allowed before, as :meth:`store` does; it counts for the network alone."""
        if client is None:
            return self._store.accept(vote)
        if not self._of_clients.take(client, at):
            if not self._is_stored(vote):
                raise VoteLimitError(self._no_more_here())
            return self._store.accept(vote)
        is_new = False
        try:
            outcome = self._store.accept(vote)
            is_new = outcome == "accepted"
            return outcome
        finally:
            if not is_new:
                self._of_clients.give_back(client)

    def _refusal(self, vote: Vote, browser: str) -> str | None:
        if self._done_today(browser, vote.at) >= self._per_rater:
            return self._no_more()
        if _is_skip(vote) and self._skips.is_full(vote.rater, vote.at):
            return f"You have skipped {self._skips.most} pairs today; please answer this one, or come back tomorrow."
        return None

    def _is_stored(self, vote: Vote) -> bool:
        return self._store.states([vote.id])[vote.id] != "unknown"

    def _done_today(self, browser: str, at: datetime) -> int:
        midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        # On the first of a month some votes of the day are under the old word, because they were drawn before.
        words = {self._keys.word_of(browser, day) for day in (at, at - timedelta(days=1))}
        return sum(self._store.count_of(word, midnight) for word in words)

    def _no_more(self) -> str:
        return f"You have given {self._per_rater} votes today, thank you; more are welcome tomorrow."

    def _no_more_here(self) -> str:
        return (
            f"Your network has given {self._per_client} votes today, which is all that one may give "
            f"({self._per_client // _CLASS} each for a class of {_CLASS}), thank you; more are welcome tomorrow."
        )


class _Tally:
    """How often each of many has done something today. Safe between threads.

    Args:
        most: How often each may.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._day, self._counts = date.min, Counter[Hashable]()
        self._lock = threading.Lock()

    def take(self, who: Hashable, at: datetime) -> bool:
        """Counts one more and returns True; or returns False where so many are counted today."""
        with self._lock:
            self._begin(at)
            if self._counts[who] >= self.most:
                return False
            self._counts[who] += 1
            return True

    def give_back(self, who: Hashable) -> None:
        """Counts one less."""
        with self._lock:
            self._counts[who] -= 1
            if self._counts[who] <= 0:
                del self._counts[who]

    def is_full(self, who: Hashable, at: datetime) -> bool:
        """Returns whether one more would be too many."""
        with self._lock:
            self._begin(at)
            return self._counts[who] >= self.most

    def _begin(self, at: datetime) -> None:
        day = at.astimezone(UTC).date()
        if day > self._day:  # what comes late from yesterday counts today
            self._day, self._counts = day, Counter()


def _is_skip(vote: Vote) -> bool:
    return isinstance(vote, PairVote) and vote.choice == "skip"
