"""Building a small family, from its whole network to proven packages."""

import json
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr_core.arch.build import build as build_network
from sr_core.arch.weights import load_weights
from sr_core.coreml.package import unzip_package
from sr_core.coreml.proof import Floors
from sr_core.errors import OptionError, PackageError
from sr_core.spec import Precision, swinir_spec
from tests.peers import randomize
from tests.zoo.conftest import RECIPE
from tests.zoo.workshop.conftest import draw
from zoo import __main__ as command
from zoo.card import model_card
from zoo.manifest import Manifest, load_manifest, save_manifest
from zoo.release import DeviceRecord, Release, TrainingRecord
from zoo.workshop import plans
from zoo.workshop.build import BuildOptions, build
from zoo.workshop.packages import PackageOptions
from zoo.workshop.plans import PlannedVariant, plan, with_heads_removed
from zoo.workshop.proving import ProvingOptions, export_again, verify
from zoo.workshop.records import new_release, store_weights

PLAN = (
    PlannedVariant(words="", recommended_for="all", package="float16"),
    PlannedVariant(words="int8", recommended_for="apps", precision="int8", package="float16"),
    with_heads_removed(1),
    PlannedVariant(words="half zero", recommended_for="contrast", method="magnitude-l1", amount=0.5),
)
IDS = ["tiny-x2-drawn-float16", "tiny-x2-drawn-int8", "tiny-x2-drawn-heads1-float16", "tiny-x2-drawn-sparse50-float16"]
SIX_HEADS = swinir_spec(scale=2, embed_dim=12, depths=(2,), heads=6)
TRAINING = TrainingRecord(data="drawings", steps=7, selected_on="nothing", recipe="by hand")


@pytest.fixture(scope="module", autouse=True)
def any_seam() -> Generator[None]:
    """Random weights look so far around that tiles of 32 pixels show seams."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.workshop.inspection.SEAM_LIMIT", 255.0)
        yield


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuildOptions:
    """A family that was built once; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "photos").mkdir()
    for i in range(2):
        draw(i, 72).save(folder / "photos" / f"{i}.png")
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


def begin(options: BuildOptions, seed: int = 0, precision: Precision = "float16") -> Release:
    """Puts the whole network into the folder."""
    variant = RECIPE.variant(scale=2, trained="drawn", precision=precision)
    module = build_network(variant.spec)
    randomize(module, seed)
    file = store_weights(module, variant, TRAINING, options.home / "builtin")
    release = new_release(RECIPE, variant, file, TRAINING, parent=None)
    save_manifest(Manifest(releases=(release,)), options.home / "manifest.json")
    return release


def proving(options: BuildOptions) -> ProvingOptions:
    return ProvingOptions(home=options.home, photos=options.photos, package=options.package)


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
        assert release.tiling.seam_max is None, "one tile of the page covers these photos"
        assert release.coreml is None or release.coreml.seam_max
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
            assert verify(proving(built), release, release.coreml) == (release.coreml.proof, True)
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
            verify(proving(built), release, release.coreml)
    finally:
        path.write_bytes(sound)


@pytest.mark.parametrize(
    "lie",
    [{"gate_a_db": 199.0}, {"gate_b_db": 120.0}, {"gate_b_saturated_db": 120.0}, {"gate_b_black_db": 120.0},
     {"screen_db": 120.0}, {"max_lsb": 0}],
)  # fmt: skip
def test_figures_that_are_not_found_again_are_refused(built: BuildOptions, lie: dict[str, float]) -> None:
    release = releases(built)[1]
    assert release.coreml is not None
    [name] = lie
    if getattr(release.coreml.proof, name) == lie[name]:
        lie = {name: lie[name] + 1}
    record = replace(release.coreml, proof=replace(release.coreml.proof, **lie))
    with pytest.raises(PackageError, match=f"says {next(iter(lie.values()))} as the {name}"):
        verify(proving(built), release, record)


