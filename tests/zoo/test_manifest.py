import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sr_core.errors import ModelError, UnknownModelError
from zoo.manifest import HOME, MANIFEST_PATH, Manifest, json_schema, load_manifest, release_json, save_manifest
from zoo.release import Release
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
        (lambda d: d.update(schema=2), "schema number 2; this version reads only 3"),
        (lambda d: d.update(schema=4), "schema number 4; this version reads only 3"),
        (lambda d: d.update(releases=[]), "at least one release"),
        (lambda d: d["releases"].append(d["releases"][0]), "no id twice"),
        (
            lambda d: d["releases"][0].update(id="other"),
            "says 'other' as the id of a release, but its record .* 'tiny-x2",
        ),
        (lambda d: d["releases"][0].update(scale=3), "says 3 as the scale"),
        (lambda d: d["releases"][0]["resources"][0].update(size=1), "as the resources"),
        (lambda d: d["releases"][0].pop("architecture"), "says None as the architecture"),
        (lambda d: d["releases"][0]["variant"].update(precision="int3"), "precision"),
        (lambda d: d["releases"][0].update(surprise=1), "surprise"),
        (lambda d: d["releases"][0].pop("license"), "license"),
        (lambda d: d["releases"][0]["cost"].update(sparsity=1.5), "sparsity"),
        (lambda d: d["releases"][0]["cost"].update(parameters="many"), "parameters"),
        (lambda d: d["releases"][0].update(date="yesterday"), "date"),
        (lambda d: d["releases"][0]["variant"]["spec"].update(heads=[[2]]), "as many head counts as hidden sizes"),
        (lambda d: d["releases"][0]["variant"]["spec"].update(embed_dim=True), "embed_dim"),
        (
            lambda d: (d["releases"][0]["files"].clear(), d["releases"][0].update(resources=[])),
            "exactly one weight file",
        ),
        (lambda d: d["releases"][0]["files"][0].update(path="../../etc/passwd"), "not inside its folder"),
        (lambda d: d["releases"][0]["files"][0].update(path="/etc/passwd"), "not inside its folder"),
        (lambda d: d["releases"][0]["files"][0].update(format="pickle"), "files.0.format"),
        (lambda d: d["releases"][0]["files"][0].update(sha256="0" * 63), "files.0.sha256"),
        (lambda d: d["releases"][0].update(images=["x"]), "as the images"),
        (lambda d: d["releases"][0].pop("trainingIterations"), "says None as the trainingIterations"),
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


