"""Calls over a network that end in time, whatever the network does.

A client cannot be stopped, and its own limits do not hold for looking up names, for each of many addresses or for its
retries. So each call gets a thread of its own, and who asks waits for so long and no longer.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from time import monotonic
from typing import Final, TypeVar

__all__ = ["Calls", "TooManyCallsError", "results", "within"]

_GIVEN_UP_SECONDS: Final = 600.0
_T = TypeVar("_T")
_K = TypeVar("_K")


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """Returns what a function returns, or gives up waiting for it; it then goes on in the background.

    Raises:
        TimeoutError: It takes too long.
    """
    return _begun(call).result(max(seconds, 0.0))


class TooManyCallsError(Exception):
    """So many calls that nobody waits for any more are still under way that no other begins."""


class Calls:
    """Calls of one client; those that nobody waits for any more go on in the background, but only so many.

    Args:
        most: Calls that may be under way; one that has gone on for ten minutes is not counted.
    """

    def __init__(self, most: int = 4) -> None:
        self._most, self._begun = most, dict[Future[object], float]()
        self._lock = threading.Lock()

    def within(self, seconds: float, call: Callable[[], _T]) -> _T:
        """Returns what a function returns, or gives up waiting for it.

        Raises:
            TimeoutError: It takes too long.
            TooManyCallsError: Too many others have taken too long lately.
        """
        with self._lock:
            now = monotonic()
            recent = {one: at for one, at in self._begun.items() if not one.done() and now - at < _GIVEN_UP_SECONDS}
            if len(recent) >= self._most:
                raise TooManyCallsError
            outcome = _begun(call)
            self._begun = {**recent, outcome: now}
        return outcome.result(max(seconds, 0.0))


def results(fetch: Callable[[_K], _T], keys: Iterable[_K], workers: int, seconds: float) -> Iterator[tuple[_K, _T]]:
    """Yields each key with what a function makes of it, in any order, several at once.

    Args:
        fetch: May raise; the error comes out here, and what is left is not begun.
        keys: What to make something of.
        workers: How many at once.
        seconds: Longest wait for the next one.

    Raises:
        TimeoutError: The next one takes too long.
    """
    left = list(keys)
    outcomes: queue.SimpleQueue[tuple[_K, Future[_T]]] = queue.SimpleQueue()
    lock, count = threading.Lock(), len(left)

    def work() -> None:
        while True:
            with lock:
                if not left:
                    return
                key = left.pop()
            outcome: Future[_T] = Future()
            _settle(outcome, lambda: fetch(key))  # noqa: B023  called before the next turn
            outcomes.put((key, outcome))

    for _ in range(min(workers, count)):
        _start(work)
    try:
        for _ in range(count):
            try:
                key, outcome = outcomes.get(timeout=seconds)
            except queue.Empty as error:
                raise TimeoutError from error
            yield key, outcome.result()
    finally:
        with lock:
            left.clear()


def _begun(call: Callable[[], _T]) -> Future[_T]:
    outcome: Future[_T] = Future()
    _start(lambda: _settle(outcome, call))
    return outcome


def _settle(outcome: Future[_T], call: Callable[[], _T]) -> None:
    try:
        outcome.set_result(call())
    except BaseException as error:  # noqa: BLE001  raised again where it is waited for
        outcome.set_exception(error)


def _start(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="hub", daemon=True).start()  # a daemon: it never holds up the end of the app
