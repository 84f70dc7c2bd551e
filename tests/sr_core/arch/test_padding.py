import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_core.arch.padding import align, mirror_indices, reflect_indices

PLACES = st.integers(0, 40)


@given(size=st.integers(1, 30), trail=PLACES)
def test_the_far_edge_is_reflected_as_numpy_does(size: int, trail: int) -> None:
    expected = np.pad(np.arange(size), (0, trail), mode="reflect")
    assert reflect_indices(size, size + trail) == expected.tolist()


@given(size=st.integers(1, 30), lead=PLACES, trail=PLACES)
def test_both_edges_are_mirrored_as_numpy_does(size: int, lead: int, trail: int) -> None:
    expected = np.pad(np.arange(size), (lead, trail), mode="symmetric")
    assert mirror_indices(size, lead + size + trail, lead=lead) == expected.tolist()


def test_a_single_pixel_fills_everything() -> None:
    assert reflect_indices(1, 24) == mirror_indices(1, 24, lead=8) == [0] * 24


def test_fewer_places_than_the_source_cut_it_off() -> None:
    assert reflect_indices(9, 5) == [0, 1, 2, 3, 4]
    assert mirror_indices(9, 5, lead=2) == [1, 0, 0, 1, 2]


@pytest.mark.parametrize(("size", "aligned"), [(1, 8), (8, 8), (9, 16), (16, 16)])
def test_align_rounds_up(size: int, aligned: int) -> None:
    assert align(size, 8) == aligned
