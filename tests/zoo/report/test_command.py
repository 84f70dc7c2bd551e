"""``python -m zoo report``, from files to files."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ratings.board import Board, PairScore, Screening
from ratings.table import csv_of
from sr_core.errors import OptionError
from tests.zoo.report.made import heads_removed, point, study, whole
from zoo import __main__ as command
from zoo.manifest import Manifest, save_manifest
from zoo.report.command import read_scores, report_files
from zoo.study import save_study

ONE = whole()
FEWER = heads_removed(ONE, 1)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    save_manifest(Manifest(releases=(ONE, FEWER)), tmp_path / "manifest.json")
    return tmp_path


def board(*pairs: PairScore) -> str:
    nobody = Screening(
        raters=0, votes=0, skips=0, raters_failed_golden=0, raters_one_sided=0, raters_inconsistent=0,
        votes_left_out=0, golden=0, golden_right=0, left_bias=0.0,
    )  # fmt: skip
    return csv_of(Board(pairs=pairs, grades=(), equivalences=(), screening=nobody, drop=None))


def pair(system: str, score: float, standing: str = "ranked") -> PairScore:
    return PairScore(
        system=system,
        score=score,
        low=score - 0.5,
        high=score + 0.5,
        votes=400,
        standing=standing,  # type: ignore[arg-type]
        rank=1,
        group="a",
    )


def test_every_file_that_the_page_names_is_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_study(study(point("selective", "10 %"), point("mixed-bit", "2 MB")), home / "study.json")
    (home / "table.csv").write_text(board(pair(ONE.id, 0.25), pair("bicubic", -1.0), pair(FEWER.id, 0.0, "hidden")))
    out = home / "docs" / "report"
    arguments = ["--home", str(home), "report", "--out", str(out), "--scores", str(home / "table.csv")]
    assert command.main([*arguments, "--watts", "6", "--watt-hours", "1"]) == 0
    assert capsys.readouterr().out == f"{out / 'report.md'} and {len(list(out.iterdir())) - 1} files beside it\n"
    page = (out / "report.md").read_text()
    named = set(re.findall(r"\]\(([^)]+)\)", page))
    assert named <= {path.name for path in out.iterdir()}
    assert {path.name for path in out.iterdir()} - named == {"report.md", "table-zeros.csv"}
    assert "1 Wh at 6 W" in page
    [scored] = csv.DictReader(io.StringIO((out / "figure-4-score.csv").read_text()))
    assert (scored["id"], float(scored["y"]), float(scored["low"])) == (ONE.id, 0.25, -0.25)
    [energy, _] = csv.DictReader(io.StringIO((out / "figure-5-energy.csv").read_text()))
    assert float(energy["y"]) == pytest.approx(3600 / (6 * 12.0))
    assert "No scores were given" not in page
    assert "10 %" in page
    assert "Nothing" not in page.split("## Formats")[1].split("## ")[0]


def test_each_network_has_pictures_of_its_own(home: Path) -> None:
    other = whole("other")
    again = replace(ONE, variant=replace(ONE.variant, trained="again"))
    manifest = Manifest(releases=(ONE, FEWER, other, heads_removed(other, 1)))
    files = report_files(manifest, (), None, watts=3.0, watt_hours=10.0)
    loss = {name for name in files if name.startswith("figure-6") and name.endswith("svg")}
    assert loss == {"figure-6-loss-tiny-x2-set5.svg", "figure-6-loss-other-x2-set5.svg"}
    twins = report_files(Manifest(releases=(ONE, again)), (), None, watts=3.0, watt_hours=10.0)
    times = {name for name in twins if name.startswith("figure-7") and name.endswith("svg")}
    assert times == {f"figure-7-time-{one.id}.svg" for one in (ONE, again)}


def test_without_scores_nothing_is_said_of_votes_that_nobody_looked_at(home: Path) -> None:
    (home / "table.csv").write_text(board(pair(ONE.id, 0.25, "hidden")))
    for arguments, sentence in (
        ([], "No scores were given, so nothing can be said here of votes."),
        (["--scores", str(home / "table.csv")], "No variant has enough votes for a score."),
    ):
        assert command.main(["--home", str(home), "report", "--out", str(home / "out"), *arguments]) == 0
        assert f"{sentence}\n" in (home / "out" / "report.md").read_text()


def test_a_report_is_the_same_whenever_it_is_made(home: Path) -> None:
    for name in "ab":
        assert command.main(["--home", str(home), "report", "--out", str(home / name)]) == 0
    first, second = ({path.name: path.read_bytes() for path in (home / name).iterdir()} for name in "ab")
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--watts", "0"], "The power must be a number above 0, not 0.0."),
        (["--watt-hours", "nan"], "The budget must be a number above 0, not nan."),
        (["--scores", "missing.csv"], "The scores missing.csv cannot be read."),
    ],
)
def test_a_mistake_is_one_sentence(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert command.main(["--home", str(home), "report", "--out", str(home / "out"), *arguments]) == 1
    assert capsys.readouterr().err == f"{sentence}\n"
    assert not (home / "out").exists()


def test_a_folder_that_cannot_be_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--home", str(home), "report", "--out", str(home / "manifest.json")]) == 1
    assert re.fullmatch(r"The report cannot be written to \S+manifest\.json: File exists\.\n", capsys.readouterr().err)


def test_a_damaged_study_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "study.json").write_text("{}")
    assert command.main(["--home", str(home), "report", "--out", str(home / "out")]) == 1
    assert "study.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "system,low,high\na,1,2\n",
        "system,score,low,high\na,much,1,2\n",
        "system,score,low,high\na,1.0\n",
        "system,score,low,high\na,3,1,2\n",
        "system,score,low,high\na,nan,1,2\n",
        "system,score,low,high\na,1,-inf,2\n",
        "score,low,high\n1,0,2\n",
    ],
)
def test_what_is_no_table_of_the_board_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(OptionError, match=r"^The file table\.csv is no table of the board"):
        read_scores(tmp_path / "table.csv")


def test_a_board_without_scores_gives_none(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(board(pair("a", 1.0, "hidden")))
    assert read_scores(tmp_path / "table.csv") == {}
