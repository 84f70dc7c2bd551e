"""Building what is pruned selectively, distilled, and stored in mixed formats; and what stays as it is."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sr_core.arch.storage import has_choice
from sr_core.arch.weights import load_weights
from sr_core.compress.fold import fold_norms
from sr_core.errors import ModelError, OptionError, PackageError
from sr_core.spec import swinir_spec
from tests.zoo.conftest import RECIPE
from tests.zoo.workshop.conftest import draw
from tests.zoo.workshop.test_build import begin, hashes, proving, releases
from zoo import __main__ as command
from zoo.card import model_card
from zoo.manifest import Manifest, load_manifest, save_manifest
from zoo.release import Release
from zoo.workshop import derivation, plans
from zoo.workshop.build import BuildOptions, build
from zoo.workshop.calibration import CalibrationOptions
from zoo.workshop.distill import DistillOptions
from zoo.workshop.packages import PackageOptions
from zoo.workshop.photos import hash_photos
from zoo.workshop.plans import PlannedVariant, mixed, plan, pruned
from zoo.workshop.proving import verify

WHOLE = PlannedVariant(words="", recommended_for="all")
PRUNED = pruned(0.2, "small apps", package=None)
TAUGHT = pruned(0.2, "small apps", is_distilled=True, package=None)
MIXED = mixed(TAUGHT, 200_000, "tiny apps")
PLAN = (WHOLE, PRUNED, TAUGHT, MIXED)
IDS = [
    f"tiny-x2-drawn-{name}" for name in ("float16", "prune20-float16", "prune20d-float16", "prune20d-0.2mb-mixed-bit")
]


@pytest.fixture(scope="module", autouse=True)
def any_seam() -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.workshop.inspection.SEAM_LIMIT", 255.0)
        yield


def options_in(folder: Path) -> BuildOptions:
    photos = folder / "photos"
    photos.mkdir()
    for i in range(2):
        draw(i, 72).save(photos / f"{i}.png")
    return BuildOptions(
        home=folder,
        photos=photos,
        package=PackageOptions(tile=32, overlap=8),
        calibration=CalibrationOptions(photos=photos, tiles=4, side=16, words="two drawings"),
        finetune=DistillOptions(photos=photos, steps=4, batch=2, patch=16, warmup=1, words="the same two"),
    )


def built(options: BuildOptions, plan: tuple[PlannedVariant, ...] = PLAN) -> list[str]:
    """Builds the family and returns what was said of each variant's weights."""
    said: dict[str, str] = {}

    def report(release_id: str, words: str, *, done: int, total: int) -> None:
        assert done <= total
        if "weights" in words or "left out" in words:
            said[release_id] = words

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "PLANS", {"tiny": plan})
        build(options, "tiny", report)
    return list(said.values())


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> BuildOptions:
    """A family that was built once; tests that change it take a copy."""
    options = options_in(tmp_path_factory.mktemp("zoo"))
    begin(options)
    built(options)
    return options


@pytest.fixture
def copied(family: BuildOptions, tmp_path: Path) -> BuildOptions:
    """The same files in a folder of their own."""
    for path in family.home.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(family.home)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return replace(family, home=tmp_path)


def test_each_is_made_from_the_one_before_and_says_how(family: BuildOptions) -> None:
    whole, smaller, taught, coarse = listed = releases(family)
    assert [release.id for release in listed] == IDS
    assert [release.parent for release in listed] == [None, *IDS[:3]]
    for release, parent in zip(listed[1:], listed, strict=False):
        assert release.compression is not None
        assert release.compression.parent_sha256 == parent.weights.sha256
    assert smaller.compression is not None
    assert taught.compression is not None
    assert coarse.compression is not None
    assert smaller.cost.sparsity >= 0.2
    assert smaller.compression.method == taught.compression.method == "selective"
    assert (smaller.compression.amount, smaller.compression.measure) == (0.2, "parameters")
    assert smaller.compression.is_repaired
    gone = [sum(len(block) for stage in kind for block in stage) for kind in
            (smaller.compression.removed_heads, smaller.compression.removed_units)]  # fmt: skip
    assert gone == [
        sum(map(sum, whole.variant.spec.heads)) - sum(map(sum, smaller.variant.spec.heads)),
        sum(map(sum, whole.variant.spec.hidden)) - sum(map(sum, smaller.variant.spec.hidden)),
    ]
    assert smaller.compression.finetune is None
    assert taught.compression.finetune is not None
    assert (taught.compression.finetune.steps, taught.compression.finetune.photos) == (4, "the same two")
    assert taught.compression.removed_heads == smaller.compression.removed_heads
    assert taught.variant.spec == smaller.variant.spec
    assert taught.weights.sha256 != smaller.weights.sha256
    assert coarse.compression.calibration is not None
    assert coarse.compression.calibration.photos == "two drawings"
    assert (coarse.compression.method, coarse.compression.amount) == ("mixed-bit", 200_000)
    load_weights(family.home / "builtin" / coarse.weights.path, coarse.variant)


