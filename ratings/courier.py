"""Between the store and the archive: what waits here goes there, what is new there comes here, and parts stay few.

All of it happens in one thread that nobody waits for. Whatever fails is tried again, later and later.
"""

import itertools
import logging
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ratings.archive import Archive, ArchiveError, Listing
from ratings.parts import FULL_BYTES, fold, is_merged, records_of
from ratings.store import VoteStore
from sr_core.errors import VoteError

__all__ = ["Courier", "Lag", "Pace", "compact", "needs_compaction", "pull", "push"]

_LOG = logging.getLogger(__name__)
_MOST_BYTES: Final = 16_000_000
"""Parts of this length together are made one at a time, unless votes in them must go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a courier goes.

    The Hub takes 128 commits an hour for a repository, from all who write to it.

    Attributes:
        burst: Commits of all replicas together that may follow each other at once.
        commits_per_hour: Commits of all replicas together in the long run.
        beat_seconds: From one look at what waits to the next.
        pull_seconds: From one look at the archive to the next.
        longest_pause_seconds: Longest pause after a failure, unless the Hub asks for a longer one.
        most_fresh: Parts that are not merged yet; beyond that they are.
    """

    burst: float = 8
    commits_per_hour: float = 100
    beat_seconds: float = 0.5
    pull_seconds: float = 600
    longest_pause_seconds: float = 300
    most_fresh: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far the archive is behind.

    Attributes:
        waiting: Records that are only here.
        seconds_since_success: Since the archive was last read or written, or None when it never was.
        is_restored: Whether what the archive held at the start is here.
        trouble: Why it does not go on, as a sentence for the owner, or None.
    """

    waiting: int
    seconds_since_success: float | None
    is_restored: bool
    trouble: str | None


def pull(store: VoteStore, archive: Archive) -> int:
    """Takes over what is new in the archive, and returns how many records were new here.

    What was saved and is not in this archive, because it is another one or lost its parts, waits to be sent again.

    Raises:
        ArchiveError: The archive cannot be read.
        VoteError: The store cannot be written.
    """
    store.turn_to(archive.source.repo)
    known = store.known_parts()  # before the listing, so that what is sent meanwhile is not taken for gone
    listing = archive.listing()
    unknown = listing.parts.keys() - known
    new = _merge(store, archive.read(listing, unknown))
    store.drop_parts(known - listing.parts.keys())
    if store.has_strays():
        # Of the parts that hold a record, the store knows one; another may still be there.
        new += _merge(store, archive.read(listing, listing.parts.keys() - unknown))
        store.send_strays_again()
    return new


def push(store: VoteStore, archive: Archive, writer: str, seconds: float | None = None) -> int:
    """Sends what waits, in one commit, and returns how many parts were sent.

    Args:
        store: Where it waits.
        archive: Where it goes.
        writer: A random word of this process.
        seconds: Longest wait for the archive, when it is to be shorter than usual.

    Raises:
        ArchiveError: It may not have arrived; sending it again is safe.
        VoteError: The store cannot be read or written.
    """
    store.turn_to(archive.source.repo)
    store.seal(writer, datetime.now(UTC).date())
    parts = store.waiting_parts()
    if parts:
        archive.push(parts, seconds)
        store.mark_saved(part.name for part in parts)
    return len(parts)


def compact(store: VoteStore, archive: Archive, most_fresh: int = 0) -> bool:
    """Makes few parts of many, deletes what its raters want to be forgotten, and returns whether anything was to do.

    The store has pulled before: what it does not know yet is left for later, so that no wish to forget is put among
    the merged parts before it was done.

    Raises:
        ArchiveError: It could not be done, or somebody else changed the archive meanwhile.
        VoteError: The store cannot be read or written.
    """
    listing = archive.listing()
    names = _to_fold(store, listing, most_fresh)
    is_deleting = listing.is_deleting
    if names:
        folding = fold(archive.read(listing, names), store.forgotten())
        archive.replace(listing, folding)
        _merge(store, {part.name: part.content for part in folding.added})
        is_deleting = is_deleting or folding.dropped > 0
    if is_deleting:
        archive.finish_deletion()
    return bool(names) or is_deleting


def needs_compaction(store: VoteStore, archive: Archive, most_fresh: int) -> bool:
    """Returns whether :func:`compact` would do anything; at most a request or two.

    Raises:
        ArchiveError: The archive cannot be read.
        VoteError: The store cannot be read.
    """
    listing = archive.listing()
    return listing.is_deleting or bool(_to_fold(store, listing, most_fresh))


def _to_fold(store: VoteStore, listing: Listing, most_fresh: int) -> set[str]:
    """Returns the names of the parts to fold: all when something must be deleted, else the many small ones, or none."""
    if store.stained_parts() & listing.parts.keys():
        return set(listing.parts)
    known = store.known_parts() & listing.parts.keys()
    fresh = sorted(name for name in known if not is_merged(name))
    if len(fresh) <= most_fresh:
        return set()
    small = [name for name in known if is_merged(name) and listing.parts[name] < FULL_BYTES]
    lengths = itertools.accumulate(listing.parts[name] for name in (*small, *fresh))
    return {name for name, length in zip((*small, *fresh), lengths, strict=True) if length <= _MOST_BYTES}


def _merge(store: VoteStore, contents: dict[str, bytes]) -> int:
    records = {name: records_of(content) for name, content in contents.items()}
    unread = sum(lines for _, lines in records.values())
    if unread:
        _LOG.warning("%d lines of the archive are no votes as this version knows them; they stay there.", unread)
    return store.merge({name: known for name, (known, _) in records.items()})


class Courier:
    """The thread between a store and its archive.

    Args:
        store: Where votes are accepted.
        archive: Where they are saved.
        replicas: How many servers write to the archive, and so share what the Hub allows. Of those with the same
            database only one is at work at a time.
        pace: How often it goes.
    """

    def __init__(self, store: VoteStore, archive: Archive, replicas: int = 1, pace: Pace | None = None) -> None:
        self._store, self._archive, self._pace = store, archive, pace or Pace()
        self._writer = uuid.uuid4().hex[:12]
        share = 1 / max(replicas, 1)
        self._tokens = _Tokens(max(self._pace.burst * share, 1.0), self._pace.commits_per_hour * share)
        tasks = (self._push_what_waits, self._pull_in_time, self._compact_if_many)
        self._tasks = tuple(_Task(do, self._pace.longest_pause_seconds) for do in tasks)
        self._next_pull, self._may_be_many, self._is_restored = 0.0, False, False
        self._ending, self._at_work = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """Begins; what the archive holds comes in first, in the background."""
        self._thread.start()

    def stop(self, flush_seconds: float) -> None:
        """Ends, after sending what waits, whatever the budget of commits says.

        Args:
            flush_seconds: Longest time for that. What is not sent by then stays in the store.
        """
        until = time.monotonic() + flush_seconds
        self._ending.set()
        is_alone = self._at_work.acquire(timeout=flush_seconds / 2)  # else it hangs in a call: do not wait for it
        try:
            self._flush(until)
        finally:
            if is_alone:
                self._at_work.release()
        if self._thread.ident is not None:
            self._thread.join(max(until - time.monotonic(), 0.0))

    def lag(self) -> Lag:
        """Returns how far the archive is behind.

        Raises:
            VoteError: The store cannot be read.
        """
        done = [task.done_at for task in self._tasks if task.done_at is not None]
        troubles = [task.trouble for task in self._tasks if task.trouble is not None]
        return Lag(
            waiting=self._store.waiting(),
            seconds_since_success=time.monotonic() - max(done) if done else None,
            is_restored=self._is_restored,
            trouble=troubles[0] if troubles else None,
        )

    def _run(self) -> None:
        while not self._ending.is_set():
            with self._at_work:
                for task in self._tasks:
                    if task.is_due and not self._ending.is_set():
                        before = self._archive.commits
                        failure = task.run()
                        self._tokens.take(self._archive.commits - before)
                        if failure is not None and failure.retry_seconds is not None:
                            self._tokens.take_all()
            self._ending.wait(self._pace.beat_seconds)

    def _push_what_waits(self) -> bool:
        if not self._tokens.has_one or not self._store.has_outgoing():
            return False
        with self._store.alone() as is_alone:
            if is_alone:
                push(self._store, self._archive, self._writer)
        if is_alone and self._store.stained_parts():
            self._next_pull = 0.0  # a wish to forget is to be done soon
        return is_alone

    def _pull_in_time(self) -> bool:
        if time.monotonic() < self._next_pull:
            return False
        with self._store.alone() as is_alone:
            if not is_alone:
                return False
            pull(self._store, self._archive)
        self._next_pull = time.monotonic() + self._pace.pull_seconds * random.uniform(0.8, 1.2)
        self._may_be_many = self._is_restored = True
        return True

    def _compact_if_many(self) -> bool:
        if not self._may_be_many or not self._tokens.has_one:
            return False
        with self._store.alone() as is_alone:
            if not is_alone:
                return False
            if needs_compaction(self._store, self._archive, self._pace.most_fresh):
                compact(self._store, self._archive, self._pace.most_fresh)
            else:
                self._may_be_many = False
        return True

    def _flush(self, until: float) -> None:
        """Sends what waits until it is all sent or the time is over."""
        while (left := until - time.monotonic()) > 0:
            try:
                if push(self._store, self._archive, self._writer, left) == 0:
                    return
            except VoteError as error:
                pause = error.retry_seconds if isinstance(error, ArchiveError) and error.retry_seconds else 0.2
                if pause >= until - time.monotonic():
                    break
                time.sleep(pause)
        _LOG.warning("Some votes are not saved yet; they stay in the store of this machine.")


class _Tokens:
    """A budget of commits: some at once, then as many as come back with time."""

    def __init__(self, burst: float, per_hour: float) -> None:
        self._burst, self._per_second = burst, per_hour / 3600
        self._left, self._at = burst, time.monotonic()

    def take(self, count: int) -> None:
        """Takes some; when there are not as many, those that come next are owed."""
        self._left = self._grown() - count

    @property
    def has_one(self) -> bool:
        """Whether there is one to take."""
        return self._grown() >= 1

    def take_all(self) -> None:
        """Takes what is left: the Hub has counted otherwise."""
        self._left = min(self._grown(), 0.0)

    def _grown(self) -> float:
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        return self._left


class _Task:
    """Something to do again and again, with pauses that double while it fails.

    Args:
        do: Tells whether there was anything to do.
        longest: Pause in seconds.
    """

    def __init__(self, do: Callable[[], bool], longest: float) -> None:
        self._do, self._longest = do, longest
        self._pause, self._not_before = 0.0, 0.0
        self.trouble: str | None = None
        self.done_at: float | None = None

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._not_before

    def run(self) -> ArchiveError | None:
        """Does it, and returns what kept it from being done."""
        try:
            if self._do():
                self.trouble, self._pause, self.done_at = None, 0.0, time.monotonic()
        except ArchiveError as error:
            return self._put_off(error)
        except VoteError as error:
            return self._put_off(ArchiveError(str(error)))
        except Exception:  # noqa: BLE001  a bug is logged, but must not end the thread, or no vote would be saved any more
            _LOG.exception("The courier of the votes stumbled.")
            return self._put_off(ArchiveError("Votes wait here, because of an error that the log of the app tells of."))
        return None

    def _put_off(self, failure: ArchiveError) -> ArchiveError:
        if failure.is_stale:
            pause = 1.0
        else:
            if self.trouble is None:
                _LOG.warning("%s", failure)
            self.trouble = str(failure)
            pause = self._pause = min(max(1.0, self._pause * 2), self._longest)
        pause *= random.uniform(0.5, 1.0)  # so that several servers do not come back at once
        self._not_before = time.monotonic() + max(pause, failure.retry_seconds or 0.0)
        return failure
