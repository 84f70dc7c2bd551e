from hypothesis import given
from hypothesis import strategies as st

from tests.zoo.report.made import point, study
from zoo.report.tables import tables_of
from zoo.report.techniques import TECHNIQUES
from zoo.study import StudyPoint

some = st.builds(
    lambda technique, words, sparsity, size: point(technique, words, sparsity=sparsity, weights_bytes=size),
    st.sampled_from(list(TECHNIQUES)),
    st.text(min_size=1, max_size=3),
    st.floats(0, 1),
    st.integers(1, 100),
)


@given(points=st.lists(some, max_size=12), rest=st.randoms())
def test_every_point_stands_in_one_table_and_the_order_does_not_matter(points: list[StudyPoint], rest: object) -> None:
    tables = [table for name in ("heads", "zeros", "formats") for table in tables_of([study(*points)], name)]
    listed = [row for table in tables for row in table.rows if row.technique != "whole"]
    expected = [one for one in points if one.technique != "whole"]
    assert sorted(map(repr, listed)) == sorted(map(repr, expected))
    for table in tables:
        order = [list(TECHNIQUES).index(row.technique) for row in table.rows]
        assert order == sorted(order)
        rows = list(zip(table.rows, table.rows[1:], strict=False))
        same = [(a, b) for a, b in rows if a.technique == b.technique != "whole"]
        assert all(a.sparsity <= b.sparsity for a, b in same)
        assert all(a.weights_bytes >= b.weights_bytes for a, b in same if a.sparsity == b.sparsity)


def test_the_whole_network_leads_each_table_that_has_anything() -> None:
    studies = [study(point("heads-l1"), point("whole"), point("mixed-bit"))]
    assert [row.technique for row in tables_of(studies, "heads")[0].rows] == ["whole", "heads-l1"]
    assert tables_of(studies, "zeros") == ()
    assert [row.technique for row in tables_of(studies, "formats")[0].rows] == ["whole", "mixed-bit"]
    assert tables_of([study()], "heads") == tables_of((), "heads") == ()