def test_the_package_of_mixed_formats_keeps_its_budget_and_passes_its_gates(family: BuildOptions) -> None:
    coarse = releases(family)[3]
    assert coarse.coreml is not None
    assert coarse.coreml.compact_bias
    assert coarse.coreml.package_bytes <= 200_000
    assert coarse.coreml.proof.reference == IDS[2], "compared with what was quantized"
    assert verify(proving(family), coarse, coarse.coreml) == (coarse.coreml.proof, True)


def test_the_cards_say_all_of_it(family: BuildOptions) -> None:
    _, smaller, taught, coarse = releases(family)
    card = model_card(smaller)
    assert "20% of the parameters removed, those that calibration pictures miss least" in card
    assert "| Calibrated on | 4 tiles of 16 × 16 pixels from two drawings |" in card
    assert "Taught by the whole network" not in card
    card = model_card(taught)
    assert "| Taught by the whole network | 4 steps on the same two, without their originals;" in card
    assert taught.description.count("removed") == 1, "what is repeated in the record is said once"
    card = model_card(coarse)
    assert "each layer stored as coarsely as it bears (experimental), for a package of at most 0.20 MB:" in card
    assert "position biases as tables" in card
    assert "removed" in coarse.description
    assert "taught by the whole network for 4 steps" in coarse.description


def test_a_second_build_makes_nothing(copied: BuildOptions) -> None:
    before = (copied.home / "manifest.json").read_text()
    assert [words.split(";")[0] for words in built(copied)] == ["weights are there"] * 3
    assert (copied.home / "manifest.json").read_text() == before


@pytest.mark.slow
def test_a_fresh_build_makes_the_same_bytes(copied: BuildOptions) -> None:
    before = hashes(copied)
    assert built(replace(copied, is_fresh=True)) == ["the same weights again"] * 3
    assert hashes(copied) == before


def test_without_finetune_and_calibration_what_is_there_stays(copied: BuildOptions) -> None:
    before = hashes(copied)
    plain = replace(copied, calibration=None, finetune=None, is_fresh=True)
    draw(7, 192).save(copied.home / "photos" / "9.png")  # by default, it would be calibrated on other photos now
    plain = replace(plain, photos=copied.home / "photos")
    said = built(plain, PLAN[:3])
    assert said[0] == "weights are there; calibrated on two drawings; made again only with --calibration"
    assert said[1] == "weights are there; distilled again only with --finetune"
    assert {path: sha256 for path, sha256 in hashes(plain).items() if path in before} == before


def test_without_finetune_what_needs_it_is_left_out(tmp_path: Path) -> None:
    options = replace(options_in(tmp_path), finetune=None)
    begin(options)
    assert built(options)[1:] == [
        "left out, because it is distilled only with --finetune",
        "left out, because what it is made from is not there",
    ]
    assert [release.id for release in releases(options)] == IDS[:2]


def test_another_parent_is_told_and_taught_again_when_asked(copied: BuildOptions) -> None:
    other = replace(copied, calibration=CalibrationOptions(photos=copied.photos, tiles=6, side=16), finetune=None)
    before = hashes(copied)
    said = built(other, PLAN[:3])
    assert said[0].startswith("weights of")
    assert said[1].startswith("weights are there; made from another parent than is listed")
    said = built(replace(other, finetune=copied.finetune), PLAN[:3])
    assert said[1].startswith("weights of")
    now = hashes(copied)
    assert all(now[f"{IDS[i]}.safetensors"] != before[f"{IDS[i]}.safetensors"] for i in (1, 2))


