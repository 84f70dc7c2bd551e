import argparse
import hashlib
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from sr_core.coreml.package import zip_package
from sr_core.errors import OptionError, PackageError, UnknownModelError
from zoo.card import model_card
from zoo.manifest import Manifest, load_manifest, save_manifest
from zoo.release import CoreMLRecord, DeviceRecord, FileRecord, Release
from zoo.workshop import device as module
from zoo.workshop.device import (
    WARM_UP,
    Machine,
    Predictor,
    Units,
    bench_device,
    load_core_ml,
    put_device,
    refuse_elsewhere,
    run_bench_device,
)

MAC = Machine(device="Mac9,1 (Apple M9)", system="macOS 99.1")


class Clock:
    """Stands still, but for what the predictor takes."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class FakeCoreML:
    """Loads packages whose tiles take these times, in milliseconds."""

    def __init__(self, clock: Clock, milliseconds: list[float], scale: int = 2) -> None:
        self._clock, self._times, self._scale = clock, iter(milliseconds), scale
        self.loaded: list[tuple[list[str], Units]] = []
        self.tiles: list[Image.Image] = []

    def __call__(self, package: Path, record: CoreMLRecord, units: Units) -> Predictor:
        assert package.name == f"{record.name}.mlpackage"
        self.loaded.append((sorted(path.name for path in package.iterdir()), units))

        def predict(tile: Image.Image) -> Image.Image:
            self.tiles.append(tile)
            self._clock.seconds += next(self._times) / 1000
            return tile.resize((tile.width * self._scale, tile.height * self._scale))

        return predict


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "perf_counter", clock)
    return clock


@pytest.fixture
def home(packed: Release, tmp_path: Path) -> Path:
    """A zoo with one release, whose package exists."""
    assert packed.coreml is not None
    package = tmp_path / f"{packed.coreml.name}.mlpackage"
    package.mkdir()
    (package / "Manifest.json").write_text("{}")
    path = tmp_path / "builtin" / "coreml" / f"{package.name}.zip"
    path.parent.mkdir(parents=True)
    zip_package(package, path)
    data = path.read_bytes()
    file = FileRecord(
        path=f"coreml/{path.name}",
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        format="mlpackage.zip",
    )
    save_manifest(Manifest(releases=(replace(packed, files=(packed.weights, file)),)), tmp_path / "manifest.json")
    return tmp_path


def package_zip(home: Path) -> Path:
    [path] = (home / "builtin" / "coreml").iterdir()
    return path


def record(release: Release) -> CoreMLRecord:
    assert release.coreml is not None
    return release.coreml


def test_the_time_is_the_median_after_the_warm_up(packed: Release, home: Path, clock: Clock) -> None:
    core_ml = FakeCoreML(clock, [900.0] * WARM_UP + [7.0, 50.0, 8.0])
    result = bench_device(package_zip(home), record(packed), units="cpuAndGPU", runs=3, machine=MAC, load=core_ml)
    assert result == DeviceRecord(
        device="Mac9,1 (Apple M9)",
        system="macOS 99.1",
        compute_units="cpuAndGPU",
        milliseconds_per_tile=8.0,
        date=date.today().isoformat(),
    )
    assert core_ml.loaded == [(["Manifest.json"], "cpuAndGPU")]
    assert len(core_ml.tiles) == WARM_UP + 3
    assert {(tile.size, tile.mode) for tile in core_ml.tiles} == {((64, 64), "RGB")}


def test_a_package_of_another_scale_is_refused(packed: Release, home: Path, clock: Clock) -> None:
    core_ml = FakeCoreML(clock, [1.0], scale=3)
    with pytest.raises(PackageError, match="192 × 192 pixels instead of 128 × 128"):
        bench_device(package_zip(home), record(packed), units="all", runs=1, machine=MAC, load=core_ml)


def test_no_tile_is_no_time(packed: Release, home: Path, clock: Clock) -> None:
    with pytest.raises(OptionError, match="At least 1 tile"):
        bench_device(package_zip(home), record(packed), units="all", runs=0, machine=MAC, load=FakeCoreML(clock, []))


def test_a_time_takes_the_place_of_its_like_alone(packed: Release) -> None:
    first = DeviceRecord(
        device="A", system="macOS 1", compute_units="all", milliseconds_per_tile=9.0, date="2026-01-01"
    )
    others = [replace(first, device="B"), replace(first, system="macOS 2"), replace(first, compute_units="cpuOnly")]
    release = packed
    for one in (first, *others):
        release = put_device(release, one)
    assert record(release).devices == (first, *others)
    again = replace(first, milliseconds_per_tile=4.0, date="2026-02-02")
    assert record(put_device(release, again)).devices == (*others, again)


def test_a_release_without_a_package_has_no_time(scored: Release) -> None:
    device = DeviceRecord(device="A", system="1", compute_units="all", milliseconds_per_tile=9.0, date="2026-01-01")
    with pytest.raises(PackageError, match="has no Core ML package"):
        put_device(scored, device)


class TestCommand:
    def options(self, home: Path, release_id: str, units: str = "all") -> argparse.Namespace:
        return argparse.Namespace(home=home, id=release_id, units=units, runs=2)

    def on_a_mac(self, monkeypatch: pytest.MonkeyPatch, core_ml: FakeCoreML) -> None:
        monkeypatch.setattr(module, "refuse_elsewhere", lambda release_id: None)
        monkeypatch.setattr(module, "load_core_ml", core_ml)
        monkeypatch.setattr(module, "this_machine", lambda: MAC)

    @pytest.mark.skipif(sys.platform == "darwin", reason="this is a Mac")
    def test_it_says_what_to_do_where_there_is_no_core_ml(self, packed: Release, home: Path) -> None:
        before = (home / "manifest.json").read_bytes()
        with pytest.raises(OptionError, match="only on a Mac") as refused:
            run_bench_device(self.options(home, packed.id))
        assert f"python -m zoo bench-device {packed.id}" in str(refused.value)
        assert (home / "manifest.json").read_bytes() == before

    def test_a_mac_is_not_refused(self) -> None:
        refuse_elsewhere("any", "darwin")
        with pytest.raises(OptionError):
            refuse_elsewhere("any", "win32")

    def test_it_writes_the_record_and_the_card(
        self,
        packed: Release,
        home: Path,
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.on_a_mac(monkeypatch, FakeCoreML(clock, [3.0] * 2 * (WARM_UP + 2)))
        run_bench_device(self.options(home, packed.id))
        run_bench_device(self.options(home, packed.id, "cpuOnly"))
        release = load_manifest(home / "manifest.json").release(packed.id)
        assert [(one.device, one.compute_units, one.milliseconds_per_tile) for one in record(release).devices] == [
            (MAC.device, "all", 3.0),
            (MAC.device, "cpuOnly", 3.0),
        ]
        assert (home / "builtin" / f"{packed.id}.md").read_text(encoding="utf-8") == model_card(release)
        assert f"{packed.id}: 3.0 ms a tile on Mac9,1 (Apple M9), macOS 99.1, cpuOnly" in capsys.readouterr().out

    def test_it_refuses_what_it_does_not_know(
        self, packed: Release, scored: Release, home: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.on_a_mac(monkeypatch, FakeCoreML(clock, []))
        with pytest.raises(UnknownModelError):
            run_bench_device(self.options(home, "no-such"))
        package_zip(home).write_bytes(b"other")
        with pytest.raises(PackageError, match="damaged"):
            run_bench_device(self.options(home, packed.id))
        save_manifest(Manifest(releases=(scored,)), home / "manifest.json")
        with pytest.raises(PackageError, match="has no Core ML package"):
            run_bench_device(self.options(home, scored.id))


def test_core_ml_is_asked_for_the_units_in_its_own_words(packed: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    class Model:
        def __init__(self, path: str, compute_units: str) -> None:
            asked.append((path, compute_units))

        def predict(self, features: dict[str, Image.Image]) -> dict[str, Image.Image]:
            [(name, tile)] = features.items()
            assert name == "image"
            return {"upscaled": tile.resize((2, 2))}

    units = SimpleNamespace(ALL="A", CPU_ONLY="C", CPU_AND_GPU="G", CPU_AND_NE="N")
    fake = SimpleNamespace(models=SimpleNamespace(MLModel=Model), ComputeUnit=vars(units))
    monkeypatch.setitem(sys.modules, "coremltools", fake)
    words: tuple[Units, ...] = ("all", "cpuOnly", "cpuAndGPU", "cpuAndNeuralEngine")
    for one in words:
        predict = load_core_ml(Path("x.mlpackage"), record(packed), one)
        assert predict(Image.new("RGB", (1, 1))).size == (2, 2)
    assert asked == [("x.mlpackage", letter) for letter in "ACGN"]
