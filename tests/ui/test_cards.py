from pathlib import Path

from sr_core.image.header import Header
from ui.cards import limits_card, panel, photo_card, progress_panel
from ui.settings import Settings
from ui.widgets.compare import Comparison, compare_value
from ui.widgets.models import ModelRow, table_html

ATTACK = "<img src=x onerror=alert(1)>\"'"


def test_words_from_outside_are_escaped_everywhere() -> None:
    header = Header(format="png", height=10, width=20, bit_depth=16, channels=1, has_alpha=True, size_bytes=3000)
    row = ModelRow(
        id=ATTACK, label=ATTACK, parameters=1, size_bytes=1, psnr_db=None, seconds=None, recommended_for=ATTACK
    )
    for html in (
        panel(ATTACK, "error"),
        progress_panel(ATTACK, ATTACK, 1, 2),
        photo_card(header, [ATTACK]),
        table_html([row], ATTACK, ATTACK),
    ):
        assert "<img" not in html
        assert ATTACK not in html


def test_words_in_a_comparison_are_escaped(tmp_path: Path) -> None:
    png = tmp_path / "a.png"
    value = compare_value(
        Comparison(before=png, after=png, height=1, width=1, after_name=ATTACK, note=ATTACK, difference_name=ATTACK)
    )
    assert not any("<img" in part for part in value.values() if isinstance(part, str))


def test_a_photo_card_says_what_the_photo_is() -> None:
    header = Header(
        format="heic", height=3024, width=4032, bit_depth=10, channels=3, has_alpha=True, size_bytes=2_000_000
    )
    card = photo_card(header, ["Further frames are left out."])
    for words in ("HEIC", "4032 × 3024", "12.2 MP", "2.0 MB", "10 bit", "transparency", "Further frames are left out."):
        assert words in card


def test_an_error_is_announced_at_once_and_progress_is_not() -> None:
    assert "role='alert'" in panel("No.", "error")
    assert "role='alert'" not in progress_panel("Working", "tile 1 of 2", 1, 2)


def test_the_table_is_one_group_of_labelled_radio_buttons() -> None:
    rows = [
        ModelRow(id=name, label=name, parameters=10**6, size_bytes=10**6, psnr_db=38.05, seconds=s, recommended_for="x")
        for name, s in (("a", 41.0), ("b", None))
    ]
    table = table_html(rows, "b", "note")
    assert table.count('type="radio"') == table.count("<label for=") == 2
    assert table.count("checked") == 1
    assert 'value="b" checked' in table
    assert "~40 s" in table
    assert "38.05" in table


def test_the_time_that_is_promised_counts_the_wait_for_the_sweep() -> None:
    assert "within 65 minutes" in limits_card(Settings().gone_seconds)
