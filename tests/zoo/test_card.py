from dataclasses import replace

from zoo.card import markdown_table, model_card, release_table
from zoo.release import Release


def test_the_card_tells_what_the_record_holds(scored: Release) -> None:
    card = model_card(scored)
    assert card.startswith("---\nlicense: apache-2.0\n")
    for fact in (
        scored.id,
        scored.weights.sha256,
        "drawings",
        f"{scored.parameters:,}",
        "| Set5 | 5 | y | 2 | 34.50 | 33.67 |",
        "by hand",
        "12.5 s",
    ):
        assert fact in card
    assert "2, 1 blocks" in card


def test_the_table_has_a_line_for_each_release_and_a_dash_where_nothing_was_measured(
    scored: Release, release: Release
) -> None:
    header, first, second = release_table([scored, replace(release, recommended_for="nothing")]).splitlines()
    assert header.split()[:3] == ["id", "scale", "parameters"]
    assert "34.50" in first
    assert second.split()[-2:] == ["-", "nothing"]


def test_the_markdown_table_holds_the_same_cells(scored: Release) -> None:
    header, rule, row = markdown_table([scored]).splitlines()
    assert header.count("|") == rule.count("|") == row.count("|")
    assert f"| {scored.id} | x2 |" in row


def test_a_release_that_was_not_measured_says_so(release: Release) -> None:
    assert release.tiling.seam_max is None
    assert "seams not measured" in model_card(release)
