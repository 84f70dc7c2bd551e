"""Studies of a tiny network: every point measured, none twice, and what is kept is what was measured."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from sr_core.arch.weights import load_described
from sr_core.compress.cost import count_macs_per_megapixel, count_parameters
from sr_core.compress.selective import Measure
from sr_core.errors import OptionError
from tests.zoo.workshop.conftest import draw
from tests.zoo.workshop.test_build import begin, releases
from zoo import __main__ as command
from zoo.release import Release
from zoo.study import Study, StudyPoint, add_points, load_study
from zoo.workshop.build import BuildOptions
from zoo.workshop.calibration import CalibrationOptions, calibrate
from zoo.workshop.candidates import TECHNIQUES, Amounts, Candidates, Source
from zoo.workshop.distill import DistillOptions
from zoo.workshop.stock import Stock
from zoo.workshop.sweep import SweepOptions, sweep, time_points


def quiet(_words: str) -> None:
    pass


def options_in(folder: Path) -> SweepOptions:
    for name, seeds in (("photos", (0, 1)), ("Drawn", (11,))):
        (folder / name).mkdir()
        for seed in seeds:
            draw(seed, 72).save(folder / name / f"{seed}.png")
    begin(BuildOptions(home=folder, photos=folder / "photos"))
    return SweepOptions(
        home=folder,
        datasets=(folder / "Drawn",),
        calibration=CalibrationOptions(photos=folder / "photos", tiles=4, side=16),
        amounts=Amounts(
            techniques=TECHNIQUES[:6],
            shares=(0.1, 0.2),
            finetune=DistillOptions(photos=folder / "photos", steps=3, batch=1, patch=16, warmup=1),
        ),
        keep=folder / "kept",
    )


def whole_of(options: SweepOptions) -> Release:
    return releases(BuildOptions(home=options.home, photos=options.home))[0]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepOptions, Study]:
    """A study that was made once; tests that change it take a copy."""
    options = options_in(tmp_path_factory.mktemp("study"))
    return options, sweep(options, whole_of(options), quiet)


@pytest.fixture
def copied(swept: tuple[SweepOptions, Study], tmp_path: Path) -> SweepOptions:
    options, _ = swept
    for path in options.home.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(options.home)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return replace(options, home=tmp_path, keep=tmp_path / "kept", datasets=(tmp_path / "Drawn",))


def said(options: SweepOptions) -> list[str]:
    words: list[str] = []
    sweep(options, whole_of(options), words.append)
    return [line for line in words if " gone" in line]


def test_every_technique_has_a_point_at_every_amount(swept: tuple[SweepOptions, Study]) -> None:
    options, study = swept
    assert [(point.technique, point.words) for point in study.points] == [
        ("whole", "whole"),
        ("heads-l1", "1 head a block"),
        ("magnitude-l1", "10 % zeros"),
        ("magnitude-l1", "20 % zeros"),
        ("selective", "10 % of the parameters"),
        ("selective", "20 % of the parameters"),
        ("selective-repair", "10 % of the parameters"),
        ("selective-repair", "20 % of the parameters"),
        ("selective-distilled", "10 % of the parameters, 3 steps"),
        ("selective-distilled", "20 % of the parameters, 3 steps"),
    ]
    assert (study.family, study.scale, study.whole) == ("tiny", 2, whole_of(options).id)
    assert study.calibration.startswith("4 tiles of 16 × 16 pixels from 2 photos in photos (sha256 ")
    assert load_study(options.study_path) == (study,)


def test_a_point_says_what_its_network_has(swept: tuple[SweepOptions, Study]) -> None:
    _, study = swept
    whole = study.points[0]
    assert (whole.sparsity, whole.sparsity_qkv, whole.share) == (0, 0, 0)
    for point in study.points:
        assert {metric.dataset for metric in point.metrics} == {"Drawn"}
        assert (point.heads, point.hidden) <= (whole.heads, whole.hidden)
        if point.technique == "magnitude-l1":
            assert point.parameters == whole.parameters
            assert point.sparsity == pytest.approx(point.share, abs=0.005)
            assert 0 < point.sparsity_qkv < point.sparsity
        elif point.share:
            assert point.sparsity >= point.share
            assert point.parameters == pytest.approx((1 - point.sparsity) * whole.parameters, abs=1)
    heads = study.points[1]
    assert (heads.iterations, heads.heads, heads.hidden) == (1, whole.heads // 2, whole.hidden)
    head_weights = 3 * 8 * 4 * (whole.heads - heads.heads)
    assert heads.sparsity_qkv == pytest.approx(head_weights / whole.parameters, abs=1e-4)


def test_kept_networks_are_those_of_the_points(swept: tuple[SweepOptions, Study]) -> None:
    options, study = swept
    assert options.keep is not None
    found = {}
    for path in options.keep.glob("*.safetensors"):
        name, module = load_described(path)
        found[name] = (count_parameters(module.spec).total, path.stat().st_size)
    assert sorted(found.values()) == sorted((point.parameters, point.weights_bytes) for point in study.points)
    assert all(name.startswith("tiny-x2-drawn-") for name in found)


def test_what_is_there_is_not_made_again(copied: SweepOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    before = copied.study_path.read_bytes()
    for name in ("candidates.prune_heads", "candidates.prune_magnitude", "candidates.costs_of", "candidates.distill"):
        monkeypatch.setattr(f"zoo.workshop.{name}", None)
    monkeypatch.setattr("zoo.workshop.sweep.evaluate", None)
    assert all(line.endswith("(was there)") for line in said(copied))
    assert copied.study_path.read_bytes() == before


def test_an_interrupted_sweep_goes_on(copied: SweepOptions) -> None:
    [study] = load_study(copied.study_path)
    document = json.loads(copied.study_path.read_text())
    document["studies"][0]["points"] = document["studies"][0]["points"][:4]
    copied.study_path.write_text(json.dumps(document))
    assert [line.endswith("(was there)") for line in said(replace(copied, keep=None))] == [True] * 4 + [False] * 6
    [again] = load_study(copied.study_path)
    assert again == replace(study, date=again.date)


def test_another_benchmark_is_added_to_the_points(copied: SweepOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.workshop.candidates.costs_of", None)
    (copied.home / "Other").mkdir()
    draw(12, 72).save(copied.home / "Other" / "12.png")
    sweep(replace(copied, datasets=(*copied.datasets, copied.home / "Other")), whole_of(copied), quiet)
    [study] = load_study(copied.study_path)
    for point in study.points:
        assert {metric.dataset for metric in point.metrics} == {"Drawn", "Other"}


def test_what_is_calibrated_on_is_not_scored(copied: SweepOptions) -> None:
    before = copied.study_path.read_bytes()
    scored = replace(copied, datasets=(copied.home / "photos",))
    with pytest.raises(OptionError, match=r"calibrate on, 2 photos in photos, show what is scored in photos \(0, 1\)"):
        sweep(scored, whole_of(copied), quiet)
    assert copied.study_path.read_bytes() == before
    plain = replace(scored.amounts, techniques=("whole",))
    sweep(replace(scored, amounts=plain), whole_of(copied), quiet)  # nothing is calibrated for that


def test_a_study_of_other_tiles_or_weights_is_begun_anew_only_when_asked(copied: SweepOptions) -> None:
    few = replace(copied, amounts=Amounts(techniques=("whole", "heads-l1")))
    other = replace(few, calibration=replace(few.calibration, tiles=5))
    before = copied.study_path.read_bytes()
    with pytest.raises(OptionError, match=r"was made with 4 tiles .* and this is 5 tiles .* --fresh begins"):
        sweep(other, whole_of(other), quiet)
    assert copied.study_path.read_bytes() == before
    assert len(sweep(replace(other, is_fresh=True), whole_of(other), quiet).points) == 2
    begin(BuildOptions(home=copied.home, photos=copied.home), seed=1)
    with pytest.raises(OptionError, match="--fresh begins"):
        sweep(other, whole_of(other), quiet)
    now = sweep(replace(other, is_fresh=True), whole_of(other), quiet).points[0]
    assert now.metrics != load_first(before).metrics, "kept networks of other weights are not taken"


def load_first(document: bytes) -> StudyPoint:
    point = json.loads(document)["studies"][0]["points"][0]
    return TypeAdapter(StudyPoint).validate_json(json.dumps(point))


def test_fresh_measures_only_what_is_asked_for_anew(copied: SweepOptions) -> None:
    [before] = load_study(copied.study_path)
    asked = replace(copied, amounts=Amounts(techniques=("whole", "heads-l1")), is_fresh=True)
    words: list[str] = []
    after = sweep(asked, whole_of(asked), words.append)
    assert not any(line.endswith("(was there)") for line in words)
    assert {(one.technique, one.words) for one in after.points} == {(one.technique, one.words) for one in before.points}


def test_fresh_reaches_what_was_kept(copied: SweepOptions) -> None:
    assert copied.keep is not None
    costs = sorted(copied.keep.glob("costs-repaired-*.json"))
    damaged = [path for path in costs if path.write_text("{}")]
    assert damaged
    amounts = Amounts(techniques=("selective-repair",), shares=(0.3,))
    with pytest.raises(OptionError, match="is damaged; remove that file"):
        sweep(replace(copied, amounts=amounts), whole_of(copied), quiet)
    sweep(replace(copied, amounts=amounts, is_fresh=True), whole_of(copied), quiet)
    assert all(path.read_text() != "{}" for path in costs)


def test_other_words_for_the_same_tiles_are_the_same_study(copied: SweepOptions) -> None:
    other = replace(copied, calibration=replace(copied.calibration, words="the same, in other words"))
    assert all(line.endswith("(was there)") for line in said(other))


def test_another_recipe_is_another_distillation(copied: SweepOptions) -> None:
    assert copied.amounts.finetune is not None
    finetune = replace(copied.amounts.finetune, learning_rate=0.05)
    amounts = replace(copied.amounts, techniques=("selective-distilled",), shares=(0.1,), finetune=finetune)
    [before] = [
        one for one in load_study(copied.study_path)[0].points if one.words == "10 % of the parameters, 3 steps"
    ]
    study = sweep(replace(copied, amounts=amounts), whole_of(copied), quiet)
    [after] = [one for one in study.points if one.words == before.words]
    assert before.recipe != after.recipe
    assert before.metrics != after.metrics


def test_files_of_what_is_counted_do_not_stand_for_each_other(copied: SweepOptions) -> None:
    whole = whole_of(copied)
    source = Source(module=Stock(copied.home).module(whole), sha256="", calibration=calibrate(copied.calibration, 2))
    names = [
        candidate.name
        for measure in get_args(Measure)
        for candidate in Candidates(
            source,
            replace(copied.amounts, techniques=TECHNIQUES[3:], megabytes=(0.5, 1.0), measure=measure),
        ).list_all()
        if candidate.share
    ]
    assert len(set(names)) == len(names)


def test_points_of_another_sweep_stay(copied: SweepOptions) -> None:
    """Two sweeps of one family at a time: neither loses what the other has stored meanwhile."""
    [study] = load_study(copied.study_path)
    theirs = replace(study.points[0], technique="heads-l1", words="by another sweep")

    def meanwhile(line: str) -> None:
        if line.startswith("whole"):
            add_points(study, (theirs,), copied.study_path)

    amounts = Amounts(techniques=("whole", "magnitude-l1"), shares=(0.12,))
    after = sweep(replace(copied, amounts=amounts), whole_of(copied), meanwhile)
    assert theirs in after.points
    assert load_study(copied.study_path) == (after,)


def test_sweeps_that_cannot_be_made_are_refused(copied: SweepOptions) -> None:
    with pytest.raises(OptionError, match="so packages must be made as well"):
        replace(copied, amounts=Amounts(techniques=("mixed-bit",), megabytes=(1.0,)))
    with pytest.raises(OptionError, match="have the same name"):
        replace(copied, datasets=(*copied.datasets, copied.home / "elsewhere" / "Drawn"))


def test_kept_networks_are_timed_in_one_run(copied: SweepOptions) -> None:
    study = time_points(copied, whole_of(copied), "a test", side=24, rounds=1)
    assert load_study(copied.study_path) == (study,)
    assert len({point.speed and point.speed.run for point in study.points}) == 1
    for point in study.points:
        assert point.speed is not None
        assert point.speed.machine == "a test"
        assert point.speed.run.startswith("run of 2")
        assert point.speed.seconds_per_megapixel > 0


def test_what_was_not_kept_cannot_be_timed(copied: SweepOptions) -> None:
    with pytest.raises(OptionError, match="No network of the study was kept"):
        time_points(replace(copied, keep=None), whole_of(copied), "a test", side=24, rounds=1)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"shares": (0.1, 1.0)}, "above 0 and below 1"),
        ({"techniques": ("selective-distilled",)}, "needs to be told how to distill"),
        ({"techniques": ("whole", "mixed-bit")}, "need sizes of packages"),
        ({"megabytes": (0.0,)}, "sizes of packages must be above 0"),
    ],
)
def test_amounts_that_cannot_be_swept_over_are_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Amounts(**asked)


def asked_of(copied: SweepOptions, amounts: Amounts, *, packages: bool = False) -> tuple[StudyPoint, ...]:
    """Returns the points of a study that is made of these amounts only."""
    copied.study_path.unlink()
    options = replace(copied, amounts=amounts, photos=copied.home / "photos" if packages else None)
    return sweep(options, whole_of(options), quiet).points


def test_what_is_counted_decides_what_goes(copied: SweepOptions) -> None:
    whole = whole_of(copied).variant.spec
    for measure, words in (("macs", "30 % of the multiplications"), ("milliseconds", "30 % of the measured time")):
        [point] = asked_of(copied, Amounts(techniques=("selective-repair",), shares=(0.3,), measure=measure))
        assert (point.words, point.measure, point.share) == (words, measure, 0.3)
    [point] = asked_of(copied, Amounts(techniques=("selective",), shares=(0.3,), measure="macs"))
    assert copied.keep is not None
    [path] = copied.keep.glob("*-selective30m-float16.safetensors")
    spec = load_described(path)[1].spec
    assert count_macs_per_megapixel(spec).total <= 0.7 * count_macs_per_megapixel(whole).total


@pytest.mark.slow
def test_points_have_packages_and_coarse_ones_their_agreement(copied: SweepOptions) -> None:
    photos = copied.home / "photos"
    for path in photos.iterdir():
        draw(3, 160).save(path)
    amounts = Amounts(
        techniques=(
            "whole",
            "selective-repair",
            "uniform-bits",
            "mixed-bit",
            "selective-mixed-bit",
            "mixed-bit-selective",
        ),
        shares=(0.2,),
        megabytes=(0.055,),
    )
    found = {(one.technique, one.words): one for one in asked_of(copied, amounts, packages=True)}
    whole, small = found["whole", "whole"], found["selective-repair", "20 % of the parameters"]
    assert None not in (whole.package_bytes, small.package_bytes)
    assert small.package_bytes < whole.package_bytes
    assert whole.agreement_db is None
    coarse = [point for point in found.values() if "bit" in point.technique]
    assert len(coarse) == 6
    for point in coarse:
        assert point.agreement_db is not None
        assert 20 < point.agreement_db < 100
        if point.technique != "uniform-bits":
            assert point.package_bytes <= 55_000
    assert found["uniform-bits", "int8"].agreement_db > found["uniform-bits", "palette4"].agreement_db
    both = [point for point in coarse if "selective" in point.technique]
    assert all(point.sparsity >= 0.2 for point in both)
    assert len({point.technique for point in both}) == 2


def test_from_the_command_line(copied: SweepOptions, capsys: pytest.CaptureFixture[str]) -> None:
    photos = copied.home / "photos"
    draw(5, 128).save(photos / "5.png")
    asked = ["--home", str(copied.home), "study", "--family", "tiny", "--data", str(copied.home / "Drawn")]
    asked += ["--techniques", "whole", "magnitude-l1", "--shares", "7.5", "--keep", str(copied.home / "other")]
    asked += [
        "--calibration",
        str(photos),
        "--calibration-tiles",
        "1",
        "--machine",
        "a test",
        "--side",
        "24",
        "--fresh",
    ]
    assert command.main(asked) == 0
    out = capsys.readouterr().out
    assert "magnitude-l1, 7.5 % zeros: 7.6% gone, Drawn" in out, "biases that are zero anyway count as well"
    assert "2 points of tiny-x2-drawn-float16 are in" in out
    [study] = load_study(copied.study_path)
    found: list[StudyPoint] = list(study.points)
    assert [point.speed is not None for point in found] == [True, True]