def test_another_recipe_is_taught_again(copied: BuildOptions) -> None:
    assert copied.finetune is not None
    said = built(replace(copied, finetune=replace(copied.finetune, steps=5)), PLAN[:3])
    assert said[0] == "weights are there"
    assert said[1].startswith("weights of")


def test_an_unfinished_distillation_waits_in_its_folder(tmp_path: Path) -> None:
    options = options_in(tmp_path)
    begin(options)
    built(replace(options, runs=tmp_path / "runs"), PLAN[:3])
    assert (tmp_path / "runs" / IDS[2] / "distill.pt").is_file()


@pytest.mark.slow
def test_a_package_over_its_budget_is_refused_and_leaves_nothing(copied: BuildOptions) -> None:
    before = {path.name for path in (copied.home / "builtin" / "coreml").iterdir()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.workshop.derivation.BitBudget", lambda package_bytes, tile: None)
        patch.setattr("zoo.workshop.derivation.quantize_selective", _as_float16)
        small = replace(MIXED, package_budget=20_000)
        with pytest.raises(PackageError, match=r"takes [\d,]+ bytes, more than the 20,000 that were planned"):
            built(copied, (*PLAN[:3], small))
    assert {path.name for path in (copied.home / "builtin" / "coreml").iterdir()} == before


def _as_float16(module: Any, _tiles: Any, _budget: Any, _report: Any) -> Any:
    folded = fold_norms(module).half().float()
    names = sorted(name for name, value in folded.named_parameters() if has_choice(name, value.shape))
    return folded, tuple((name, "float16") for name in names)


class TestPlans:
    VARIANT = RECIPE.variant(scale=2, trained="drawn", precision="float16")

    @pytest.mark.parametrize(
        ("planned", "name", "origin"),
        [
            (PRUNED, "prune20-float16", None),
            (TAUGHT, "prune20d-float16", PRUNED),
            (replace(PRUNED, is_repaired=False), "prune20u-float16", None),
            (pruned(0.3, "", measure="macs"), "prune30m-float16", None),
            (mixed(WHOLE, 1_000_000, ""), "1mb-mixed-bit", None),
            (mixed(PRUNED, 1_900_000, ""), "prune20-1.9mb-mixed-bit", "prune20-float16"),
            (MIXED, "prune20d-0.2mb-mixed-bit", "prune20d-float16"),
            (replace(PRUNED, precision="int8"), "prune20-int8", "prune20-float16"),
        ],
    )
    def test_ids_tell_what_was_done(self, planned: PlannedVariant, name: str, origin: Any) -> None:
        assert planned.id(self.VARIANT) == f"tiny-x2-drawn-{name}"
        found = None if planned.origin is None else planned.origin.id(self.VARIANT)
        wanted = origin.id(self.VARIANT) if isinstance(origin, PlannedVariant) else origin and f"tiny-x2-drawn-{origin}"
        assert found == wanted

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"is_distilled": True, "method": "heads-l1"}, "Only a network that was pruned selectively"),
            ({"precision": "mixed-bit"}, "A budget of package bytes belongs to mixed-bit"),
            ({"package_budget": 5}, "A budget of package bytes belongs to mixed-bit"),
            ({"precision": "mixed-bit", "package_budget": 5, "package": None}, "so it needs one"),
        ],
    )
    def test_what_cannot_be_built_is_refused(self, change: dict[str, Any], sentence: str) -> None:
        with pytest.raises(OptionError, match=sentence):
            replace(PRUNED, **change)

    def test_everything_that_ships_comes_after_what_it_is_made_from(self) -> None:
        for family in plans.PLANS:
            spec = swinir_spec(scale=2, embed_dim=12, depths=(2,), heads=6)
            whole = replace(self.VARIANT, family=family, spec=spec)
            there: set[str] = set()
            for one in plan(whole):
                assert one.origin is None or one.origin.id(whole) in there
                there.add(one.id(whole))


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = options_in(tmp_path)
    begin(options)
    photos = str(options.photos)
    draw(5, 128).save(options.photos / "5.png")
    asked = ["--home", str(tmp_path), "build", "--family", "tiny", "--photos", photos]
    means = ["--calibration", photos, "--calibration-tiles", "1", "--calibration-words", "drawings"]
    finetune = ["--finetune", "--finetune-photos", photos, "--finetune-steps", "2", "--finetune-patch", "16",
                "--finetune-words", "others", "--finetune-seed", "3", "--finetune-rate", "1e-4"]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "PLANS", {"tiny": PLAN[:3]})
        patch.setattr("zoo.workshop.commands.PackageOptions", lambda tile: options.package)
        assert command.main([*asked, *means, *finetune]) == 0
        assert command.main([*asked, "--finetune"]) == 1
    assert "--finetune needs photos" in capsys.readouterr().err
    taught: Release = releases(options)[2]
    assert taught.compression is not None
    assert taught.compression.calibration is not None
    assert taught.compression.calibration.photos == "drawings"
    assert taught.compression.finetune is not None
    assert (taught.compression.finetune.seed, taught.compression.finetune.photos) == (3, "others")
    assert "up to 0.0001" in taught.compression.finetune.recipe


