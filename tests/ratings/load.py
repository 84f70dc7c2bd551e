"""How long a hundred people wait who rate at the same time while the app enlarges a photo.

The app with the models that ship enlarges a photo again and again in this process, as for a visitor; the people are in
another one. Each of them draws, fetches the pictures, looks for two to six seconds, votes, asks whether it is saved,
and begins anew; at the end all of them vote in the same instant.

    python -m tests.ratings.load [--people 100] [--seconds 60] [--no-job]

The exit status is 1 when one vote of a hundred waited for 250 ms or longer, be it of those that came by and by or of
those that came at once.
"""

import argparse
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ratings.stimuli import EMBEDDED
from tests.ratings.picture_sets import write_small_set
from ui.factory import create_app, serve
from ui.jobs import Order, upscale_photo
from ui.poll import open_poll
from ui.settings import Access, Settings, Voting
from ui.studio import Studio
from zoo.files import embedded_zoo

LONGEST_SECONDS = 0.25
JUDGED = ("vote", "votes at once")
PHOTO_SIDE = 1000
"""A megapixel: about ten seconds for the quick network on two cores."""
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Load:
    """Waits in seconds by what was waited for, and tiles that were enlarged meanwhile."""

    waits: dict[str, list[float]]
    tiles: int

    def percentile(self, kind: str, percent: float) -> float:
        return float(np.percentile(self.waits[kind], percent))

    def missed(self, seconds: float = LONGEST_SECONDS) -> list[str]:
        """Returns the kinds of votes of which one in a hundred waited for so long, or of which there are none."""
        return [kind for kind in JUDGED if not self.waits.get(kind) or self.percentile(kind, 99) >= seconds]


def measure(people: int, seconds: float, *, with_job: bool = True) -> Load:
    """Returns the waits of so many people, who rate for so long."""
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder)) as (address, studio):
        job = _Job(studio, Path(folder))
        if with_job:
            job.start()
            job.wait_for_tiles(2)
        before = job.tiles
        command = [sys.executable, "-m", "tests.ratings.people", address, str(people), str(seconds)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 300, check=False)
        tiles = job.tiles - before
        job.end()
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return Load(waits=json.loads(done.stdout), tiles=tiles)


@contextmanager
def _served(folder: Path) -> Iterator[tuple[str, Studio]]:
    zoo = embedded_zoo()
    pictures = EMBEDDED
    if not EMBEDDED.is_dir():
        pictures = folder / "pictures"
        write_small_set(pictures, [one.id for one in zoo.manifest.releases])
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    settings = Settings(
        host="127.0.0.1", port=port, voting=Voting(folder=folder / "votes"), access=Access(trusted_hops=1)
    )
    app = create_app(settings, zoo, poll=open_poll(settings.voting, zoo.manifest, pictures))
    try:
        yield serve(app, settings, block=False).rstrip("/"), app.studio
    finally:
        app.close()


class _Job:
    """A visitor's job that begins anew when it is done."""

    def __init__(self, studio: Studio, folder: Path) -> None:
        self._studio, self._folder = studio, folder
        self._photo = folder / "photo.png"
        self._ending, self.tiles = threading.Event(), 0
        self._thread = threading.Thread(target=self._run, name="job")
        self.error: Exception | None = None

    def start(self) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (PHOTO_SIDE, PHOTO_SIDE, 3), np.uint8)
        Image.fromarray(noise).save(self._photo)
        self._thread.start()

    def wait_for_tiles(self, count: int) -> None:
        while self.tiles < count:
            if self.error is not None:
                raise self.error
            time.sleep(0.05)

    def end(self) -> None:
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        quick = next(one for one in self._studio.manifest.releases if "quick" in one.id)
        try:
            while not self._ending.is_set():
                self._enlarge(Order(photo=self._photo, model_id=quick.id, save_as="png"))
        except Exception as error:  # noqa: BLE001  raised where it is waited for
            self.error = error

    def _enlarge(self, order: Order) -> None:
        job = upscale_photo(self._studio, order, self._folder)
        done = 0
        for stage in job:
            self.tiles += max(stage.done - done, 0)
            done = stage.done
            if self._ending.is_set():
                job.close()
                return


def main() -> int:
    """Prints the waits and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.ratings.load", description=__doc__)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--no-job", action="store_true", help="measure without a job beside")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    load = measure(options.people, options.seconds, with_job=not options.no_job)
    lines = [
        f"{options.people} people, {options.seconds:g} s, {load.tiles} tiles enlarged meanwhile; "
        f"{os.cpu_count()} cores, load of the machine {os.getloadavg()[0]:.1f}",
        f"{'':16}{'count':>8}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}",
    ]
    for kind, waits in load.waits.items():
        figures = "".join(f"{1000 * load.percentile(kind, percent):9.0f}" for percent in (50, 99, 100))
        lines.append(f"{kind:16}{len(waits):8}{figures}")
    lines += [f"missed: p99 of {kind!r} is not below {1000 * LONGEST_SECONDS:.0f} ms" for kind in load.missed()]
    print("\n".join(lines))  # noqa: T201
    return int(bool(load.missed()))


if __name__ == "__main__":
    sys.exit(main())
