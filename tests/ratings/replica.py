"""A server that collects votes, without a page, for tests that kill it; and a nursery that starts such servers quickly.

A replica has the real store, archive and courier. Votes come in all the time, and what it may show a visitor stands in
its diary, one line each, written before anything else happens: ``accepted ID RATER``, ``saved ID RATER``. The nursery
has imported everything and forks, so that a replica begins within milliseconds.
"""

import json
import logging
import os
import signal
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from ratings.archive import Archive, ArchiveSource
from ratings.courier import Courier, Pace
from ratings.store import VoteStore
from ratings.vote import Forget, PairVote, Record, View

START = datetime(2026, 11, 3, 12, tzinfo=UTC)
VIEW = View(decision_ms=3000, viewport=(1280, 720), pixel_ratio=1, zoom=2)
PACE = Pace(
    burst=1000,
    commits_per_hour=1e6,
    beat_seconds=0.05,
    pull_seconds=0.5,
    longest_pause_seconds=0.5,
    most_fresh=6,
)
FLEETING = 40
"""Raters that are forgotten now and then."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a replica lives: its folder, its diary, its Hub, and the seed of what it does."""

    folder: str
    diary: str
    endpoint: str
    repo: str
    token: str
    seed: int


def live(place: Place) -> None:
    """Takes votes until it is ended politely; then what waits is sent."""
    random, ending = Random(place.seed), list[int]()
    signal.signal(signal.SIGTERM, lambda number, _frame: ending.append(number))
    diary = os.open(place.diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    store = VoteStore.open(f"sqlite:///{place.folder}/votes.db")
    source = ArchiveSource(
        repo=place.repo, token=place.token, endpoint=place.endpoint, answer_seconds=2.0, call_seconds=8.0
    )
    courier = Courier(store, Archive(source), 3, PACE)
    courier.start()
    shown: dict[str, str] = {}
    while not ending:
        for _ in range(random.choice([1, 1, 1, 2, 8])):
            record = draw(random)
            outcome = store.accept(record)
            if outcome in ("accepted", "repeated"):
                rater = f"wish:{record.raters[0]}" if isinstance(record, Forget) else record.rater
                tell(diary, "accepted", record.id, rater)
                shown[record.id] = rater
        tell_saved(store, diary, shown)
        time.sleep(random.uniform(0.02, 0.3))
    courier.stop(30)
    tell_saved(store, diary, shown)
    store.close()


def draw(random: Random) -> Record:
    """Returns a record: mostly new votes, some that other replicas get as well, rivals for one slot, wishes."""
    kind = random.random()
    fleeting = f"f{random.randrange(FLEETING):015x}"
    if kind < 0.02:
        return Forget(id=uuid.uuid4().hex, at=START, raters=(fleeting,))
    if kind < 0.10:
        number = random.randrange(400)
        return vote(f"{number:032x}", "5" * 16, f"shared{number}", number)
    if kind < 0.20:
        return vote(uuid.uuid4().hex, "7" * 16, f"contested{random.randrange(60)}", random.randrange(1000))
    if kind < 0.30:
        return vote(uuid.uuid4().hex, fleeting, uuid.uuid4().hex, 0)
    return vote(uuid.uuid4().hex, "0" * 16, uuid.uuid4().hex, random.randrange(1000))


def vote(vote_id: str, rater: str, picture: str, seconds: int) -> PairVote:
    return PairVote(
        id=vote_id,
        at=START + timedelta(seconds=seconds),
        rater=rater,
        picture_set="set1",
        picture=picture,
        left="tiny",
        right="original",
        choice="left",
        view=VIEW,
    )


def tell(diary: int, what: str, vote_id: str, rater: str) -> None:
    """Writes a line at once; the kernel keeps it when this process is killed."""
    os.write(diary, f"{what} {vote_id} {rater}\n".encode())


def tell_saved(store: VoteStore, diary: int, shown: dict[str, str]) -> None:
    for vote_id, state in store.states(sorted(shown)).items():
        if state == "saved":
            tell(diary, "saved", vote_id, shown[vote_id])
        if state != "accepted":
            del shown[vote_id]


def nurse() -> None:
    """Forks a replica for each line of JSON that comes in, and prints its process id."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the dead
    logging.disable(logging.ERROR)
    for line in sys.stdin:
        place = Place(**json.loads(line))
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            logs = os.open(place.diary + ".log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(logs, 1)
            os.dup2(logs, 2)
            logging.disable(logging.WARNING)
            code = 1
            try:
                live(place)
                code = 0
            finally:
                if code:
                    sys.excepthook(*sys.exc_info())
                os._exit(code)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


def command(place: Place) -> str:
    """Returns the line that makes the nursery start a replica."""
    return json.dumps(asdict(place)) + "\n"


if __name__ == "__main__":
    nurse()
