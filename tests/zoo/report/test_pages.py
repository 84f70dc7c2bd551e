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
from zoo.report import (
    Figure,
    FigureAxis,
    FigurePoint,
    Series,
    figure_loss,
    figure_psnr,
    figure_speed,
    merge_studies,
)
from zoo.report.pages import NamedFigure, figure_csv, markdown_report, table_csv
from zoo.study import Study, StudyPoint

ONE = whole()
MANIFEST = Manifest(releases=(ONE, heads_removed(ONE, 1, psnr_db=36.5)))


def page(*points: StudyPoint, manifest: Manifest = MANIFEST) -> str:
    return markdown_report(manifest, merge_studies(manifest, [study(*points)] if points else []), ())


def studies(*points: StudyPoint) -> tuple[Study, ...]:
    return merge_studies(MANIFEST, [study(*points)])


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
    text = page(
        point("mixed-bit", "2 MB", agreement_db=61.04, package_bytes=1_990_000),
        point("uniform-bits", "int8"),
        point("selective-mixed-bit", "1 MB", agreement_db=74.0, agreement_with="the-parent"),
    )
    tables = [row for row in rows(text) if row[0] == "technique"]
    assert ["agreement dB" in header for header in tables] == [False, True]
    last = rows(text)[-3:]
    assert [row[1] for row in last] == ["int8", "2 MB", "1 MB"]
    assert [row[-3:-1] for row in last] == [["–", "–"], ["61.0", "the whole network"], ["74.0", "`the-parent`"]]


OTHER = SpeedRecord(seconds_per_megapixel=9.0, compute="bfloat16", machine="a big one")


def test_times_of_another_run_are_left_out_and_said_to_be() -> None:
    text = page(point("selective", speed=OTHER))
    assert [row[-1] for row in rows(text)[2:]] == ["12.0", "12.0", "–"]
    assert f"megapixel of photo on {MACHINE}, float32. Times of 1 network were measured in other runs; they are" in text
    assert "Times of" not in page()
    whole_only = replace(ONE, speed=None)
    alone = page(manifest=Manifest(releases=(whole_only, heads_removed(whole_only, 1), heads_removed(ONE, 2))))
    assert [row[-1] for row in rows(alone)[2:]] == ["–"] * 3
    assert "Times of 1 network were measured, but none of the whole network; they are left out" in alone
    assert "s/MP is" not in alone
    [first, second, third] = csv.DictReader(io.StringIO(table_csv(studies(point("selective", speed=OTHER)), "heads")))
    assert [row["seconds_per_megapixel"] for row in (first, second, third)] == ["12.0", "12.0", ""]
    assert third["machine"] == ""


def test_scores_of_two_tools_are_marked() -> None:
    points = [point("selective", f"{i} %", metrics=(metric(35.0, tool="test 1, coarse"),)) for i in range(2)]
    text = page(*points)
    header, _, *body = rows(text)
    assert [row[header.index("PSNR Set5")] for row in body] == ["37.00 (1)", "36.50 (1)", "35.00 (2)", "35.00 (2)"]
    assert "Scores are by (1) test 1; (2) test 1, coarse; a difference between scores of two tools is no loss." in text
    assert "Scores are by" not in page(point("selective"))
    # one that both tools scored has the score of the tool that scored most
    again = point("whole", metrics=(metric(36.9, tool="test 1, coarse"),))
    _, _, first, *_ = rows(page(*points, again))
    assert first[header.index("PSNR Set5")] == "36.90 (1)"
    read = csv.DictReader(io.StringIO(table_csv(studies(*points, again), "heads")))
    assert [row["tool_Set5"] for row in read] == ["test 1, coarse", "test 1", "test 1, coarse", "test 1, coarse"]


def test_a_table_is_of_one_tool_where_its_own_rows_have_one() -> None:
    """However many others of the study another tool scored."""
    coarse = "test 1, coarse"
    others = [point("selective", f"{i} %", metrics=(metric(35.0, tool=coarse),)) for i in range(5)]
    text = page(*others, point("whole", metrics=(metric(36.9, tool=coarse),)), point("uniform-bits", "int8"))
    [header, *body] = rows(text.split("## Formats")[1])
    assert [row[header.index("PSNR Set5")] for row in body[1:]] == ["37.00", "36.90"]


def test_a_share_of_something_else_says_of_what() -> None:
    by_macs = compressed(ONE, "selective", 0.4, word="m40", sparsity=0.38, measure="macs")
    text = page(
        point("selective", "30 %", measure="milliseconds", share=0.3), manifest=Manifest(releases=(ONE, by_macs))
    )
    assert [row[1] for row in rows(text)[3:]] == [
        "30 % (30 % of the measured time)", f"`{by_macs.id}`: Tiny, m40 (40 % of the multiplications)",
    ]  # fmt: skip


def test_zeros_say_of_what_they_are_a_share() -> None:
    text = page(point("magnitude-l1", "30 % zeros"))
    assert rows(text)[-1][1] == "30 % zeros, of all parameters"
    assert "in the name of a variant that ships is a share of the weights of its linear layers" in text


def test_how_networks_were_distilled_is_said_once() -> None:
    taught = [point("selective-distilled", f"{i} %", recipe="Muon") for i in range(2)]
    assert page(*taught).count("Distilled by Muon.") == 1
    both = page(*taught, point("selective-distilled", "more", recipe="Adam"))
    assert "Distilled by Muon (0 %; 1 %). Distilled by Adam (more)." in both


def test_what_proves_little_is_said_to() -> None:
    light = whole("swinir-light")
    light = replace(light, variant=replace(light.variant, trained="photos39"))
    quick = whole("swinir-quick")
    manifest = Manifest(releases=(light, heads_removed(light, 1), quick, heads_removed(quick, 1)))
    merged = merge_studies(manifest, ())
    named = NamedFigure(file="f", heading="F", figure=figure_loss(merged[1], "Set5"))
    text = markdown_report(manifest, merged, [named])
    tables, figures = text.split("## F\n")
    words = "Half of the light network has learned nothing"
    assert tables.count(words) == figures.count(words) == 1
    assert tables.index("### swinir-quick") < tables.index("### swinir-light") < tables.index(words)
    assert words not in figure_loss(merged[0], "Set5").note
    assert words in figure_speed(merged[1]).note
    assert figure_psnr(manifest, (), "Set5").note.count(words) == 1


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
    merged = merge_studies(Manifest(releases=(ONE, int8)), [other])
    first, second, third = csv.DictReader(io.StringIO(table_csv(merged, "formats")))
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
