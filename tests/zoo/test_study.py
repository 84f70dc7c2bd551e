"""The file of studies: read as it was written, refused in one sentence, and not lost between two who write."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_core.errors import ModelError
from tests.zoo.report.made import metric, point, study
from zoo.release import Metric, SpeedRecord
from zoo.study import (
    STUDY_PATH,
    STUDY_SCHEMA,
    Study,
    StudyPoint,
    change_studies,
    load_study,
    put_points,
    save_study,
)

finite = st.floats(-1e6, 1e6)
count = st.integers(0, 2**60)
metrics = st.builds(
    Metric,
    dataset=st.text(),
    channels=st.sampled_from(["y", "rgb"]),
    border=count,
    psnr_db=finite,
    ssim=finite,
    bicubic_psnr_db=finite,
    pictures=count,
    tool=st.text(),
)
speeds = st.builds(
    SpeedRecord, seconds_per_megapixel=finite, compute=st.sampled_from(["float32", "bfloat16"]), machine=st.text()
)
points = st.builds(
    StudyPoint,
    technique=st.sampled_from(["heads-l1", "magnitude-l1", "selective-repair", "uniform-bits", "mixed-bit"]),
    words=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1),
    share=st.floats(0, 1),
    parameters=count,
    sparsity=st.floats(0, 1),
    sparsity_qkv=st.floats(0, 1),
    iterations=count,
    heads=count,
    hidden=count,
    weights_bytes=st.integers(1, 2**60),
    package_bytes=st.none() | st.integers(1, 2**60),
    metrics=st.lists(metrics, max_size=3).map(tuple),
    speed=st.none() | speeds,
    agreement_db=st.none() | finite,
)


@settings(max_examples=40, deadline=None)
@given(made=st.lists(points, max_size=4, unique_by=lambda one: (one.technique, one.words)))
def test_studies_are_read_as_they_were_written(
    made: list[StudyPoint], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("study") / "study.json"
    save_study(study(*made), path)
    assert load_study(path) == (study(*made),)
    assert [one.name for one in path.parent.iterdir() if not one.name.startswith(".")] == ["study.json"]


def test_the_file_that_ships_is_sound() -> None:
    assert isinstance(load_study(), tuple)
    assert json.loads(STUDY_PATH.read_text())["schema"] == STUDY_SCHEMA


def test_a_missing_file_holds_no_studies(tmp_path: Path) -> None:
    assert load_study(tmp_path / "study.json") == ()


def test_a_file_that_cannot_be_read_is_not_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^The study .* cannot be read\.$"):
        load_study(tmp_path)
    (tmp_path / "study.json").write_bytes(b'{"schema": 1, "studies": []}\xff')
    with pytest.raises(ModelError, match=r"study\.json cannot be read"):
        load_study(tmp_path / "study.json")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.update(schema=2), r"schema number 2; only 1 is read"),
        (lambda d: d.pop("schema"), r"damaged: 'schema'"),
        (lambda d: d.pop("studies"), r"must hold its schema number and its studies"),
        (lambda d: d.update(more=1), r"and nothing else"),
        (lambda d: d.update(studies={}), r"damaged: .*at studies"),
        (lambda d: d["studies"][0].update(surprise=1), r"surprise"),
        (lambda d: d["studies"][0].update(date="yesterday"), r"studies\.0\.date"),
        (lambda d: d["studies"][0].update(whole=""), r"studies\.0\.whole"),
        (lambda d: d["studies"][0]["points"][0].update(words="two\nlines"), r"points\.0\.words"),
        (lambda d: d["studies"][0]["points"][0].pop("heads"), r"points\.0\.heads"),
        (lambda d: d["studies"][0]["points"][0].update(technique="magic"), r"points\.0\.technique"),
        (lambda d: d["studies"][0]["points"][0].update(sparsity=1.01), r"points\.0\.sparsity"),
        (lambda d: d["studies"][0]["points"][0].update(sparsity_qkv=-0.1), r"points\.0\.sparsity_qkv"),
        (lambda d: d["studies"][0]["points"][0].update(parameters="many"), r"points\.0\.parameters"),
        (lambda d: d["studies"][0]["points"][0].update(parameters="9000"), r"points\.0\.parameters"),
        (lambda d: d["studies"][0]["points"][0].update(parameters=1.5), r"points\.0\.parameters"),
        (lambda d: d["studies"][0]["points"][0].update(weights_bytes=0), r"points\.0\.weights_bytes"),
        (lambda d: d["studies"][0]["points"][0].update(agreement_db=math.inf), r"points\.0\.agreement_db"),
        (lambda d: d["studies"][0]["points"][0]["metrics"][0].update(psnr_db=math.nan), r"metrics\.0\.psnr_db"),
        (lambda d: d["studies"].append(d["studies"][0]), r"two studies of one network"),
        (lambda d: d["studies"][0]["points"].append(d["studies"][0]["points"][0]), r"two points selective 'one'"),
        (
            lambda d: d["studies"][0]["points"].extend(
                {**d["studies"][0]["points"][0], "technique": "whole", "words": word} for word in "ab"
            ),
            r"two points of the whole network",
        ),
        (
            lambda d: d["studies"][0]["points"].extend(
                {**d["studies"][0]["points"][0], "release": "r", "words": word} for word in "ab"
            ),
            r"the same release",
        ),
    ],
)
def test_a_damaged_study_is_refused_in_one_sentence(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    path = tmp_path / "study.json"
    save_study(study(point("selective")), path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ModelError, match=sentence) as refused:
        load_study(path)
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "1", '{"schema": 1, "studies": [1]}'])
def test_what_is_no_study_at_all_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"study\.json"):
        load_study(path)


@pytest.mark.parametrize(
    "broken",
    [
        study(point("selective", agreement_db=math.nan)),
        study(point("selective", metrics=(metric(math.inf),))),
        study(point("selective"), point("selective")),
        study(point("selective", sparsity=2.0)),
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, broken: Study) -> None:
    path = tmp_path / "study.json"
    save_study(study(point("selective")), path)
    before = path.read_bytes()
    with pytest.raises(ModelError):
        save_study(broken, path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_a_study_takes_the_place_of_the_one_of_the_same_network(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    first, other = study(point("selective")), study(whole_id="other", family="other")
    for one in (first, other, replace(first, points=())):
        save_study(one, path)
    assert load_study(path) == (replace(first, points=()), other)


def test_points_take_the_place_of_those_of_the_same_words() -> None:
    old = study(point("selective", "5 %"), point("selective-repair", "5 %"))
    new = (point("selective", "5 %", heads=7), point("selective", "10 %"))
    assert put_points(old, new).points == (new[0], old.points[1], new[1])


def test_two_who_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    save_study(study(), path)

    def add(number: int) -> None:
        change_studies(path, lambda now: (put_points(now[0], [point("selective", f"{number} %")]),))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(8)))
    assert {one.words for one in load_study(path)[0].points} == {f"{number} %" for number in range(8)}


def test_a_metric_is_found_by_data_set_and_channels() -> None:
    one = point("selective", metrics=(replace(metric(30.0), channels="rgb"), metric(36.0), metric(31.0, "Kodak24")))
    assert one.metric("Set5") == metric(36.0)
    assert one.metric("Set5", "rgb") == replace(metric(30.0), channels="rgb")
    assert one.metric("Kodak24") == metric(31.0, "Kodak24")
    assert one.metric("Kodak24", "rgb") is None


def test_studies_and_figures_need_no_torch() -> None:
    code = "import sys, zoo.study, zoo.energy, zoo.report, zoo.report.command; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
