import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from tests.ui.studio import FakeEngine
from ui.background import Background


class _Curious(FakeEngine):
    """Notes which threads compute, with what priority, and how many do at a time."""

    def __init__(self) -> None:
        super().__init__(2, seconds=0.01)
        self.threads: set[tuple[int, int]] = set()
        self.at_once = 0
        self._now = 0

    def run(self, tiles: Tensor) -> Tensor:
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        thread = threading.get_native_id()
        self.threads.add((thread, os.getpriority(os.PRIO_PROCESS, thread)))
        try:
            return super().run(tiles)
        finally:
            self._now -= 1


def test_all_networks_compute_in_one_thread_that_gives_way() -> None:
    background, engine = Background(), _Curious()
    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    behind, tiles = background.engine(engine), torch.rand(1, 3, 8, 8)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(behind.run, [tiles] * 12))
    assert all(torch.equal(one, engine.run(tiles)) for one in results)
    ((thread, niceness),) = {one for one in engine.threads if one[0] != threading.get_native_id()}
    assert thread not in {one.native_id for one in threading.enumerate() if one.name == "MainThread"}
    assert engine.at_once == 1
    if sys.platform == "linux":
        assert niceness == min(ours + 10, 19)
        assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == ours, "the others keep theirs"
    assert (behind.scale, behind.multiple, behind.compute) == (engine.scale, engine.multiple, engine.compute)
    background.close()


def test_what_goes_wrong_there_is_told_here() -> None:
    background = Background()

    class Broken(FakeEngine):
        def run(self, tiles: Tensor) -> Tensor:
            raise MemoryError

    with pytest.raises(MemoryError):
        background.engine(Broken(2)).run(torch.rand(1, 3, 8, 8))
    background.close()
