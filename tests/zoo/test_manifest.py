import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sr_core.errors import ModelError, UnknownModelError
from zoo.manifest import Manifest, Release, load_manifest, save_manifest
from zoo.workshop.records import put_metrics, put_release


def test_a_manifest_is_read_as_it_was_written(manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    save_manifest(manifest, path)
    assert load_manifest(path) == manifest
    assert list(tmp_path.glob("*.part")) == []


def test_a_release_is_found_by_its_id_and_the_first_is_the_default(manifest: Manifest) -> None:
    assert manifest.release("tiny-x2-drawn-float16") is manifest.default
    with pytest.raises(UnknownModelError, match=r"no model 'huge'; the models are tiny-x2-drawn-float16"):
        manifest.release("huge")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.update(schema=2), "schema number 2; this version reads only 1"),
        (lambda d: d.update(releases=[]), "at least one release"),
        (lambda d: d["releases"].append(d["releases"][0]), "no id twice"),
        (lambda d: d["releases"][0].update(id="other"), "lists 'other', but its record describes 'tiny-x2"),
        (lambda d: d["releases"][0].update(precision="int8"), "says 'int8' where one of float32, float16"),
        (lambda d: d["releases"][0].update(surprise=1), "surprise"),
        (lambda d: d["releases"][0].pop("licence"), "licence"),
        (lambda d: d["releases"][0]["spec"].update(heads=[[2]]), "as many head counts as hidden sizes"),
        (lambda d: d["releases"][0]["files"].clear(), "exactly one weight file"),
        (lambda d: d["releases"][0]["files"][0].update(path="../../etc/passwd"), "not inside its folder"),
        (lambda d: d["releases"][0]["files"][0].update(path="/etc/passwd"), "not inside its folder"),
        (lambda d: d["releases"][0]["files"][0].update(format="pickle"), "says 'pickle'"),
    ],
)
def test_a_damaged_manifest_is_refused_in_one_sentence(
    manifest: Manifest, tmp_path: Path, change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    path = tmp_path / "manifest.json"
    save_manifest(manifest, path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ModelError, match=sentence):
        load_manifest(path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 1}'])
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"manifest\.json"):
        load_manifest(path)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_manifest(tmp_path / "manifest.json")


def test_a_release_takes_the_place_of_the_one_of_its_id(manifest: Manifest, release: Release) -> None:
    assert put_release(manifest, release).releases == (release,)
    other = replace(release, variant=replace(release.variant, family="other"))
    assert [one.id for one in put_release(manifest, other).releases] == [manifest.default.id, other.id]
    assert put_release(None, release).releases == (release,)


def test_scores_take_the_place_of_earlier_ones_on_the_same_data(scored: Release) -> None:
    newer = replace(scored.metrics[0], psnr_db=35.0)
    other = replace(scored.metrics[0], dataset="Kodak24")
    assert put_metrics(scored, (newer, other)).metrics == (newer, other)
    assert put_metrics(scored, (other,)).metrics == (scored.metrics[0], other)
