"""Servers of votes killed at random: ``python -m tests.ratings.kill_matrix --kills 300 --replicas 3``.

Replicas (:mod:`tests.ratings.replica`) write to a Hub on this machine that fails for a share of the requests: status
500 and 429, connections dropped before or after the work is done, late answers. Each is killed with SIGKILL at some
moment; half of the times its disk is wiped. All of them pull, compact and delete on request meanwhile. In the end the
faults stop, the survivors are ended politely, and what any visitor was ever told is compared with what is on the Hub
and with what a new server restores from it.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from ratings.archive import Archive, ArchiveSource
from ratings.courier import compact, pull
from ratings.parts import is_part_name
from ratings.store import VoteStore
from ratings.vote import Forget, line_of, record_of, slot_of
from tests.ratings.replica import Place, command
from tests.zoo.hub_client import client_environment, hub_and_client
from tests.zoo.hub_server import TOKEN, Blob, Fault, Hub

REPO = "owner/votes"
DATASET = f"datasets/{REPO}"
FAULTS = (
    Fault("status", "", 1, 500),
    Fault("status", "", 1, 429),
    Fault("hang up", "", 1),
    Fault("lose the answer", "", 1),
    Fault("lose the answer", "", 1),
    Fault("wait", "", 1, 400),
)


@dataclass
class Told:
    """What visitors saw, from id to rater: all that was ever saved, and what was accepted on disks still there.

    ``wished`` are the raters that asked to be forgotten, ``ever`` counts all that was accepted.
    """

    saved: dict[str, str] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)
    wished: set[str] = field(default_factory=set)
    ever: int = 0

    def read(self, diary: Path, *, is_kept: bool) -> None:
        """Adds what a replica wrote, whose disk is still there or not."""
        for line in diary.read_text().splitlines() if diary.exists() else ():
            what, vote_id, rater = line.split()
            self.ever += what == "accepted"
            if rater.startswith("wish:"):
                self.wished.add(rater.removeprefix("wish:"))
            if what == "saved":
                self.saved[vote_id] = rater
            elif is_kept:
                self.accepted[vote_id] = rater

    def missing(self, told: dict[str, str], there: Collection[str]) -> int:
        """Returns how many ids are not there, less those of raters that asked for that."""
        return sum(one not in there and rater not in self.wished for one, rater in told.items())


class Matrix:
    """Some replicas, their disks, and who kills them."""

    def __init__(self, hub: Hub, folder: Path, replicas: int, seed: int) -> None:
        self.hub, self.folder, self.random = hub, folder, Random(seed)
        self.places, self.pids = list(range(replicas)), dict[int, int]()
        self.boots, self.wiped, self.diaries = 0, 0, dict[int, list[Path]]()
        self.told = Told()
        self.nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.ratings.replica"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=client_environment(hub, folder / "home"),
        )

    def boot(self, one: int) -> None:
        self.boots += 1
        diary = self.folder / f"diary{self.boots}"
        self.diaries.setdefault(one, []).append(diary)
        place = Place(
            folder=str(self.folder / f"disk{one}"),
            diary=str(diary),
            endpoint=self.hub.address,
            repo=REPO,
            token=TOKEN,
            seed=self.random.randrange(1 << 30),
        )
        assert self.nursery.stdin is not None
        assert self.nursery.stdout is not None
        self.nursery.stdin.write(command(place))
        self.nursery.stdin.flush()
        self.pids[one] = int(self.nursery.stdout.readline())

    def kill(self, one: int, *, wipe: bool) -> None:
        os.kill(self.pids[one], signal.SIGKILL)
        self.wait_for(one)
        if wipe:
            self.wiped += 1
            self.collect(one, is_kept=False)
            shutil.rmtree(self.folder / f"disk{one}", ignore_errors=True)

    def wait_for(self, one: int, seconds: float = 60) -> None:
        """Waits until a replica has ended."""
        until = time.monotonic() + seconds
        while Path(f"/proc/{self.pids[one]}").exists():
            assert time.monotonic() < until, f"replica {one} does not end"
            time.sleep(0.005)

    def collect(self, one: int, *, is_kept: bool) -> None:
        """Notes what the visitors of a disk were told."""
        for diary in self.diaries.pop(one, []):
            self.told.read(diary, is_kept=is_kept)

    def end(self) -> None:
        """Ends all politely."""
        for one in self.places:
            os.kill(self.pids[one], signal.SIGTERM)
        for one in self.places:
            self.wait_for(one)
            self.collect(one, is_kept=True)


@contextmanager
def running_matrix(hub: Hub, folder: Path, replicas: int, seed: int) -> Iterator[Matrix]:
    matrix = Matrix(hub, folder, replicas, seed)
    try:
        yield matrix
    finally:
        for pid in matrix.pids.values():
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)
        assert matrix.nursery.stdin is not None
        matrix.nursery.stdin.close()
        matrix.nursery.wait()
        if matrix.nursery.stdout is not None:
            matrix.nursery.stdout.close()


def run(kills: int, replicas: int, seed: int, folder: Path, faults: float = 0.3) -> dict[str, object]:
    """Kills replicas so many times and returns the counts."""
    begun, random = time.monotonic(), Random(seed)
    counts: Counter[str] = Counter()

    def chance(method: str, path: str) -> Fault | None:
        counts["requests"] += 1
        if random.random() >= faults:
            return None
        counts["faults"] += 1
        return random.choice(FAULTS)

    with hub_and_client(folder) as hub, running_matrix(hub, folder, replicas, seed) as matrix:
        hub.chance = chance
        for one in matrix.places:
            matrix.boot(one)
        for number in range(kills):
            enough = counts["requests"] + random.choice((random.randrange(6), random.randrange(150)))
            until = time.monotonic() + 2.5  # a moment in the work of the replicas, however fast the machine is
            while counts["requests"] < enough and time.monotonic() < until:
                time.sleep(0.001 + random.random() * 0.01)
            one = random.choice(matrix.places)
            matrix.kill(one, wipe=number % 2 == 1)
            matrix.boot(one)
        hub.chance = None
        time.sleep(1)
        matrix.end()
        result = verdict(hub, matrix.told, folder)
        logs = [path for path in folder.glob("diary*.log") if path.stat().st_size]
        seen = Counter(f"{one.method} {one.path.rsplit('/', 2)[-2]}" for one in hub.seen)
        return {
            "kills": kills,
            "wiped": matrix.wiped,
            "replicas": replicas,
            "boots": matrix.boots,
            "requests": counts["requests"],
            "faults": counts["faults"],
            "commits": hub.repositories[DATASET].made,
            "compactions": sum(title.startswith("Make") for title in hub.titles),
            "compactions refused": hub.stale_commits,
            "squashes": seen["POST super-squash"],
            "replicas that stumbled": len(logs),
            "seconds": round(time.monotonic() - begun),
            **result,
        }


def verdict(hub: Hub, told: Told, folder: Path) -> dict[str, object]:
    """Returns what was lost, is there twice or came back, from a restore with the real client and a look at the Hub."""
    archive = Archive(ArchiveSource(repo=REPO, token=TOKEN, endpoint=hub.address))
    first = VoteStore.open(f"sqlite:///{folder}/first.db")
    pull(first, archive)
    before = lines_in(hub.repositories[DATASET].files)
    for _ in range(5):
        if compact(first, archive):
            pull(first, archive)
    second = VoteStore.open(f"sqlite:///{folder}/second.db")
    pull(second, archive)
    after = lines_in(hub.repositories[DATASET].files)
    there = {row["id"]: row for row in map(json.loads, before)}
    words = {word for row in there.values() if row["kind"] == "forget" for word in row["raters"]}
    kept = {one for one, row in there.items() if row.get("rater") not in words}
    restored = second.records()
    history = {line for files in hub.repositories[DATASET].commits.values() for line in lines_in(files)}
    result: dict[str, object] = {
        "told accepted": told.ever,
        "told saved": len(told.saved),
        "records on the Hub": len(kept),
        "wishes": sum(row["kind"] == "forget" for row in there.values()),
        "saved and lost": told.missing(told.saved, {json.loads(line)["id"] for line in after}),
        "saved and not restored": sum(one in kept and second.find(one) is None for one in told.saved),
        "accepted and lost, disk kept": told.missing(told.accepted, there),
        "twice after reading": len(restored) - len({one.id for one in restored}),
        "twice in a slot": len(restored) - len({slot_of(one) or one.id for one in restored}),
        "twice on the Hub after compaction": len(after) - len({json.loads(line)["id"] for line in after}),
        "compaction loses nothing": kept == {json.loads(line)["id"] for line in after},
        "restore equals the Hub": [line_of(one) for one in restored] == counted(after) and restored == first.records(),
        "deleted votes that came back": sum(not isinstance(one, Forget) and one.rater in words for one in restored)
        + sum(json.loads(line).get("rater") in words for line in {*after, *history}),
        "files on the Hub": len(hub.repositories[DATASET].files),
    }
    first.close()
    second.close()
    return result


def lines_in(files: Mapping[str, Blob]) -> list[str]:
    """Returns the lines of all parts of a commit."""
    return [line for path, blob in files.items() if is_part_name(path) for line in blob.content.decode().splitlines()]


def counted(lines: list[str]) -> list[str]:
    """Returns the lines that count, in order: of each slot the first by time and id."""
    rows = sorted((json.loads(line)["at"], json.loads(line)["id"], line) for line in lines)
    first: dict[str, str] = {}
    for _, vote_id, line in rows:
        first.setdefault(slot_of(record_of(line)) or vote_id, line)
    return [line for _, _, line in rows if line in set(first.values())]


def is_sound(result: dict[str, object]) -> bool:
    """Returns whether nothing was lost, doubled or brought back."""
    zeros = [
        name for name in result if name.startswith(("saved and", "accepted and", "twice", "deleted", "replicas that"))
    ]
    return all(result[name] == 0 for name in zeros) and all(
        result[name] is True for name in ("compaction loses nothing", "restore equals the Hub")
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--faults", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="kill-matrix-") as folder:
        result = run(options.kills, options.replicas, options.seed, Path(folder), options.faults)
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0 if is_sound(result) else 1


if __name__ == "__main__":
    sys.exit(main())
