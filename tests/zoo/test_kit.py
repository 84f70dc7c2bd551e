import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from sr_core.coreml.package import file_hashes, package_bytes, unzip_package, zip_package
from sr_core.coreml.proof import floors_for
from sr_core.errors import PackageError
from zoo.kit import STATEMENT, kit_name, proof_markdown, proof_sheet, swift_sample, tile_recipe, write_kit
from zoo.manifest import HOME
from zoo.release import CompressionRecord, DeviceRecord, HashRecord, Release

NAME = "TinyX2DrawnFloat16_T64"
FILES = {
    "Data/com.apple.CoreML/model.mlmodel": b"a program",
    "Data/com.apple.CoreML/weights/weight.bin": bytes(range(256)) * 9,
    "Manifest.json": b"{}",
}


def make_package(folder: Path, name: str = NAME, files: dict[str, bytes] = FILES) -> Path:
    """A zipped package with these files."""
    package = folder / f"{name}.mlpackage"
    for path, data in files.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_bytes(data)
    zip_package(package, folder / f"{package.name}.zip")
    return folder / f"{package.name}.zip"


@pytest.fixture
def package_zip(tmp_path: Path) -> Path:
    return make_package(tmp_path)


@pytest.fixture
def listed(packed: Release, package_zip: Path) -> Release:
    """The release whose record lists the package."""
    hashes = file_hashes(package_zip)
    contents = tuple(HashRecord(path=path, bytes=len(FILES[path]), sha256=one) for path, one in hashes.items())
    assert packed.coreml is not None
    record = replace(packed.coreml, contents=contents, package_bytes=package_bytes(package_zip))
    return replace(packed, coreml=record)


def texts(kit: Path) -> dict[str, str]:
    with zipfile.ZipFile(kit) as archive:
        names = [name for name in archive.namelist() if ".mlpackage/" not in name]
        return {name: archive.read(name).decode() for name in names}


def test_the_kit_holds_what_it_promises(listed: Release, package_zip: Path, tmp_path: Path) -> None:
    kit = write_kit(listed, package_zip, tmp_path / kit_name(listed))
    assert kit == tmp_path / f"{NAME}-kit.zip"
    with zipfile.ZipFile(kit) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "LICENSE",
            "LICENSES.md",
            "PROOF.json",
            "PROOF.md",
            "PocketSuperResolution.swift",
            "README.md",
            *(f"{NAME}.mlpackage/{path}" for path in FILES),
        ]
        for path, data in FILES.items():
            assert archive.read(f"{NAME}.mlpackage/{path}") == data
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}
    found = texts(kit)
    assert found["LICENSE"] == (HOME.parent / "LICENSE").read_text(encoding="utf-8")
    assert json.loads(found["PROOF.json"]) == proof_sheet(listed)
    assert found["PROOF.md"] == proof_markdown(listed)
    assert found["PocketSuperResolution.swift"] == swift_sample(listed)
    assert not [name for name, text in found.items() if "{{" in text or "  \n" in text]


def test_two_kits_are_the_same_bytes(listed: Release, package_zip: Path, tmp_path: Path) -> None:
    kits = [write_kit(listed, package_zip, tmp_path / name).read_bytes() for name in ("one.zip", "two.zip")]
    assert kits[0] == kits[1]
    assert not list(tmp_path.glob("*.part"))


def test_every_text_says_what_it_was_verified_with(listed: Release, package_zip: Path, tmp_path: Path) -> None:
    found = texts(write_kit(listed, package_zip, tmp_path / "kit.zip"))
    assert "reference interpreter" in STATEMENT
    assert "not on a device" in STATEMENT
    for name in ("PROOF.json", "PROOF.md", "README.md"):
        assert STATEMENT in found[name]
        assert f"python -m zoo verify {listed.id}" in found[name]
        assert f"python -m zoo bench-device {listed.id}" in found[name]
    assert "not compiled on a Mac" in found["README.md"]
    assert "not compiled on a Mac" in found["PocketSuperResolution.swift"]


