"""Parts and how many become few."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratings.parts import MERGED, Part, fold, fresh_part, is_merged, is_part_name, records_of
from ratings.vote import Record, line_of
from tests.ratings.votes import ANN, BEN, START, grade, pair, wish

DAY = START.date()


def part(*records: Record, number: int = 0) -> Part:
    return fresh_part([line_of(one) for one in records], DAY, "w", number)


def contents(*parts: Part) -> dict[str, bytes]:
    return {one.name: one.content for one in parts}


def folded(parts: dict[str, bytes], *forgotten: str, full_bytes: int = 1 << 20) -> tuple[dict[str, bytes], int]:
    """What a repository holds after folding, and how many votes were dropped."""
    folding = fold(parts, forgotten, full_bytes)
    assert set(folding.removed) <= set(parts)
    assert not {one.name for one in folding.added} & set(parts)
    rest = {name: content for name, content in parts.items() if name not in folding.removed}
    return rest | contents(*folding.added), folding.dropped


def ids(parts: dict[str, bytes]) -> list[str]:
    return sorted(one.id for content in parts.values() for one in records_of(content)[0])


def test_a_part_is_named_by_what_it_holds() -> None:
    one = part(pair(1), number=7)
    assert one == part(pair(1), number=7)
    assert one.name.startswith("votes/2026-11-03/w-00000007-")
    assert one.name != part(pair(2), number=7).name
    assert is_part_name(one.name)
    assert not is_merged(one.name)
    assert not is_part_name("README.md")
    assert not is_part_name("votes/README.md")
    assert records_of(one.content) == ([pair(1)], 0)
    assert records_of(b"") == ([], 0)


RECORDS = st.builds(
    lambda number, kind, rater: pair(number, rater) if kind else grade(number + 50, rater),
    st.integers(0, 30),
    st.booleans(),
    st.sampled_from([ANN, BEN, "c" * 16]),
)


@given(st.lists(st.lists(RECORDS, max_size=8), max_size=6), st.randoms(use_true_random=False), st.booleans())
def test_folding_keeps_each_record_once(groups: list[list[Record]], random: Random, is_forgetting: bool) -> None:
    forgotten = [ANN] if is_forgetting else []
    parts = contents(*(part(*group, number=number) for number, group in enumerate(groups)))
    after, _ = folded(parts, *forgotten)
    expected = {one.id for group in groups for one in group}
    if is_forgetting:
        expected = {one.id for content in parts.values() for one in records_of(content)[0] if one.rater != ANN}  # type: ignore[union-attr]
    assert ids(after) == sorted(expected)
    assert all(is_merged(name) for name in after)
    assert folded(after, *forgotten) == (after, 0)
    shuffled = [one for group in groups for one in group]
    random.shuffle(shuffled)
    assert folded(contents(part(*shuffled)), *forgotten)[0] == after


def test_a_wish_counts_wherever_it_is_and_stays() -> None:
    before = contents(part(pair(1), pair(2, BEN)), part(wish(3, ANN), number=1))
    after, dropped = folded(before)
    assert dropped == 1
    assert ids(after) == [pair(2).id, wish(3, ANN).id]


def test_full_parts_are_left_alone_until_a_vote_in_them_must_go() -> None:
    (one,), (two,) = (fold(contents(part(*map(pair, numbers))), []).added for numbers in (range(5), range(5, 10)))
    parts = contents(one, two, part(pair(20, BEN), pair(1), number=2))
    after, dropped = folded(parts, full_bytes=100)
    assert {one.name, two.name} <= set(after)
    assert len(after) == 3
    assert ids(after) == sorted([*(pair(number).id for number in range(10)), pair(20).id])  # the copy of 1 is gone
    assert dropped == 0
    assert folded(after, BEN, full_bytes=100) == (contents(one, two), 1)


def test_of_rivals_with_one_id_none_hides_the_lesser() -> None:
    (full,) = fold(contents(part(pair(1, choice="right"), *map(pair, range(2, 9)))), []).added
    after, _ = folded(contents(full, part(pair(1, choice="left"))), full_bytes=100)
    assert {line_of(one) for content in after.values() for one in records_of(content)[0] if one.id == pair(1).id} == {
        line_of(pair(1, choice="left")),
        line_of(pair(1, choice="right")),
    }
    after, _ = folded(contents(part(pair(1, choice="right")), part(pair(1, choice="left"), number=1)))
    assert [one for content in after.values() for one in records_of(content)[0]] == [pair(1, choice="left")]


def test_lines_that_are_no_records_stay_unless_they_name_somebody_forgotten() -> None:
    strange = f'{{"kind":"pair","id":"new","rater":"{ANN}"}}'
    odd = Part(
        name="votes/odd.jsonl", content=f"{strange}\nodd \xff line\n\n{line_of(pair(1, BEN))}\n".encode("latin1")
    )
    assert records_of(odd.content) == ([pair(1, BEN)], 2)
    after, dropped = folded(contents(odd))
    assert dropped == 0
    (content,) = after.values()
    assert strange.encode() in content
    assert b"odd" in content
    after, dropped = folded(contents(odd), ANN)
    assert dropped == 1
    assert ANN.encode() not in b"".join(after.values())
    assert b"odd" in b"".join(after.values())


def test_many_records_make_several_parts() -> None:
    after, _ = folded(contents(part(*(pair(number) for number in range(8001)))))
    assert sorted(len(records_of(content)[0]) for content in after.values()) == [1, 8000]
    assert all(name.startswith(MERGED) for name in after)


def test_nothing_makes_nothing() -> None:
    assert folded({}) == ({}, 0)
    with pytest.raises(AttributeError):
        fold({}, []).dropped = 1  # type: ignore[misc]