def test_a_manifest_that_contradicts_itself_is_refused(family: BuildOptions, tmp_path: Path) -> None:
    _, smaller, _, coarse = releases(family)
    assert smaller.compression is not None
    assert coarse.compression is not None
    wrong = [
        (smaller, replace(smaller.compression, measure=None), "just where its method selective needs"),
        (smaller, replace(smaller.compression, calibration=None), "just where its method selective needs"),
        (
            smaller,
            replace(smaller.compression, method="heads-l1", measure=None, calibration=None),
            "repaired or taught",
        ),
        (coarse, replace(coarse.compression, method="quantize", calibration=None), "says quantize of"),
    ]
    for release, record, sentence in wrong:
        save_manifest(Manifest(releases=(replace(release, compression=record),)), tmp_path / "manifest.json")
        with pytest.raises(ModelError, match=sentence):
            load_manifest(tmp_path / "manifest.json")


class TestRecords:
    """What was made before a record told more is not made again for that."""

    @staticmethod
    def changed(options: BuildOptions, **changes: Any) -> None:
        """Puts other words of the distillation into the manifest."""
        listed = list(releases(options))
        assert listed[2].compression is not None
        assert listed[2].compression.finetune is not None
        finetune = replace(listed[2].compression.finetune, **changes)
        listed[2] = replace(listed[2], compression=replace(listed[2].compression, finetune=finetune))
        save_manifest(Manifest(releases=tuple(listed)), options.home / "manifest.json")

    def test_new_builds_tell_all(self, family: BuildOptions) -> None:
        taught = releases(family)[2].compression
        assert taught is not None
        assert taught.finetune is not None
        assert taught.finetune.photos_sha256 == hash_photos(family.photos)
        assert taught.finetune.device.startswith("cpu, ")
        assert taught.finetune.cell is None

    def test_a_record_from_before_stands(self, copied: BuildOptions) -> None:
        self.changed(copied, photos_sha256="", device="")
        assert built(copied, PLAN[:3]) == ["weights are there"] * 2
        assert copied.finetune is not None
        in_squares = replace(copied, finetune=replace(copied.finetune, cell=64))
        assert built(in_squares, PLAN[:3]) == ["weights are there"] * 2, "it did not tell of squares either"

    def test_another_device_is_no_reason(self, copied: BuildOptions) -> None:
        self.changed(copied, device="cuda, bfloat16 products")
        assert built(copied, PLAN[:3]) == ["weights are there"] * 2

    @pytest.mark.parametrize("changes", [{"photos_sha256": "1" * 64}, {"cell": 64}], ids=["photos", "cell"])
    def test_other_photos_and_squares_are_a_reason(self, copied: BuildOptions, changes: dict[str, Any]) -> None:
        self.changed(copied, **changes)
        said = built(copied, PLAN[:3])
        assert said[0] == "weights are there"
        assert said[1] == "the same weights again"
        assert releases(copied)[2] != changes

    @pytest.mark.parametrize("changes", [{"photos": "others"}, {"steps": 9}, {"seed": 5}, {"recipe": "another"}])
    def test_what_records_always_told_is_a_reason_in_those_from_before_too(
        self, copied: BuildOptions, changes: dict[str, Any]
    ) -> None:
        self.changed(copied, photos_sha256="", device="", **changes)
        assert built(copied, PLAN[:3]) == ["weights are there", "the same weights again"]

    def test_the_squares_of_calibration_show_in_its_tiles(self, copied: BuildOptions) -> None:
        listed = list(releases(copied))
        for i, release in enumerate(listed[1:], 1):
            assert release.compression is not None
            assert release.compression.calibration is not None
            record = replace(release.compression.calibration, cell=72)
            listed[i] = replace(release, compression=replace(release.compression, calibration=record))
        save_manifest(Manifest(releases=tuple(listed)), copied.home / "manifest.json")
        assert [words.split(";")[0] for words in built(copied)] == ["weights are there"] * 3


