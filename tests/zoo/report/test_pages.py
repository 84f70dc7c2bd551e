"""The report's text: Markdown rounds what CSV says in full, and neither says what was not measured."""

import csv
import html
import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.zoo.report.made import MACHINE, compressed, heads_removed, metric, point, study, whole
from zoo.manifest import Manifest
from zoo.release import SpeedRecord
from zoo.report import Figure, FigureAxis, FigurePoint, Series, merge_studies
from zoo.report.pages import NamedFigure, figure_csv, markdown_report, table_csv
from zoo.study import Study, StudyPoint

ONE = whole()
MANIFEST = Manifest(releases=(ONE, heads_removed(ONE, 1, psnr_db=36.5)))


def page(*points: StudyPoint, manifest: Manifest = MANIFEST) -> str:
    studies: list[Study] = [study(*points)] if points else []
    return markdown_report(manifest, merge_studies(manifest, studies), ())


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, unescaped."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[re.sub(r"\\(.)", r"\1", cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_a_row_says_all_that_the_paper_s_tables_say() -> None:
    header, _, first, second = rows(page())
    row = dict(zip(header, second, strict=True))
    assert dict(zip(header, first, strict=True))["technique"] == "whole network"
    assert row == {
        "technique": "heads by L1 norm",
        "network": "`tiny-x2-drawn-heads2-float16`",
        "iterations": "1",
        "parameters": "9,300",
        "q, k, v": "5.8%",
        "removed": "7.0%",
        "disk MB": "0.02",
        "Core ML MB": "–",
        "PSNR Set5": "36.50",
        "SSIM Set5": "0.9000",
        "s/MP": "12.0",
    }


def test_what_was_not_measured_is_a_dash() -> None:
    bare = point("selective", "half", metrics=())
    header, _, _, _, last = rows(page(bare))
    row = dict(zip(header, last, strict=True))
    assert [row[name] for name in ("iterations", "Core ML MB", "PSNR Set5", "SSIM Set5", "s/MP")] == ["–"] * 5


def test_megabytes_are_millions_of_bytes() -> None:
    header, *_, last = rows(page(point("selective", weights_bytes=1_234_567, package_bytes=2_345_678)))
    row = dict(zip(header, last, strict=True))
    assert (row["disk MB"], row["Core ML MB"]) == ("1.23", "2.35")


def test_agreement_stands_only_with_formats() -> None:
    text = page(point("mixed-bit", "2 MB", agreement_db=61.04, package_bytes=1_990_000), point("uniform-bits", "int8"))
    tables = [row for row in rows(text) if row[0] == "technique"]
    assert ["agreement dB" in header for header in tables] == [False, True]
    assert [row[-2] for row in rows(text) if row[0] in ("a format for each layer", "one format for all layers")] == [
        "–",
        "61.0",
    ]


def test_times_of_several_machines_are_told_apart() -> None:
    speed = SpeedRecord(seconds_per_megapixel=9.0, compute="bfloat16", machine="a big one")
    text = page(point("selective", speed=speed))
    assert [row[-1] for row in rows(text)[2:]] == ["12.0 (1)", "12.0 (1)", "9.0 (2)"]
    assert f"on (1) {MACHINE}, float32; (2) a big one, bfloat16." in text
    assert f"megapixel of photo on {MACHINE}, float32." in page()


def test_what_scores_are_worth_is_said() -> None:
    text = page(point("selective"))
    assert "its weights were chosen on Set5, so scores on it are a little too good" in text
    assert "calibrated on drawings; last measured 2026-02-03." in text
    assert "Bicubic enlargement has 33.67 dB on Set5." in text
    other = replace(metric(36.0), bicubic_psnr_db=30.0)
    assert "Bicubic" not in page(point("selective", metrics=(other,)))


def test_a_release_without_its_whole_network_is_named() -> None:
    orphan = replace(heads_removed(ONE, 2), parent="gone")
    text = page(manifest=Manifest(releases=(ONE, orphan)))
    assert f"Left out, because the whole network that they were made from is not listed: `{orphan.id}`." in text


@pytest.mark.parametrize("manifest", [Manifest(releases=(replace(ONE, metrics=(), speed=None),))])
def test_a_report_of_nothing_can_be_read(manifest: Manifest) -> None:
    text = page(manifest=manifest)
    assert text.count("Nothing was measured.") == 3
    assert rows(text) == []
    assert "None" not in text
    empty = markdown_report(manifest, merge_studies(manifest, [study()]), ())
    assert empty.count("Nothing was measured.") == 3


