import re
from dataclasses import replace
from pathlib import Path

from sr_core.image.header import Header
from ui.cards import limits_card, losses_card, panel, photo_card, progress_panel, refusal_card
from ui.settings import Settings
from ui.widgets.compare import Comparison, Difference, compare_value
from ui.widgets.models import ModelGroup, ModelRow, table_html

ATTACK = "<img src=x onerror=alert(1)>\"'"


def row(name: str, seconds: float | None = None, psnr_db: float | None = None) -> ModelRow:
    return ModelRow(
        id=name,
        label=name,
        short=name,
        parameters=10**6,
        size_bytes=10**6,
        psnr_db=psnr_db,
        seconds=seconds,
        recommended_for=f"for {name}",
    )


def test_words_from_outside_are_escaped_everywhere() -> None:
    header = Header(
        format="png",
        height=10,
        width=20,
        bit_depth=16,
        channels=1,
        has_alpha=True,
        size_bytes=3000,
        kind="JPEG",
        samples="8 bit",
    )
    for html in (
        panel(ATTACK, "error"),
        progress_panel(ATTACK, ATTACK, 1, 2),
        photo_card(replace(header, kind=ATTACK, samples=ATTACK)),
        losses_card([ATTACK], "png"),
        refusal_card(ATTACK),
        table_html([ModelGroup(heading=ATTACK, rows=(row(ATTACK), row(ATTACK)))], ATTACK),
    ):
        assert "<img" not in html
        assert ATTACK not in html


def test_words_in_a_comparison_are_escaped(tmp_path: Path) -> None:
    png = tmp_path / "a.png"
    comparison = Comparison(
        before=png,
        after=png,
        height=1,
        width=1,
        before_name=ATTACK,
        after_name=ATTACK,
        note=ATTACK,
        differences=(Difference(picture=png, gain=8),),
    )
    value = compare_value(comparison)
    parts = [*value.values(), *value["differences"][0].values()]
    assert not any("<img" in part for part in parts if isinstance(part, str))


def test_a_photo_card_says_what_the_photo_is() -> None:
    header = Header(
        format="dng",
        height=3024,
        width=4032,
        bit_depth=16,
        channels=1,
        has_alpha=True,
        size_bytes=2_000_000,
        kind="RAW (Canon PowerShot G2)",
        samples="14 bit",
    )
    facts = re.findall("<li>(.*?)</li>", photo_card(header))
    assert facts == [
        "RAW (Canon PowerShot G2)", "4032 × 3024", "12.2 MP", "2.0 MB", "14 bit", "grey", "transparency", "no location",
    ]  # fmt: skip


def test_what_gets_lost_is_said_and_so_is_that_nothing_does() -> None:
    lost = losses_card(["The gain map is left out."], "png")
    assert "The gain map is left out." in lost
    assert "nothing" not in lost
    assert "Saved as HEIC, nothing that the photo carries is left out." in losses_card([], "heic")
    assert "still to be developed" in losses_card([], "dng")


def test_an_error_is_announced_at_once_and_progress_is_not() -> None:
    assert "role='alert'" in panel("No.", "error")
    assert "role='alert'" not in progress_panel("Working", "tile 1 of 2", 1, 2)


def test_the_table_is_one_group_of_labelled_radio_buttons() -> None:
    groups = [
        ModelGroup(heading="A", rows=(row("a", 41.0, 38.05), row("b"))),
        ModelGroup(heading="C", rows=(row("c"),)),
    ]
    table = table_html(groups, "note")
    assert table.count('type="radio" name="model"') == table.count("<label for=") == 3
    assert table.count("<fieldset") == 1
    assert "~40 s" in table
    assert "38.05" in table


def test_only_the_first_of_each_family_stands_in_the_open() -> None:
    groups = [ModelGroup(heading="A", rows=(row("a"), row("b"))), ModelGroup(heading="C", rows=(row("c"), row("d")))]
    in_the_open, _, more = table_html(groups, "note").partition("<details")
    assert ['value="a"' in in_the_open, 'value="c"' in in_the_open] == [True, True]
    assert ['value="b"' in more, 'value="d"' in more] == [True, True]
    assert "More variants (2)" in more
    assert 'data-chosen="Chosen: b"' in more
    assert more.count("<caption>") == 2
    assert "<details" not in table_html([ModelGroup(heading="A", rows=(row("a"),))], "note")


def test_the_time_that_is_promised_counts_the_wait_for_the_sweep() -> None:
    assert "within 65 minutes" in limits_card(Settings().gone_seconds)
