"""Options against all that could be chosen: enough is freed, for the least error, and what can be met is met."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from sr_core.compress.knapsack import pick_most, pick_options

Item = list[tuple[float, float]]


def amounts(item: Item) -> list[float]:
    return [freed for freed, _ in item]


def costs(item: Item) -> list[float]:
    return [error for _, error in item]


def pick(items: list[Item], wanted: float, cell: float) -> list[int] | None:
    return pick_options(list(map(amounts, items)), list(map(costs, items)), wanted, cell)


def together(items: list[Item], numbers: tuple[int, ...] | list[int]) -> tuple[float, float]:
    """Returns what options free and cost."""
    chosen = [item[number] for item, number in zip(items, numbers, strict=True)]
    return sum(amounts(chosen)), sum(costs(chosen))


option = st.tuples(st.floats(0, 10), st.floats(0, 1))
some_items = st.lists(st.lists(option, min_size=1, max_size=4), min_size=1, max_size=4)


@given(items=some_items, share=st.floats(0, 1.2), parts=st.integers(1, 60))
@settings(max_examples=200, deadline=None)
def test_enough_is_freed_and_nothing_that_frees_enough_in_cells_costs_less(
    items: list[Item], share: float, parts: int
) -> None:
    most = sum(max(amounts(item)) for item in items)
    wanted = share * most
    cell = max(wanted, 1.0) / parts
    found = pick(items, wanted, cell)
    assert (found is None) == (share > 1 + 1e-12 and most > 0)
    if found is None:
        return
    freed, error = together(items, found)
    assert freed >= wanted * (1 - 1e-9)
    for numbers in product(*(range(len(item)) for item in items)):
        whole_cells = sum(item[number][0] // cell for item, number in zip(items, numbers, strict=True))
        if whole_cells * cell >= wanted:
            assert error <= together(items, numbers)[1] + 1e-12


def test_what_is_freed_is_rounded_down() -> None:
    """Cells of 10: 15 and 15 are two of them, and one is left to do."""
    items: list[Item] = [[(0, 0), (15, 1)], [(0, 0), (15, 1)], [(0, 0), (9, 0.5)], [(0, 0), (10, 5)]]
    assert pick(items, 30, 10) == [1, 1, 0, 1]
    assert pick(items, 20, 10) == [1, 1, 0, 0]
    assert pick(items[:2], 16, 16) == [1, 1]


def test_all_that_can_be_freed_is_not_refused_for_its_rounding() -> None:
    items: list[Item] = [[(0, 0), (15, 1)], [(0, 0), (15, 1), (15, 0.5)], [(0, 0), (9, 1)]]
    assert pick(items, 39, 10) == [1, 2, 1]
    assert pick(items, 39.001, 10) is None
    third = 0.1 + 0.2  # floats add up to a little more than what is there
    assert pick([[(0, 0), (0.1, 1)], [(0, 0), (0.2, 1)]], third, third / 7) == [1, 1]
    assert pick([[(0, 0), (0.3, 1)]], third, third / 7) == [1]


def test_where_nothing_is_wanted_what_costs_least_is_chosen() -> None:
    assert pick([[(0, 0), (5, 1)], [(0, 0.5), (2, 0)]], 0.0, 16) == [0, 1]


def test_what_frees_most_costs_the_least_of_those_that_free_as_much() -> None:
    assert pick_most([[0, 5, 5, 3], [2, 2]], [[0, 2, 1, 0], [1, 1]]) == [2, 0]
