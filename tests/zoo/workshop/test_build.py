"""Building a small family, from its whole network to proven packages."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr_core.arch.build import build as build_network
from sr_core.arch.weights import load_weights
from sr_core.coreml.package import unzip_package
from sr_core.errors import OptionError, PackageError
from tests.peers import randomize
from tests.zoo.conftest import RECIPE
from tests.zoo.workshop.conftest import draw
from zoo.card import model_card
from zoo.manifest import Manifest, load_manifest, save_manifest
from zoo.release import Release, TrainingRecord
from zoo.workshop import plans
from zoo.workshop.build import BuildOptions, build, export_again, verify
from zoo.workshop.packages import PackageOptions
from zoo.workshop.plans import PlannedVariant, plan, with_heads_removed
from zoo.workshop.records import new_release, store_weights

PLAN = (
    PlannedVariant(words="", recommended_for="all", package="float16"),
    PlannedVariant(words="int8", recommended_for="apps", precision="int8", package="float16"),
    with_heads_removed(1),
    PlannedVariant(words="half zero", recommended_for="contrast", method="magnitude-l1", amount=0.5),
)
IDS = ["tiny-x2-drawn-float16", "tiny-x2-drawn-int8", "tiny-x2-drawn-heads1-float16", "tiny-x2-drawn-sparse50-float16"]
TRAINING = TrainingRecord(data="drawings", steps=7, selected_on="nothing", recipe="by hand")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuildOptions:
    """A family that was built once; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "photos").mkdir()
    for i in range(2):
        draw(i, 48).save(folder / "photos" / f"{i}.png")
    options = BuildOptions(
        home=folder,
        photos=folder / "photos",
        datasets=(folder / "photos",),
        package=PackageOptions(tile=32, overlap=8),
    )
    begin(options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "PLANS", {"tiny": PLAN})
        build(options, "tiny", quiet)
    return options


def begin(options: BuildOptions, seed: int = 0) -> Release:
    """Puts the whole network into the folder."""
    variant = RECIPE.variant(scale=2, trained="drawn", precision="float16")
    module = build_network(variant.spec)
    randomize(module, seed)
    file = store_weights(module, variant, TRAINING, options.home / "builtin")
    release = new_release(RECIPE, variant, file, TRAINING, parent=None)
    save_manifest(Manifest(releases=(release,)), options.home / "manifest.json")
    return release


def quiet(_release_id: str, _words: str, *, done: int, total: int) -> None:
    assert done <= total


def releases(options: BuildOptions) -> Sequence[Release]:
    return load_manifest(options.home / "manifest.json").releases


def hashes(options: BuildOptions) -> dict[str, str]:
    return {file.path: file.sha256 for release in releases(options) for file in release.files}


@pytest.fixture
def plan_of_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "PLANS", {"tiny": PLAN})


def test_every_variant_is_there_with_what_was_measured(built: BuildOptions) -> None:
    listed = releases(built)
    assert [release.id for release in listed] == IDS
    whole, int8, pruned, sparse = listed
    assert [release.parent for release in listed] == [None, whole.id, whole.id, whole.id]
    assert int8.compression is not None
    assert int8.compression.parent_sha256 == whole.weights.sha256
    for release in listed:
        assert {metric.dataset for metric in release.metrics} == {"photos"}
        assert release.tiling.seam_max is not None
        assert (built.home / "builtin" / f"{release.id}.md").read_text() == model_card(release)
        load_weights(built.home / "builtin" / release.weights.path, release.variant)
    assert [release.coreml is not None for release in listed] == [True, True, False, False]
    assert (pruned.variant.spec.heads, whole.variant.spec.heads) == (((1, 1), (1,)), ((2, 2), (2,)))
    assert pruned.compression is not None
    assert [len(block) for stage in pruned.compression.removed_heads for block in stage] == [1, 1, 1]
    assert whole.cost.sparsity == int8.cost.sparsity == 0
    assert 0 < pruned.cost.sparsity < 1
    linear = sum(layer.weight.numel() for layer in modules_of(built, sparse) if isinstance(layer, torch.nn.Linear))
    assert sparse.cost.sparsity == pytest.approx(linear / 2 / whole.parameters, rel=0.02)
    assert sparse.parameters == whole.parameters


def modules_of(options: BuildOptions, release: Release) -> list[torch.nn.Module]:
    return list(load_weights(options.home / "builtin" / release.weights.path, release.variant).modules())


def test_packages_pass_their_gates_again(built: BuildOptions) -> None:
    for release in releases(built):
        if release.coreml is not None:
            assert verify(built, release, release.coreml) == release.coreml.proof
            assert release.coreml.proof.reference == IDS[0]
            assert release.coreml.proof.gate_a_db >= 90


