"""Damaged and malicious photos by the thousand, through the sandbox: what it answers, and whether it survives.

    python -m tests.mutations --count 100000 --seed 0

Each photo is a small sound one with a few changes that parsers stumble over: cut short, bits turned, lengths blown up,
parts doubled, left out, or put in from another photo. Every answer must be a picture or one of the errors that a
visitor sees, in the time a worker has.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sr_core.errors import SRError
from sr_core.image.header import Limits
from sr_core.image.sandbox import Confines, Sandbox
from tests.photo_seeds import write_seeds

__all__ = ["Tally", "mutated", "seeds", "survive"]

LIMITS = Limits(max_file_bytes=8 << 20, max_pixels=2_000_000, max_side=8192)
CONFINES = Confines(memory_bytes=1 << 30, read_seconds=10.0, write_seconds=20.0)
SAMPLES = Path(__file__).parents[2] / "shared" / "data" / "samples"
LARGEST_SAMPLE = 200_000
ROUND_TRIPS = 0.1
BROKE_OFF = "broke off"
TOO_LONG = "took too long"


@dataclass
class Tally:
    """What became of mutated photos."""

    answers: Counter[str] = field(default_factory=Counter[str])
    foreign: list[str] = field(default_factory=list[str])
    longest_seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, answer: str, seconds: float, foreign: str | None = None) -> None:
        with self.lock:
            self.answers[answer] += 1
            self.longest_seconds = max(self.longest_seconds, seconds)
            if foreign is not None:
                self.foreign.append(foreign)


def mutated(photo: bytes, others: Sequence[bytes], random_: random.Random) -> bytes:
    """Returns a photo with one to four changes."""
    data = bytearray(photo)
    for _ in range(random_.choice((1, 1, 2, 4))):
        if len(data) < 16:
            return bytes(data)
        # most of what a parser decides on stands at the beginning
        near = random_.random() < 0.7
        at = random_.randrange(min(len(data), 2048) if near else len(data))
        length = min(random_.choice((1, 2, 4, 8, 64, 1024)), len(data) - at)
        match random_.randrange(9):
            case 0:
                del data[random_.randrange(1, len(data)) :]
            case 1:
                data[at] ^= 1 << random_.randrange(8)
            case 2:
                data[at : at + length] = random_.randbytes(length)
            case 3:
                data[at : at + length] = bytes(length)
            case 4:
                data[at : at + length] = b"\xff" * length
            case 5:
                data[at : at + 4] = random_.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFF0, 0x10000, 0x4000)).to_bytes(
                    4, random_.choice(("little", "big"))
                )
            case 6:
                del data[at : at + length]
            case 7:
                data[at:at] = data[at : at + length] * random_.choice((1, 2, 16))
            case _:
                other = random_.choice(others)
                start = random_.randrange(max(1, len(other) - length))
                data[at : at + length] = other[start : start + length]
    return bytes(data)


def seeds(folder: Path) -> dict[str, bytes]:
    """Returns small sound photos of every family by name, written to a folder first; samples at hand are among them."""
    found = {path.name: path.read_bytes() for path in write_seeds(folder)}
    if SAMPLES.is_dir():
        found |= {
            path.name: path.read_bytes()
            for path in sorted(SAMPLES.iterdir())
            if path.suffix != ".md" and path.stat().st_size <= LARGEST_SAMPLE
        }
    return found


def survive(sandbox: Sandbox, photos: Iterator[tuple[str, bytes]], folder: Path, tally: Tally) -> None:
    """Sends photos through a sandbox and notes what it answers."""
    path, result = folder / "photo", folder / "result"
    random_ = random.Random(0)
    for name, data in photos:
        path.write_bytes(data)
        started = time.monotonic()
        foreign = None
        try:
            picture = sandbox.decode(path, LIMITS)
            answer = "picture"
            if random_.random() < ROUND_TRIPS:
                sandbox.preview(picture, 64)
                sandbox.encode(picture, result)
                answer = "picture, written again"
        except SRError as error:
            words = str(error)
            answer = next((mark for mark in (BROKE_OFF, TOO_LONG) if mark in words), type(error).__name__)
            if not words.endswith(".") or "\n" in words:
                foreign = f"{name}: {words}"
            if answer in (BROKE_OFF, TOO_LONG):
                (folder.parent / f"{answer.replace(' ', '-')}-{name}-{tally.answers[answer]}").write_bytes(data)
        except Exception as error:  # noqa: BLE001 - what must not be: it is shown at the end
            answer, foreign = "foreign", f"{name}: {type(error).__name__}: {error}"
            (folder.parent / f"foreign-{name}-{len(tally.foreign)}").write_bytes(data)
        tally.note(f"{name.rpartition('.')[2]}: {answer}", time.monotonic() - started, foreign)


def main() -> int:
    """Runs as many mutations as asked for and returns 0 when nothing foreign came of it, and nothing too late."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a folder for the photos that ended a worker")
    options = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder, Sandbox(CONFINES) as sandbox:
        keep = options.keep or Path(folder)
        keep.mkdir(exist_ok=True)
        (Path(folder) / "seeds").mkdir()
        sound = seeds(Path(folder) / "seeds")
        threads: list[threading.Thread] = []
        for number in range(options.threads):
            place = keep / f"thread-{number}"
            place.mkdir(exist_ok=True)
            photos = _mutations(sound, options.seed * options.threads + number, options.count // options.threads)
            threads.append(threading.Thread(target=survive, args=(sandbox, photos, place, tally)))
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - started
    counts = dict(sorted(tally.answers.items()))
    report = {"photos": sum(counts.values()), "seconds": round(seconds), "longest_seconds": tally.longest_seconds}
    sys.stdout.write(json.dumps({**report, "answers": counts, "foreign": tally.foreign[:50]}, indent=1) + "\n")
    is_late = any(TOO_LONG in answer for answer in counts)
    return int(bool(tally.foreign) or is_late)


def _mutations(sound: dict[str, bytes], seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    random_ = random.Random(seed)
    names, others = list(sound), list(sound.values())
    for _ in range(count):
        name = random_.choice(names)
        yield name, mutated(sound[name], others, random_)


if __name__ == "__main__":
    sys.exit(main())
