import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sr_core.errors import ModelError, UnknownModelError
from zoo.manifest import HOME, MANIFEST_PATH, Manifest, json_schema, load_manifest, release_json, save_manifest
from zoo.release import CompressionRecord, Release
from zoo.workshop.records import put_metrics, put_release


def test_a_manifest_is_read_as_it_was_written(manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    save_manifest(manifest, path)
    assert load_manifest(path) == manifest
    assert list(tmp_path.glob("*.part")) == []


def test_the_default_is_what_is_named_or_else_the_first(manifest: Manifest, tmp_path: Path) -> None:
    first = manifest.releases[0]
    second = replace(first, variant=replace(first.variant, trained="again"))
    assert Manifest(releases=(first, second)).default == first
    named = Manifest(releases=(first, second), default_id=second.id)
    assert named.default == second
    save_manifest(named, tmp_path / "manifest.json")
    assert load_manifest(tmp_path / "manifest.json") == named
    assert put_release(named, replace(first, label="new")).default == second
    assert put_release(named, replace(first, variant=replace(first.variant, trained="other"))).default == second
    with pytest.raises(ModelError, match="The default model 'huge' is not one of those"):
        Manifest(releases=(first,), default_id="huge")


def test_what_ships_by_default_is_faster_than_its_whole_network_which_stands_first() -> None:
    manifest = load_manifest()
    whole = manifest.whole(manifest.default)
    assert whole == manifest.releases[0]
    assert manifest.default.cost.macs_per_megapixel < 0.6 * whole.cost.macs_per_megapixel
    for dataset in ("Set5", "Kodak24"):
        scores = [release.metric(dataset) for release in (manifest.default, whole)]
        assert all(scores)
        assert scores[0].psnr_db > scores[1].psnr_db - 0.05  # type: ignore[union-attr]


def test_a_release_is_found_by_its_id(manifest: Manifest) -> None:
    assert manifest.release("tiny-x2-drawn-float16") is manifest.default
    with pytest.raises(UnknownModelError, match=r"no model 'huge'; the models are tiny-x2-drawn-float16"):
        manifest.release("huge")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.update(schema=3), "schema number 3; this version reads only 4"),
        (lambda d: d.update(schema=5), "schema number 5; this version reads only 4"),
        (lambda d: d.update(more=1), "holds more than its schema number, default and releases"),
        (lambda d: d.pop("default"), "damaged: 'default'"),
        (lambda d: d.update(default="huge"), "names 'huge' as its default, but does not list that"),
        (lambda d: d.update(default=["huge"]), r"names \['huge'\] as its default"),
        (lambda d: d.update(default=""), "names '' as its default"),
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
            lambda d: d.pop("default"),
            lambda d: d.update(default="Not An Id"),
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


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 4}'])
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


LIGHT = "swinir-light-x2-photos39"


