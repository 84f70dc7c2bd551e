"""Networks in the background: one thread of low priority computes, and whatever the page does besides goes first.

A network keeps all processor cores busy for minutes. On Linux each thread has a priority of its own, and those that
torch starts for a thread inherit it; so votes, pages and progress wait for a moment and not for their turn.
"""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from torch import Tensor

from sr_core.infer.engine import Compute, Engine

__all__ = ["Background"]

_NICENESS: Final = 10
"""Nine tenths of a core go to a thread of usual priority that competes with one of this (sched(7))."""


class Background:
    """The thread; its engines compute one after another."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "network", initializer=_step_back)

    def engine(self, engine: Engine) -> Engine:
        """Returns an engine that computes the same in the background; who runs it waits."""
        return _BackgroundEngine(engine, self._thread)

    def close(self) -> None:
        """Ends the thread when it has nothing more to do."""
        self._thread.shutdown(wait=False)


class _BackgroundEngine:
    def __init__(self, engine: Engine, thread: ThreadPoolExecutor) -> None:
        self._engine, self._thread = engine, thread

    @property
    def scale(self) -> int:
        return self._engine.scale

    @property
    def multiple(self) -> int:
        return self._engine.multiple

    @property
    def compute(self) -> Compute:
        return self._engine.compute

    def run(self, tiles: Tensor) -> Tensor:
        return self._thread.submit(self._engine.run, tiles).result()


def _step_back() -> None:
    if sys.platform == "linux":  # elsewhere a priority is that of the whole process
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS)
