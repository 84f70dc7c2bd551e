"""The most memory that a command takes, with all processes that come from it."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Run", "run_measured"]

_EVERY_SECONDS = 0.03


@dataclass(frozen=True)
class Run:
    """A command that has ended.

    ``peak_bytes`` is the greatest sum over its processes of the proportional set size at one moment: pages that several
    processes share, files that are mapped among them, count once.
    """

    returncode: int
    output: str
    peak_bytes: int
    seconds: float


def run_measured(command: Sequence[str], **options: object) -> Run:
    """Returns what a command gave and took; Linux only."""
    started, peak = time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as process:  # type: ignore[call-overload]
        while process.poll() is None:
            peak = max(peak, sum(_pss_bytes(pid) for pid in _tree(process.pid)))
            time.sleep(_EVERY_SECONDS)
        output = process.stdout.read()
    return Run(process.returncode, output, peak, time.monotonic() - started)


def _tree(root: int) -> list[int]:
    """Returns the process ids of a process and all that descend from it."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found.extend(child for child, parent in parents.items() if parent == pid)
    return found


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    run = run_measured(sys.argv[1:])
    sys.stdout.write(run.output)
    sys.stderr.write(f"peak {run.peak_bytes / 1e6:.0f} MB in {run.seconds:.1f} s\n")
    sys.exit(run.returncode)
