from dataclasses import replace

import pytest

from sr_core.spec import Formats
from zoo.card import calibration_text, compression_text, finetune_text, markdown_table, model_card, release_table
from zoo.release import CalibrationRecord, CompressionRecord, FinetuneRecord, Release

CALIBRATION = CalibrationRecord(photos="drawings", tiles=32, side=64, sha256="3" * 64)
FINETUNE = FinetuneRecord(steps=4000, photos="other drawings", recipe="by hand", seed=1)
SELECTIVE = CompressionRecord(
    method="selective",
    amount=0.3,
    parent_sha256="4" * 64,
    removed_heads=(((0,), ()), ((1,),)),
    removed_units=(((), (5, 7)), ((),)),
    measure="parameters",
    calibration=CALIBRATION,
)
MEASURED = "removed, those that calibration pictures miss least: "


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


@pytest.mark.parametrize(
    ("done", "words"),
    [
        (SELECTIVE, f"30% of the parameters {MEASURED}2 of 8 heads and 2 of 50 hidden units; not trained again"),
        (
            replace(SELECTIVE, measure="macs", is_repaired=True),
            f"30% of the multiplications {MEASURED}2 of 8 heads and 2 of 50 hidden units; what is left was solved for "
            "again by least squares; not trained again",
        ),
        (
            replace(SELECTIVE, removed_stages=(1,), finetune=FINETUNE),
            f"30% of the parameters {MEASURED}2 of 8 heads and 2 of 50 hidden units, with them 1 stage altogether; "
            "taught by the whole network for 4,000 steps",
        ),
        (None, "none"),
    ],
)
def test_what_was_removed_is_told_in_numbers(release: Release, done: CompressionRecord | None, words: str) -> None:
    assert compression_text(replace(release, compression=done)) == words


def test_mixed_formats_are_summed_up_from_the_finest(release: Release) -> None:
    formats: Formats = (("a", "palette4"), ("b", "int8"), ("c", "palette4"), ("d", "float16"))
    variant = replace(release.variant, precision="mixed-bit", formats=formats)
    done = CompressionRecord(method="mixed-bit", amount=1_900_000, parent_sha256="4" * 64, calibration=CALIBRATION)
    assert compression_text(replace(release, variant=variant, compression=done)) == (
        "each layer stored as coarsely as it bears (experimental), for a package of at most 1.90 MB: "
        "1 as float16, 1 as int8, 2 in 4 bits"
    )


def test_calibration_and_teaching_are_told_only_where_they_were(release: Release) -> None:
    assert calibration_text(release) == finetune_text(release) == ""
    done = replace(SELECTIVE, finetune=FINETUNE)
    assert calibration_text(replace(release, compression=done)) == "32 tiles of 64 × 64 pixels from drawings"
    told = finetune_text(replace(release, compression=done))
    assert told == "4,000 steps on other drawings, without their originals; by hand, seed 1"
    cut = replace(done, calibration=replace(CALIBRATION, cell=256), finetune=replace(FINETUNE, cell=128, device="cpu"))
    told = calibration_text(replace(release, compression=cut))
    assert told == "32 tiles of 64 × 64 pixels from drawings, cut into squares of 256"
    assert finetune_text(replace(release, compression=cut)) == (
        "4,000 steps on other drawings, cut into squares of 128, without their originals; by hand, seed 1; cpu"
    )
    assert "Calibrated on" not in model_card(release)