class TestAnotherPackageIsRefused:
    def test_other_bytes(self, listed: Release, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        other = make_package(tmp_path / "other", files={**FILES, "Manifest.json": b"{ }"})
        with pytest.raises(PackageError, match="is not the package TinyX2DrawnFloat16_T64"):
            write_kit(listed, other, tmp_path / "kit.zip")
        assert not (tmp_path / "kit.zip").exists()

    def test_a_file_more(self, listed: Release, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        other = make_package(tmp_path / "other", files={**FILES, "Data/more": b"1"})
        with pytest.raises(PackageError, match="is not the package"):
            write_kit(listed, other, tmp_path / "kit.zip")

    def test_another_name(self, listed: Release, tmp_path: Path) -> None:
        with pytest.raises(PackageError, match="under another name than TinyX2DrawnFloat16_T64"):
            write_kit(listed, make_package(tmp_path, "Else"), tmp_path / "kit.zip")

    def test_no_zip(self, listed: Release, package_zip: Path, tmp_path: Path) -> None:
        package_zip.write_bytes(package_zip.read_bytes()[:-30])
        with pytest.raises(PackageError, match="damaged"):
            write_kit(listed, package_zip, tmp_path / "kit.zip")


@pytest.mark.parametrize("made", [kit_name, proof_sheet, proof_markdown, swift_sample, tile_recipe])
def test_a_release_without_a_package_is_refused(made: Callable[[Release], object], scored: Release) -> None:
    with pytest.raises(PackageError, match="has no Core ML package"):
        made(scored)


def test_a_recipe_that_is_no_multiple_of_windows_is_refused(packed: Release) -> None:
    assert packed.coreml is not None
    for change in ({"tile": 60}, {"margin": 16}, {"overlap": 40}):
        with pytest.raises(PackageError, match="do not fit its windows of 8"):
            tile_recipe(replace(packed, coreml=replace(packed.coreml, **change)))


def test_the_proof_sheet_holds_every_figure_of_the_record(listed: Release) -> None:
    record, file = listed.coreml, listed.package
    assert record is not None
    assert file is not None
    sheet, floors = proof_sheet(listed), floors_for("float16", "float16")
    assert sheet["id"] == listed.id
    assert sheet["weights"]["sha256"] == listed.weights.sha256
    assert sheet["package"]["zip_sha256"] == file.sha256
    assert (sheet["gates"]["a"]["db"], sheet["gates"]["a"]["floor_db"]) == (160.0, floors.gate_a_db)
    assert sheet["gates"]["b"].items() >= {"natural_db": 71.0, "saturated_db": 70.0, "black_db": 75.0}.items()
    assert {one["path"]: one["sha256"] for one in sheet["gates"]["c"]["files"]} == {
        one.path: one.sha256 for one in record.contents
    }
    assert sheet["gates"]["b"]["floor_natural_db"] == floors.gate_b_natural_db
    assert (sheet["screen"]["db"], sheet["screen"]["max_lsb"]) == (68.0, 1)
    assert sheet["recipe"].items() >= {"tile": 64, "overlap": 24, "margin": 8, "ramp": 6, "seam_max": 0.1}.items()
    assert sheet["package"]["input"] == {"name": "image", "kind": "image RGB 8 bit", "height": 64, "width": 64}
    shown = proof_markdown(listed)
    for figure in (
        "160.0 dB",
        "71.0 dB",
        "70.0 dB",
        "75.0 dB",
        "68.0 dB, at most 1/255",
        "| 150 dB |",
        "| 60 dB natural",
        file.sha256,
    ):
        assert figure in shown
    for one in record.contents:
        assert one.sha256 in shown


def test_equal_pictures_are_called_equal(listed: Release) -> None:
    assert listed.coreml is not None
    proof = replace(listed.coreml.proof, gate_a_db=200.0, screen_db=None, max_lsb=0)
    shown = proof_markdown(replace(listed, coreml=replace(listed.coreml, proof=proof)))
    assert "| equal, at most 0/255 |" in shown
    assert "| 200 dB or more |" in shown


def test_times_on_devices_are_shown(listed: Release, package_zip: Path, tmp_path: Path) -> None:
    assert listed.coreml is not None
    assert "Nobody has timed it on a device yet." in proof_markdown(listed)
    device = DeviceRecord(
        device="Mac9,1", system="macOS 15", compute_units="all", milliseconds_per_tile=7.25, date="2026-12-01"
    )
    timed = replace(listed, coreml=replace(listed.coreml, devices=(device,)))
    sentence = "Timed with Core ML: 7.2 ms a tile on Mac9,1, macOS 15, all, 2026-12-01."
    assert sentence in proof_markdown(timed)
    assert sentence in texts(write_kit(timed, package_zip, tmp_path / "kit.zip"))["README.md"]
    assert proof_sheet(timed)["devices"][0]["device"] == "Mac9,1"


@pytest.mark.parametrize(
    ("precision", "said"), [("float16", None), ("int8", "issue 2114"), ("palette4", "issue 2716"), ("palette6", "2688")]
)
def test_the_readme_names_what_is_known_of_such_packages(
    listed: Release, package_zip: Path, tmp_path: Path, precision: str, said: str | None
) -> None:
    compression = CompressionRecord(method="quantize", amount=0, parent_sha256="0" * 64)
    release = replace(
        listed, variant=replace(listed.variant, precision=precision), compression=compression, parent="tiny"
    )
    readme = texts(write_kit(release, package_zip, tmp_path / "kit.zip"))["README.md"]
    known = {"issue 2114", "issue 2716", "2688"}
    assert "issues 1671, 2110, 2669" in readme
    for one in known:
        assert (one in readme) == (one == said or (said in {"issue 2716", "2688"} and one != "issue 2114"))


def test_the_licence_chain_is_told(listed: Release, package_zip: Path, tmp_path: Path) -> None:
    found = texts(write_kit(listed, package_zip, tmp_path / "kit.zip"))["LICENSES.md"]
    for link in listed.license_chain:
        assert f"| {link.covers} | {link.terms} | {link.source} |" in found


def test_the_checks_are_those_of_the_tiles(packed: Release) -> None:
    checks = {check["size"]: check for check in tile_recipe(packed)["checks"]}
    assert checks[1]["padded"] == checks[40]["padded"] == 64
    assert checks[64]["starts"] == [0, 16]
    assert checks[100]["starts"] == [0, 24, 56]
    assert checks[4032]["padded"] == 4048
    starts = checks[4032]["starts"]
    assert (starts[0], starts[-1]) == (0, 4048 - 64)
    assert max(later - one for one, later in pairwise(starts)) == 40


def test_the_package_leaves_the_kit_as_it_came(listed: Release, package_zip: Path, tmp_path: Path) -> None:
    kit = write_kit(listed, package_zip, tmp_path / "kit.zip")
    (tmp_path / "xcode").mkdir()
    with zipfile.ZipFile(kit) as archive:
        archive.extractall(tmp_path / "xcode")
    (tmp_path / "fresh").mkdir()
    expected = unzip_package(package_zip, tmp_path / "fresh")
    package = tmp_path / "xcode" / expected.name
    assert file_hashes(package) == file_hashes(expected)


def test_it_needs_neither_torch_nor_coremltools_nor_the_workshop() -> None:
    said = "import sys, zoo.kit; print([m for m in sys.modules if m in ('torch', 'coremltools', 'zoo.workshop')])"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True, cwd=HOME.parent)
    assert done.stdout.strip() == "[]"
