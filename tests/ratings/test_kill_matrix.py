"""A short version of the kill matrix; the long one is ``python -m tests.ratings.kill_matrix``."""

from pathlib import Path

import pytest

from tests.ratings.kill_matrix import is_sound, run


@pytest.mark.slow
def test_twenty_kills(tmp_path: Path) -> None:
    result = run(kills=20, replicas=3, seed=7, folder=tmp_path)
    assert is_sound(result), result
    assert result["kills"] == 20
    assert result["wiped"] == 10
    assert int(str(result["told saved"])) > 10
    assert int(str(result["faults"])) > 20