@given(words=st.text(min_size=1, max_size=30))
def test_any_words_stand_in_one_cell_as_they_are(words: str) -> None:
    text = page(point("selective", words))
    table = rows(text)
    assert {len(row) for row in table} == {len(table[0])}
    assert table[-1][1] == " ".join(words.split())
    cell = re.split(r"(?<!\\)\|", [line for line in text.split("\n") if line.startswith("|")][-1])[2]
    assert not re.search(r"(?<!\\)[<>*_`\[\]]", re.sub(r"\\\\", "", cell))


lines = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)
numbers = st.floats(0, 1e9, allow_subnormal=False)


@given(psnr=numbers, ssim=numbers, share=st.floats(0, 1), size=st.integers(1, 2**60), words=lines)
def test_csv_reads_back_to_the_same_numbers(psnr: float, ssim: float, share: float, size: int, words: str) -> None:
    score = replace(metric(psnr, "A,B"), ssim=ssim)
    made = point(
        "selective",
        words,
        metrics=(score,),
        sparsity=share,
        sparsity_qkv=share / 3,
        weights_bytes=size,
        agreement_db=psnr,
    )
    [row] = csv.DictReader(io.StringIO(table_csv([study(made)], "heads"), newline=""))
    assert (float(row["psnr_db_A,B"]), float(row["ssim_A,B"]), float(row["agreement_db"])) == (psnr, ssim, psnr)
    assert (float(row["sparsity"]), float(row["sparsity_qkv"])) == (share, share / 3)
    assert int(row["weights_bytes"]) == size
    assert (row["whole"], row["technique"], row["words"]) == ("tiny-x2-drawn-float16", "selective", words)
    assert row["package_bytes"] == row["release"] == row["seconds_per_megapixel"] == row["machine"] == ""


def test_all_studies_share_a_csv_with_all_data_sets() -> None:
    int8 = compressed(ONE, "quantize", precision="int8")
    other = study(point("uniform-bits", metrics=(metric(30.0, "Kodak24"),)), whole_id="other", family="other")
    studies = merge_studies(Manifest(releases=(ONE, int8)), [other])
    first, second, third = csv.DictReader(io.StringIO(table_csv(studies, "formats")))
    assert (first["psnr_db_Set5"], first["psnr_db_Kodak24"]) == ("37.0", "")
    assert (second["release"], second["seconds_per_megapixel"], second["machine"]) == (int8.id, "12.0", MACHINE)
    assert (third["whole"], third["psnr_db_Set5"], third["psnr_db_Kodak24"]) == ("other", "", "30.0")


@given(x=numbers, y=numbers, words=lines)
def test_a_figure_s_csv_reads_back_to_the_same_places(x: float, y: float, words: str) -> None:
    points = (
        FigurePoint(id="an-id", label=words, x=x, y=y, words="said", interval=(y - 1, y + 1)),
        FigurePoint(id=None, label="two", x=y, y=x, words="said"),
    )
    series = Series(name=words, points=points, technique="selective", whole="w")
    figure = Figure(title="t", x=FigureAxis(words="x"), y=FigureAxis(words="y"), series=(series,), note="")
    first, second = csv.DictReader(io.StringIO(figure_csv(figure), newline=""))
    assert [float(first[name]) for name in ("x", "y", "low", "high")] == [x, y, y - 1, y + 1]
    assert (first["series"], first["id"], first["label"]) == (words, "an-id", words)
    assert (second["id"], second["low"], second["high"], float(second["x"])) == ("", "", "", y)


def test_a_figure_stands_with_its_note_and_files_below_its_heading() -> None:
    point_ = FigurePoint(id=None, label="p", x=1.0, y=1.0, words="w")
    series = Series(name="s", points=(point_,), technique="selective", whole="w")
    drawn = Figure(title="a|b", x=FigureAxis(words="x"), y=FigureAxis(words="y"), series=(series,), note="A <note>.")
    named = [
        NamedFigure(file="figure-1", heading="One", figure=drawn),
        NamedFigure(file="figure-2", heading="One", figure=replace(drawn, series=(), note="Nothing.")),
    ]
    text = markdown_report(MANIFEST, merge_studies(MANIFEST, ()), named)
    assert text.count("## One\n") == 1
    assert "![a\\|b](figure-1.svg)\n\nA \\<note\\>. [As CSV](figure-1.csv)\n" in text
    assert "a\\|b: Nothing.\n" in text
    assert "figure-2" not in text
    assert html.unescape(text) == text
