"""How fast the booth is: ``python -m tests.ratings.booth_speed [votes]`` with so many votes in the store already."""

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import numpy as np

from ratings.booth import Booth, Draw
from ratings.identity import Keys
from ratings.store import VoteStore
from ratings.vote import PairVote, View
from tests.ratings.picture_sets import small_set

VARIANTS = tuple(f"variant-{number}" for number in range(18))
PICTURES = tuple(f"picture-{number}" for number in range(12))
VIEW = View(decision_ms=2000, viewport=(1200, 800), pixel_ratio=1, zoom=1)
RATERS = 100
"""At once."""


def main(votes: int) -> None:
    """Prints milliseconds of draws and votes of 100 raters, one after another and all at once."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = small_set(Path(folder) / "pictures", VARIANTS, PICTURES)
        store, time_now = VoteStore.open(f"sqlite:///{folder}/votes.db"), [datetime.now(UTC)]
        keys, references = Keys("a secret of this measurement"), dict.fromkeys(VARIANTS[1:], VARIANTS[0])
        booth = Booth(store, keys, pictures, references, clock=lambda: time_now[0])
        fill(store, votes, pictures.version, pictures.systems)
        told("first draw, with the first fit", [timed(lambda: booth.draw(None, "pair"))])
        told("draws, one after another", [timed(lambda: booth.draw(None, "pair")) for _ in range(200)])
        told(f"draws, {RATERS} at once", at_once([lambda: booth.draw(None, "pair")] * RATERS))
        draws = [booth.draw(None, "pair") for _ in range(2 * RATERS)]
        time_now[0] += timedelta(seconds=2)
        told("votes, one after another", [timed(vote_of(booth, draw)) for draw in draws[:RATERS]])
        told(f"votes, {RATERS} at once", at_once([vote_of(booth, draw) for draw in draws[RATERS:]]))
        store.close()


def fill(store: VoteStore, votes: int, version: str, systems: tuple[str, ...]) -> None:
    """Stores made-up votes, 60 of each rater."""
    rng, at = Random(0), datetime.now(UTC) - timedelta(days=2)

    def add(number: int) -> None:
        left, right = rng.sample(systems, 2)
        vote = PairVote(
            id=f"{number:032x}", at=at, rater=f"{number // 60:016x}", picture_set=version,
            picture=rng.choice(PICTURES), left=left, right=right, choice="left", view=VIEW,
        )  # fmt: skip
        store.accept(vote)

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(add, range(votes)))


def vote_of(booth: Booth, draw: Draw) -> Callable[[], object]:
    """Returns the call that answers a draw."""
    return lambda: booth.vote(draw.browser, draw.ballot, "left", VIEW)


def at_once(calls: list[Callable[[], object]]) -> list[float]:
    """Returns how long each call takes when all begin together."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> float:
        start.wait(60)
        return timed(call)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def timed(call: Callable[[], object]) -> float:
    """Returns the seconds of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def told(what: str, seconds: list[float]) -> None:
    """Prints the middle, the 99th of a hundred, and the longest."""
    middle, late = np.percentile(seconds, (50, 99)) * 1000
    line = f"{what:35s} p50 {middle:7.1f} ms   p99 {late:7.1f} ms   longest {max(seconds) * 1000:7.1f} ms"
    print(line)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