def test_on_other_photos_figures_are_not_compared(built: BuildOptions, tmp_path: Path) -> None:
    draw(7, 72).save(tmp_path / "other.png")
    release = releases(built)[1]
    assert release.coreml is not None
    proof, is_same = verify(proving(replace(built, photos=tmp_path)), release, release.coreml)
    assert not is_same
    assert proof.tiles_sha256 != release.coreml.proof.tiles_sha256


def test_quantized_weights_are_compared_with_those_before(built: BuildOptions) -> None:
    """Gate B of int8 tells what int8 costs; against its own weights it would tell only what the arithmetic costs."""
    whole, int8 = releases(built)[:2]
    assert whole.coreml is not None
    assert int8.coreml is not None
    assert int8.coreml.proof.gate_b_db < whole.coreml.proof.gate_b_db - 1


class TestFloors:
    """What does not pass leaves nothing behind."""

    UNREACHABLE = Floors(gate_b_natural_db=199.0, gate_b_extreme_db=199.0)

    def test_a_package_that_fails_is_not_made(
        self, built: BuildOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("zoo.workshop.packages.floors_for", lambda *_: self.UNREACHABLE)
        other = replace(built, home=tmp_path, datasets=())
        begin(other)
        monkeypatch.setattr(plans, "PLANS", {"tiny": PLAN[:1]})
        with pytest.raises(PackageError, match="must not be offered"):
            build(other, "tiny", quiet)
        assert list((tmp_path / "builtin").rglob("*.zip*")) == []
        assert releases(other)[0].coreml is None

    def test_a_listed_package_that_fails_is_refused(self, built: BuildOptions, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("zoo.workshop.packages.floors_for", lambda *_: self.UNREACHABLE)
        release = releases(built)[0]
        assert release.coreml is not None
        with pytest.raises(PackageError, match="must not be offered"):
            verify(proving(built), release, release.coreml)

    def test_a_file_inside_that_is_not_the_listed_one_is_refused(self, built: BuildOptions) -> None:
        release = releases(built)[0]
        assert release.coreml is not None
        first, *others = release.coreml.contents
        record = replace(release.coreml, contents=(replace(first, sha256="0" * 64), *others))
        with pytest.raises(PackageError, match="not the one that was proven"):
            verify(proving(built), release, record)

    def test_seams_that_show_are_refused(
        self, built: BuildOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("zoo.workshop.inspection.SEAM_LIMIT", 0.5)
        monkeypatch.setattr(plans, "PLANS", {"tiny": PLAN[:1]})
        other = replace(built, home=tmp_path, datasets=())
        begin(other)
        with pytest.raises(OptionError, match=r"show seams of .* a larger overlap is needed"):
            build(other, "tiny", quiet)
        assert list((tmp_path / "builtin").rglob("*.zip*")) == []


@pytest.mark.parametrize("change", ["tile", "damage", "tool"])
def test_a_package_that_is_not_as_wanted_is_made_again(
    built: BuildOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(plans, "PLANS", {"tiny": PLAN[:1]})
    other = replace(built, home=tmp_path, datasets=())
    begin(other)
    build(other, "tiny", quiet)
    before = releases(other)[0]
    assert before.package is not None
    assert before.coreml is not None
    device = DeviceRecord(
        device="Mac", system="macOS", compute_units="all", milliseconds_per_tile=1.0, date="2026-01-01"
    )
    save_manifest(
        Manifest(releases=(replace(before, coreml=replace(before.coreml, devices=(device,))),)),
        tmp_path / "manifest.json",
    )
    path = tmp_path / "builtin" / before.package.path
    match change:
        case "tile":
            other = replace(other, package=PackageOptions(tile=40, overlap=8))
        case "damage":
            path.write_bytes(b"damaged")
        case _:
            monkeypatch.setattr("zoo.workshop.build.exporter", lambda: "another")
    words: list[str] = []
    build(other, "tiny", lambda _, said, *, done, total: words.append(said))
    assert any(said.startswith("package of") for said in words)
    now = releases(other)[0].coreml
    assert now is not None
    assert now.tile == (40 if change == "tile" else 32)
    assert now.devices == (() if change == "tile" else (device,)), "kept for the same package, dropped for another"
    assert [found.name for found in path.parent.iterdir()] == [f"{now.name}.mlpackage.zip"]


def test_what_is_said_of_the_whole_network_reaches_its_variants(
    built: BuildOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "PLANS", {"tiny": (PLAN[0], PLAN[2])})
    other = replace(built, home=tmp_path, datasets=())
    whole = begin(other)
    build(other, "tiny", quiet)
    tiling = replace(whole.tiling, tile=64)
    listed = releases(other)
    changed = replace(listed[0], tiling=tiling, license_chain=whole.license_chain[:1])
    save_manifest(Manifest(releases=(changed, listed[1])), tmp_path / "manifest.json")
    build(other, "tiny", quiet)
    assert releases(other)[1].license_chain == whole.license_chain[:1]
    assert releases(other)[1].tiling.tile == 64


def test_a_float32_network_can_be_whole(built: BuildOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "PLANS", {"tiny": tuple(replace(one, package=None) for one in PLAN)})
    other = replace(built, home=tmp_path, datasets=())
    begin(other, precision="float32")
    build(other, "tiny", quiet)
    assert [release.id for release in releases(other)] == [one.replace("float16", "float32") for one in IDS]


@pytest.mark.usefixtures("plan_of_tiny")
def test_a_second_build_makes_nothing_and_a_fresh_one_makes_the_same_bytes(built: BuildOptions) -> None:
    before, document = hashes(built), (built.home / "manifest.json").read_text()
    words: list[str] = []
    build(built, "tiny", lambda _, said, *, done, total: words.append(said))
    assert {said for said in words if "there" not in said} <= {
        "the whole network", "no package planned", "the photos are too small to show seams", "no new scores",
    }  # fmt: skip
    assert (built.home / "manifest.json").read_text() == document
    build(replace(built, is_fresh=True), "tiny", quiet)
    assert hashes(built) == before
    assert json.loads((built.home / "manifest.json").read_text()) == json.loads(document)


@pytest.mark.usefixtures("plan_of_tiny")
def test_a_build_keeps_the_default(built: BuildOptions) -> None:
    manifest = load_manifest(built.home / "manifest.json")
    assert manifest.default_id == IDS[0]
    save_manifest(replace(manifest, default_id=IDS[2]), built.home / "manifest.json")
    build(built, "tiny", quiet)
    assert load_manifest(built.home / "manifest.json").default_id == IDS[2]
    save_manifest(manifest, built.home / "manifest.json")


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
def test_other_weights_are_not_taken_for_the_old_ones(
    built: BuildOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "PLANS", {"tiny": (PLAN[0], *PLAN[2:])})  # random weights of any seed bear float16
    other = replace(built, home=tmp_path, datasets=())
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
            assert verify(proving(other), release, release.coreml) == (release.coreml.proof, True)


@pytest.mark.slow
@pytest.mark.parametrize("compute", ["float32", "float32-stored-float16", "mixed"])
def test_another_arithmetic_is_exported_and_proven(built: BuildOptions, tmp_path: Path, compute: str) -> None:
    whole = releases(built)[0]
    file, record = export_again(proving(built), whole, compute, tmp_path)  # type: ignore[arg-type]
    assert record.compute == compute
    assert record.proof.gate_b_db > {"float32": 100, "float32-stored-float16": 70, "mixed": 60}[compute]
    assert unzip_package(tmp_path / file.path, tmp_path).name == f"{record.name}.mlpackage"
    assert releases(built)[0] == whole


def test_photos_smaller_than_a_tile_are_refused(built: BuildOptions, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "small.png")
    with pytest.raises(OptionError, match="The photo small is smaller than a tile of 32 pixels"):
        export_again(proving(replace(built, photos=tmp_path)), releases(built)[0], "float32", tmp_path)


def test_a_family_that_is_not_there_is_named(built: BuildOptions) -> None:
    with pytest.raises(OptionError, match="no whole network of the family 'huge'; there are tiny"):
        build(built, "huge", quiet)


class TestCommands:
    """What the functions above do, from the command line."""

    def test_verify_tells_every_figure(self, built: BuildOptions, capsys: pytest.CaptureFixture[str]) -> None:
        photos = ["--photos", str(built.photos)]
        assert command.main(["--home", str(built.home), "verify", *photos]) == 0
        said = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in said] == [
            "TinyX2DrawnFloat16_T32", "TinyX2DrawnInt8_T32", IDS[2], IDS[3],
        ]  # fmt: skip
        proof = releases(built)[1].coreml
        assert proof is not None
        assert f"gate A {proof.proof.gate_a_db:.1f} dB; gate B {proof.proof.gate_b_db:.1f} natural" in said[1]
        assert "no package" in said[2]

    def test_a_package_can_be_made_for_other_tiles(
        self, built: BuildOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asked = ["export", IDS[0], "--out", str(tmp_path), "--compute", "float32", "--photos", str(built.photos)]
        assert command.main(["--home", str(built.home), *asked]) == 0
        assert "gate A 200.0 dB" in capsys.readouterr().out
        assert [path.name for path in (tmp_path / "coreml").iterdir()] == ["TinyX2DrawnFloat16_T64.mlpackage.zip"]

    @pytest.mark.usefixtures("plan_of_tiny")
    def test_build_tells_the_stages_and_the_table(
        self, built: BuildOptions, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = ["--photos", str(built.photos), "--family", "tiny"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("zoo.workshop.commands.PackageOptions", lambda tile: built.package)
            assert command.main(["--home", str(built.home), "build", *options]) == 0
        out = capsys.readouterr()
        assert all(release_id in out.out for release_id in IDS)
        assert "package is there" in out.out + out.err

    def test_models_are_timed_in_turn(self, built: BuildOptions, capsys: pytest.CaptureFixture[str]) -> None:
        asked = ["speed", IDS[2], IDS[0], "--machine", "a test", "--side", "24", "--rounds", "2"]
        before = releases(built)
        assert command.main(["--home", str(built.home), *asked, "--dry-run"]) == 0
        assert releases(built) == before
        header, first, second = capsys.readouterr().out.splitlines()
        assert IDS[2] in header
        assert first.startswith(IDS[2])
        assert "1.00 [1.00-1.00]" in first
        assert second.startswith(IDS[0])

    def test_a_card_is_printed(self, built: BuildOptions, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["--home", str(built.home), "card", IDS[1]]) == 0
        assert capsys.readouterr().out.rstrip() == model_card(releases(built)[1]).rstrip()


class TestPlans:
    def test_what_ships_is_planned_in_order(self) -> None:
        for family in plans.PLANS:
            whole = replace(RECIPE.variant(scale=2, trained="x", precision="float16"), family=family, spec=SIX_HEADS)
            ids = [one.id(whole) for one in plan(whole)]
            assert len(set(ids)) == len(ids)

    def test_heads_can_be_chosen(self) -> None:
        def removed(family: str, *heads: int) -> list[float]:
            whole = replace(RECIPE.variant(scale=2, trained="x", precision="float16"), family=family, spec=SIX_HEADS)
            return [one.amount for one in plan(whole, heads or None) if one.method == "heads-l1"]

        assert removed("swinir-quick", 0, 2, 6) == [2, 6]
        assert removed("swinir-light", 3) == [3]
        assert removed("another") == [1, 2, 3, 4, 5, 6]
        with pytest.raises(OptionError, match="up to 6 heads in a block, so 0 to 6 can go"):
            removed("another", 7)

    def test_no_more_heads_go_than_there_are(self) -> None:
        two = RECIPE.variant(scale=2, trained="x", precision="float16")
        assert [one.amount for one in plan(two) if one.method == "heads-l1"] == [1, 2]