def test_a_damaged_package_is_refused(built: BuildOptions, tmp_path: Path) -> None:
    release = releases(built)[0]
    assert release.package is not None
    assert release.coreml is not None
    path = built.home / "builtin" / release.package.path
    sound = path.read_bytes()
    try:
        path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
        with pytest.raises(PackageError, match="damaged"):
            verify(built, release, release.coreml)
    finally:
        path.write_bytes(sound)


@pytest.mark.usefixtures("plan_of_tiny")
def test_a_second_build_makes_nothing_and_a_fresh_one_makes_the_same_bytes(built: BuildOptions) -> None:
    before, document = hashes(built), (built.home / "manifest.json").read_text()
    words: list[str] = []
    build(built, "tiny", lambda _, said, *, done, total: words.append(said))
    assert {said for said in words if "there" not in said} <= {
        "the whole network", "no package planned", "seams are known", "no new scores",
    }  # fmt: skip
    assert (built.home / "manifest.json").read_text() == document
    build(replace(built, is_fresh=True), "tiny", quiet)
    assert hashes(built) == before
    assert json.loads((built.home / "manifest.json").read_text()) == json.loads(document)


def test_new_words_of_a_plan_reach_what_is_there(built: BuildOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    before = hashes(built)
    other = replace(PLAN[2], recommended_for="something else")
    monkeypatch.setattr(plans, "PLANS", {"tiny": (*PLAN[:2], other, *PLAN[3:])})
    build(built, "tiny", quiet)
    assert [release.recommended_for for release in releases(built)][2] == "something else"
    assert hashes(built) == before
    monkeypatch.setattr(plans, "PLANS", {"tiny": PLAN})
    build(built, "tiny", quiet)


@pytest.mark.slow
@pytest.mark.usefixtures("plan_of_tiny")
def test_other_weights_are_not_taken_for_the_old_ones(built: BuildOptions, tmp_path: Path) -> None:
    other = replace(built, home=tmp_path, datasets=(), photos=built.photos)
    begin(other)
    build(other, "tiny", quiet)
    first = hashes(other)
    listed = list(releases(other))
    listed[0] = begin(other, seed=1)
    save_manifest(Manifest(releases=tuple(listed)), other.home / "manifest.json")
    build(other, "tiny", quiet)
    assert all(first[path] != sha256 for path, sha256 in hashes(other).items())
    for release in releases(other):
        if release.coreml is not None:
            assert verify(other, release, release.coreml) == release.coreml.proof


@pytest.mark.slow
@pytest.mark.parametrize("compute", ["float32", "float32-stored-float16", "mixed"])
def test_another_arithmetic_is_exported_and_proven(built: BuildOptions, tmp_path: Path, compute: str) -> None:
    whole = releases(built)[0]
    file, record = export_again(built, whole, compute, tmp_path)  # type: ignore[arg-type]
    assert record.compute == compute
    assert record.proof.gate_b_db > {"float32": 100, "float32-stored-float16": 70, "mixed": 60}[compute]
    assert unzip_package(tmp_path / file.path, tmp_path).name == f"{record.name}.mlpackage"
    assert releases(built)[0] == whole


def test_photos_smaller_than_a_tile_are_refused(built: BuildOptions, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "small.png")
    with pytest.raises(OptionError, match="The photo small is smaller than a tile of 32 pixels"):
        export_again(replace(built, photos=tmp_path), releases(built)[0], "float32", tmp_path)


def test_a_family_that_is_not_there_is_named(built: BuildOptions) -> None:
    with pytest.raises(OptionError, match="no whole network of the family 'huge'; there are tiny"):
        build(built, "huge", quiet)


class TestPlans:
    def test_what_ships_is_planned_in_order(self) -> None:
        for family in plans.PLANS:
            ids = [one.variant(RECIPE.variant(scale=2, trained="x", precision="float16")).id for one in plan(family)]
            assert len(set(ids)) == len(ids)

    def test_heads_can_be_chosen(self) -> None:
        chosen = plan("swinir-quick", (0, 2, 6))
        assert [one.amount for one in chosen if one.method == "heads-l1"] == [2, 6]
        assert [one.amount for one in plan("swinir-light", (3,)) if one.method == "heads-l1"] == [3]
        assert [one.amount for one in plan("another") if one.method == "heads-l1"] == [1, 2, 3, 4, 5, 6]

    def test_coarser_weights_need_float_ones_before_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(plans, "PLANS", {"odd": PLAN[1:]})
        with pytest.raises(OptionError, match="before it is built as float16"):
            plan("odd")