def test_a_package_and_its_description_come_together(manifest: Manifest, packed: Release, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    save_manifest(Manifest(releases=(packed,)), path)
    assert load_manifest(path).default == packed
    for broken in (replace(packed, coreml=None), replace(packed, files=(packed.weights,))):
        save_manifest(Manifest(releases=(broken,)), path)
        with pytest.raises(ModelError, match="just where it describes one"):
            load_manifest(path)


@pytest.mark.parametrize(
    "low",
    [
        {"gate_a_db": 149.0}, {"gate_b_db": 59.0}, {"gate_b_saturated_db": 59.0}, {"gate_b_black_db": 59.0},
        {"screen_db": 49.0}, {"max_lsb": 5},
    ],
)  # fmt: skip
def test_a_package_below_its_floor_is_never_offered(packed: Release, tmp_path: Path, low: dict[str, Any]) -> None:
    assert packed.coreml is not None
    path = tmp_path / "manifest.json"
    poor = replace(packed, coreml=replace(packed.coreml, proof=replace(packed.coreml.proof, **low)))
    save_manifest(Manifest(releases=(poor,)), path)
    with pytest.raises(ModelError, match="did not pass its gates"):
        load_manifest(path)


class TestSchema:
    """The published JSON Schema, asked through another library than the one that reads manifests."""

    def test_the_file_is_what_the_records_say(self) -> None:
        """After a change of the records, put the output of ``python -m zoo list --schema`` there."""
        text = (HOME / "manifest.schema.json").read_text(encoding="utf-8")
        assert json.loads(text) == json.loads(json.dumps(json_schema()))

    def test_what_ships_is_valid(self) -> None:
        jsonschema.Draft202012Validator.check_schema(json_schema())
        jsonschema.Draft202012Validator(json_schema()).validate(json.loads(MANIFEST_PATH.read_text(encoding="utf-8")))

    @pytest.mark.parametrize(
        "change",
        [
            lambda d: d.update(schema=1),
            lambda d: d.update(releases=[]),
            lambda d: d.update(extra=1),
            lambda d: d["releases"][0].update(surprise=1),
            lambda d: d["releases"][0].pop("license"),
            lambda d: d["releases"][0].pop("scale"),
            lambda d: d["releases"][0].update(id="Not An Id"),
            lambda d: d["releases"][0]["resources"][0].update(sha256="x"),
            lambda d: d["releases"][0]["files"][0].update(format="pickle"),
            lambda d: d["releases"][0]["files"][0].update(bytes=0),
            lambda d: d["releases"][0]["cost"].update(sparsity=-0.1),
            lambda d: d["releases"][0]["variant"].update(precision="int3"),
        ],
    )
    def test_it_refuses_what_reading_refuses(
        self, packed: Release, tmp_path: Path, change: Callable[[dict[str, Any]], object]
    ) -> None:
        path = tmp_path / "manifest.json"
        save_manifest(Manifest(releases=(packed,)), path)
        document = json.loads(path.read_text())
        validator = jsonschema.Draft202012Validator(json_schema())
        assert validator.is_valid(document)
        change(document)
        assert not validator.is_valid(document)
        path.write_text(json.dumps(document))
        with pytest.raises(ModelError):
            load_manifest(path)

    @pytest.mark.parametrize("path", ["../../evil", "/etc/passwd", "a/../b", "", ".hidden"])
    def test_names_from_elsewhere_cannot_lead_out_of_a_folder(self, packed: Release, tmp_path: Path, path: str) -> None:
        manifest = tmp_path / "manifest.json"
        save_manifest(Manifest(releases=(packed,)), manifest)
        document = json.loads(manifest.read_text())
        for change in ("name", "contents"):
            record = json.loads(json.dumps(document))
            if change == "name":
                record["releases"][0]["coreml"]["name"] = path
            else:
                record["releases"][0]["coreml"]["contents"][0]["path"] = path
            manifest.write_text(json.dumps(record))
            with pytest.raises(ModelError, match="damaged"):
                load_manifest(manifest)

    def test_a_record_holds_an_openmodeldb_model(self, packed: Release) -> None:
        record = release_json(packed)
        needed = {
            "name": str, "author": str, "license": str, "tags": list, "description": str, "date": str,
            "architecture": str, "size": list, "scale": int, "inputChannels": int, "outputChannels": int,
            "resources": list, "images": list,
        }  # fmt: skip
        assert {key: type(record[key]) for key in needed} == needed
        assert all(resource["urls"] for resource in record["resources"])
        untold = replace(packed, training=replace(packed.training, steps=None))
        assert "trainingIterations" not in release_json(untold)
        assert [one["type"] for one in record["resources"]] == ["safetensors", "mlpackage"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 3}'])
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


def test_references_are_the_nearest_ancestors_that_were_trained() -> None:
    manifest = load_manifest()
    light, quick = (f"swinir-{family}-x2-photos39-float16" for family in ("light", "quick"))
    references = manifest.references
    assert references["swinir-light-x2-photos39-prune50-1mb-mixed-bit"] == light, "also by way of another variant"
    assert references["swinir-quick-x2-photos39-palette4"] == quick
    assert not {light, quick} & references.keys()
    assert references.keys() | {light, quick} == {release.id for release in manifest.releases}
    alone = Manifest(releases=(manifest.release("swinir-quick-x2-photos39-int8"),))
    assert alone.references == {}


def test_a_circle_of_parents_ends_without_a_whole_network() -> None:
    manifest = load_manifest()
    pruned, coarse = (
        manifest.release(f"swinir-light-x2-photos39-{one}") for one in ("prune50-float16", "prune50-1mb-mixed-bit")
    )
    assert coarse.parent == pruned.id
    circle = Manifest(releases=(replace(pruned, parent=coarse.id), coarse))
    assert circle.whole(coarse) is None
    assert circle.references == {}


def test_what_was_grown_from_another_network_is_whole_itself() -> None:
    manifest = load_manifest()
    light, quick = (manifest.release(f"swinir-{family}-x2-photos39-float16") for family in ("light", "quick"))
    grown = replace(light, parent=quick.id)
    assert Manifest(releases=(grown, quick)).references == {}
