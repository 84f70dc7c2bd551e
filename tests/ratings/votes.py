"""Votes to test with, and where they are kept."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from ratings.vote import Choice, Forget, GradeVote, PairVote, View

VIEW = View(decision_ms=3000, viewport=(1280, 720), pixel_ratio=1, zoom=2)
START = datetime(2026, 11, 3, 12, tzinfo=UTC)
ANN, BEN = "a" * 16, "b" * 16
REPO = "owner/votes"
DATASET = f"datasets/{REPO}"

_POSTGRES = Path("/usr/lib/postgresql")


def pair(number: int, rater: str = ANN, choice: Choice = "left", *, picture: str = "", seconds: int = 0) -> PairVote:
    """Returns a vote whose id and picture are made from a number, at so many seconds after the start."""
    return PairVote(
        id=f"{number:032x}",
        at=START + timedelta(seconds=seconds),
        rater=rater,
        picture_set="set1",
        picture=picture or f"picture{number}",
        left="tiny",
        right="original",
        choice=choice,
        view=VIEW,
    )


def grade(number: int, rater: str = ANN, grade: int = 4) -> GradeVote:
    """Returns a grade whose id and picture are made from a number."""
    return GradeVote(
        id=f"{number:032x}",
        at=START,
        rater=rater,
        picture_set="set1",
        picture=f"picture{number}",
        system="tiny",
        grade=grade,
        view=VIEW,
    )


def wish(number: int, *raters: str) -> Forget:
    """Returns a wish that raters be forgotten."""
    return Forget(id=f"{number:032x}", at=START, raters=raters)


def postgres_programs() -> Path | None:
    """Returns the folder of PostgreSQL's programs on this machine, or None."""
    found = sorted(_POSTGRES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def running_postgres() -> Iterator[str]:
    """Serves an empty PostgreSQL on this machine and gives its URL."""
    programs = postgres_programs()
    assert programs is not None
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    as_user = ["runuser", "-u", user, "--"] if os.geteuid() == 0 else []  # it refuses to run as root
    # Not in the folder of temporary files, which an earlier test may have moved to where only we may go.
    with TemporaryDirectory(prefix="votes-postgres-", dir=os.environ.get("TMPDIR", "/tmp")) as name:
        folder = Path(name)
        data = folder / "data"
        if as_user:
            shutil.chown(folder, user)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        initdb = [programs / "initdb", "-D", data, "-A", "trust", "-N", "-E", "UTF8", "--locale=C", "-U", "votes"]
        subprocess.run([*as_user, *initdb], check=True, capture_output=True, cwd=folder)
        options = f"-p {port} -h 127.0.0.1 -k {folder} -c shared_buffers=16MB -c max_connections=60"
        control = [*as_user, programs / "pg_ctl", "-D", data, "-w", "-l", data / "log"]
        subprocess.run([*control, "-o", options, "start"], check=True, capture_output=True, cwd=folder)
        try:
            yield f"postgresql://votes@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=folder)