class TestRemoval:
    """What a record says was removed leads from the parent's network to the release's own."""

    @staticmethod
    def listed(tmp_path: Path, *releases: Release) -> Path:
        path = tmp_path / "manifest.json"
        save_manifest(Manifest(releases=releases), path)
        return path

    @staticmethod
    def pair(name: str, parent: str = "float16") -> tuple[Release, Release, CompressionRecord]:
        """A parent, what was made of it, and the record of how."""
        manifest = load_manifest()
        child = manifest.release(f"{LIGHT}-{name}")
        assert child.compression is not None
        assert child.parent == f"{LIGHT}-{parent}"
        return manifest.release(child.parent), child, child.compression

    def refused(self, tmp_path: Path, parent: Release, child: Release, **changes: Any) -> str:
        assert child.compression is not None
        wrong = replace(child, compression=replace(child.compression, **changes))
        with pytest.raises(ModelError) as caught:
            load_manifest(self.listed(tmp_path, parent, wrong))
        assert str(caught.value).count("\n") == 0
        assert child.id in str(caught.value)
        return str(caught.value)

    @pytest.mark.parametrize("kind", ["removed_heads", "removed_units"])
    @pytest.mark.parametrize(
        "change",
        [
            lambda block: (*block, block[0]),
            lambda block: (*block[1:], 10_000),
            lambda block: (*block[1:], 120),
            lambda block: (*block[2:], block[2], block[2]),
        ],
        ids=["twice", "far beyond", "one beyond", "another twice"],
    )
    def test_numbers_that_the_parent_does_not_have_are_refused(
        self, tmp_path: Path, kind: str, change: Callable[[tuple[int, ...]], tuple[int, ...]]
    ) -> None:
        parent, child, done = self.pair("prune50-float16")
        blocks = getattr(done, kind)
        assert len(blocks[2][1]) > 2
        wrong = (*blocks[:2], (blocks[2][0], change(blocks[2][1]), *blocks[2][2:]), *blocks[3:])
        assert "does not have" in self.refused(tmp_path, parent, child, **{kind: wrong})

    def test_the_last_head_and_unit_that_are_there_can_go(self, tmp_path: Path) -> None:
        parent, child, done = self.pair("prune50-float16")
        assert 5 in done.removed_heads[2][0]
        assert max(max(block, default=0) for stage in done.removed_units for block in stage) == 119
        assert load_manifest(self.listed(tmp_path, parent, child)).release(child.id) == child

    @pytest.mark.parametrize("kind", ["removed_heads", "removed_units"])
    @pytest.mark.parametrize("where", ["stages", "blocks"])
    def test_another_number_of_blocks_is_refused(self, tmp_path: Path, kind: str, where: str) -> None:
        parent, child, done = self.pair("prune50-float16")
        blocks = getattr(done, kind)
        wrong = blocks[:-1] if where == "stages" else (blocks[0][:-1], *blocks[1:])
        assert "does not have" in self.refused(tmp_path, parent, child, **{kind: wrong})

    @pytest.mark.parametrize("kind", ["removed_heads", "removed_units"])
    def test_fewer_or_more_than_are_gone_are_refused(self, tmp_path: Path, kind: str) -> None:
        parent, child, done = self.pair("prune50-float16")
        first, *others = getattr(done, kind)
        fewer, more = (*first[:-1], first[-1][1:]), ((*first[0], 0), *first[1:])
        for stage in (fewer, more):
            assert "does not lead to" in self.refused(tmp_path, parent, child, **{kind: (stage, *others)})
        assert "does not lead to" in self.refused(tmp_path, parent, child, **{kind: ()})

    def test_stages_go_only_once_and_altogether(self, tmp_path: Path) -> None:
        parent, child, done = self.pair("prune75-float16")
        assert done.removed_stages == (2, 3)
        for stages in ((2, 3, 3), (2, 4), (2, 3, 4)):
            assert "does not have" in self.refused(tmp_path, parent, child, removed_stages=stages)
        for stages in ((0, 3), (1, 2, 3)):
            assert "not altogether" in self.refused(tmp_path, parent, child, removed_stages=stages)
        for stages in ((), (2,), (3,)):
            assert "does not lead to" in self.refused(tmp_path, parent, child, removed_stages=stages)
        for kind in ("removed_heads", "removed_units"):
            kept = getattr(done, kind)
            half = (*kept[:3], (kept[3][0][1:], *kept[3][1:]))
            assert "not altogether" in self.refused(tmp_path, parent, child, **{kind: half})

    def test_the_rest_of_the_network_is_the_parents(self, tmp_path: Path) -> None:
        parent, child, _ = self.pair("prune50-float16")
        spec = replace(parent.variant.spec, features=parent.variant.spec.features + 1)
        other = replace(parent, variant=replace(parent.variant, spec=spec))
        assert "does not lead to" in self.refused(tmp_path, other, child)

    def test_what_removes_nothing_lists_nothing_and_leaves_the_network(self, tmp_path: Path) -> None:
        for name, origin in (("palette4", "float16"), ("prune50-1mb-mixed-bit", "prune50-float16")):
            parent, child, _ = self.pair(name, origin)
            for change in ({"removed_heads": (((0,),),)}, {"removed_units": (((0,),),)}, {"removed_stages": (1,)}):
                assert "removes nothing" in self.refused(tmp_path, parent, child, **change)
            smaller = load_manifest().release(f"{LIGHT}-heads5-float16").variant.spec
            other = replace(parent, variant=replace(parent.variant, spec=smaller), compression=None)
            assert "does not lead to" in self.refused(tmp_path, other, child)

    def test_what_was_taught_repeats_its_parents_record(self, tmp_path: Path) -> None:
        parent, child, done = self.pair("prune75d-float16", "prune75-float16")
        assert load_manifest(self.listed(tmp_path, parent, child)).release(child.id) == child
        [first, *others] = done.removed_heads
        for change in (
            {"removed_heads": ((first[1], first[0], *first[2:]), *others[::-1])},
            {"removed_units": done.removed_units[::-1]},
            {"removed_stages": (3, 2)},
        ):
            assert "must repeat" in self.refused(tmp_path, parent, child, **change)
        assert "must repeat" in self.refused(tmp_path, replace(parent, compression=None), child)
        whole = load_manifest().release(f"{LIGHT}-float16").variant.spec
        bigger = replace(child, variant=replace(child.variant, spec=whole))
        assert "does not lead to" in self.refused(tmp_path, parent, bigger)

    def test_a_parent_that_is_not_listed_or_was_made_again_explains_nothing(self, tmp_path: Path) -> None:
        parent, child, done = self.pair("prune50-float16")
        wrong = replace(child, compression=replace(done, removed_heads=()))
        assert load_manifest(self.listed(tmp_path, wrong)).releases == (wrong,)
        again = replace(parent, files=(replace(parent.weights, sha256="0" * 64), *parent.files[1:]))
        assert load_manifest(self.listed(tmp_path, again, wrong)).releases == (again, wrong)

    def test_negative_numbers_are_refused_in_any_case(self, tmp_path: Path) -> None:
        _, child, done = self.pair("heads5-float16")
        [first, *others] = done.removed_heads
        wrong = replace(child, compression=replace(done, removed_heads=(((-1,), *first[1:]), *others)))
        with pytest.raises(ModelError, match="greater than or equal to 0"):
            load_manifest(self.listed(tmp_path, wrong))