def test_fresh_reaches_what_waits_in_the_folder_of_runs(copied: BuildOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    for name in ("costs_of", "distill"):
        real = getattr(derivation, name)

        def spy(*given: Any, real: Any = real, is_fresh: bool, **more: Any) -> Any:
            asked.append(is_fresh)
            return real(*given, is_fresh=is_fresh, **more)

        monkeypatch.setattr(derivation, name, spy)
    waiting = replace(copied, runs=copied.home / "runs", is_fresh=True)
    built(waiting, PLAN[:3])
    assert asked == [True, True]
    asked.clear()
    (copied.home / "builtin" / f"{IDS[1]}.safetensors").unlink()
    (copied.home / "builtin" / f"{IDS[2]}.safetensors").unlink()
    built(replace(waiting, is_fresh=False), PLAN[:3])
    assert asked == [False, False]


def test_what_is_calibrated_on_and_scored_is_refused(tmp_path: Path) -> None:
    options = options_in(tmp_path)
    begin(options)
    scored = replace(options, datasets=(options.photos,))
    with pytest.raises(OptionError, match=r"calibrate on, two drawings, show what is scored in photos \(0, 1\)"):
        built(scored, PLAN[:2])
    assert [release.id for release in releases(options)] == IDS[:1]
    built(options, PLAN[:2])
    built(scored, PLAN[:2])  # what is there, is not calibrated again, and may be scored anywhere
    assert {metric.dataset for metric in releases(options)[1].metrics} == {"photos"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--calibration-tiles", "4"], "--calibration-tiles would do nothing without --calibration."),
        (["--calibration-words", "x"], "--calibration-words would do nothing without --calibration."),
        (["--cell", "64"], "--cell would do nothing without --calibration or --finetune."),
        (["--threads", "1"], "--threads would do nothing without --finetune."),
        (["--finetune-photos", "x"], "--finetune-photos would do nothing without --finetune."),
        (["--finetune-words", "x"], "--finetune-words would do nothing without --finetune."),
        (["--finetune-seed", "0"], "--finetune-seed would do nothing without --finetune."),
        (
            ["--finetune-steps", "1", "--finetune-batch", "1", "--finetune-rate", "1"],
            "--finetune-steps and --finetune-batch and --finetune-rate would do nothing without --finetune.",
        ),
        (["--finetune-patch", "2"], "--finetune-patch would do nothing without --finetune."),
        (["--finetune-optimizer", "adam"], "--finetune-optimizer would do nothing without --finetune."),
        (["--finetune-pool", "2"], "--finetune-pool would do nothing without --finetune."),
    ],
)
@pytest.mark.parametrize("asked", [["build"], ["study", "--data", "x"]], ids=["build", "study"])
def test_options_that_would_be_ignored_are_refused(
    family: BuildOptions, capsys: pytest.CaptureFixture[str], asked: list[str], given: list[str], sentence: str
) -> None:
    photos = ["--family", "tiny", "--photos", str(family.photos)]
    assert command.main(["--home", str(family.home), *asked, *photos, *given]) == 1
    assert capsys.readouterr().err == f"{sentence}\n"
