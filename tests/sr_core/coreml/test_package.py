"""Zips of packages: always the same bytes, there and back, and nothing unsafe comes out of them."""

import hashlib
import os
import re
import stat
import struct
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_core.coreml import package as package_module
from sr_core.coreml.package import file_hashes, package_bytes, package_name, unzip_package, zip_package
from sr_core.errors import OutputError, PackageError, SRError

CONTENT = {
    "Manifest.json": b"{}",
    "Data/com.apple.CoreML/model.mlmodel": b"model" * 100,
    "Data/com.apple.CoreML/weights/weight.bin": bytes(range(256)) * 40,
}


def make_package(folder: Path, name: str = "Small_T64", content: dict[str, bytes] = CONTENT) -> Path:
    package = folder / f"{name}.mlpackage"
    for path, data in content.items():
        file = package / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return package


def make_zip(path: Path, entries: list[tuple[str, bytes]], mode: int = stat.S_IFREG | 0o644) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = mode << 16
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)
    return path


GOOD = [(f"A_T64.mlpackage/{path}", data) for path, data in CONTENT.items()]


@pytest.mark.parametrize(
    ("variant_id", "tile", "name"),
    [
        ("swinir-light-x2-photos39-int8", 64, "SwinirLightX2Photos39Int8_T64"),
        ("swinir-quick-x4-a.b_c-float16", 128, "SwinirQuickX4AB_cFloat16_T128"),
        ("3net-x2-int8", 64, "N3netX2Int8_T64"),
    ],
)
def test_the_name_is_a_class_name(variant_id: str, tile: int, name: str) -> None:
    assert package_name(variant_id, tile) == name
    assert name.isidentifier()


def test_a_package_comes_back_as_it_was(tmp_path: Path) -> None:
    package = make_package(tmp_path)
    zip_package(package, tmp_path / "a.zip")
    (tmp_path / "out").mkdir()
    back = unzip_package(tmp_path / "a.zip", tmp_path / "out")
    assert back == tmp_path / "out" / "Small_T64.mlpackage"
    assert {p.relative_to(back).as_posix(): p.read_bytes() for p in back.rglob("*") if p.is_file()} == CONTENT
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["Small_T64.mlpackage"]


def test_equal_packages_give_equal_zips(tmp_path: Path) -> None:
    """Neither the age, the modes nor the order in which files were made can be seen in the zip."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = make_package(tmp_path / "one")
    two = make_package(tmp_path / "two", content=dict(reversed(CONTENT.items())))
    for path in two.rglob("*"):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o700 if path.is_dir() else 0o600)
    zip_package(one, tmp_path / "one.zip")
    zip_package(two, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert not list(tmp_path.glob("*.part"))


def test_a_zip_holds_one_directory_with_plain_modes_and_the_first_date(tmp_path: Path) -> None:
    zip_package(make_package(tmp_path), tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        infos = archive.infolist()
        assert archive.testzip() is None
    names = [info.filename for info in infos]
    assert names[0] == "Small_T64.mlpackage/"
    assert {name.split("/")[0] for name in names} == {"Small_T64.mlpackage"}
    folders, files = (sorted(i.filename for i in infos if i.is_dir() == is_dir) for is_dir in (True, False))
    assert files == sorted(f"Small_T64.mlpackage/{path}" for path in CONTENT)
    assert len(folders) == 4
    for info in infos:
        expected = stat.S_IFDIR | 0o755 if info.is_dir() else stat.S_IFREG | 0o644
        assert info.external_attr >> 16 == expected
        assert info.date_time == (1980, 1, 1, 0, 0, 0)
        assert info.compress_type == (zipfile.ZIP_STORED if info.is_dir() else zipfile.ZIP_DEFLATED)


def test_hashes_and_length_are_those_of_the_files_zipped_or_not(tmp_path: Path) -> None:
    package = make_package(tmp_path)
    zip_package(package, tmp_path / "a.zip")
    expected = {path: hashlib.sha256(data).hexdigest() for path, data in CONTENT.items()}
    assert file_hashes(package) == file_hashes(tmp_path / "a.zip") == expected
    assert list(file_hashes(package)) == list(file_hashes(tmp_path / "a.zip")) == sorted(CONTENT)
    assert package_bytes(package) == package_bytes(tmp_path / "a.zip") == sum(map(len, CONTENT.values()))


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../outside",
        "A_T64.mlpackage/../../outside",
        "A_T64.mlpackage/./x",
        "A_T64.mlpackage//x",
        "A_T64.mlpackage/C:x",
        "A_T64.mlpackage/..\\..\\x",
        "A_T64.mlpackage/.hidden",
        "__MACOSX/A_T64.mlpackage",
        "B_T64.mlpackage/x",
        "beside.txt",
        "A_T64.mlpackage/manifest.JSON",
        "A_T64.mlpackage/Manifest.json/x",
    ],
)
def test_no_file_lands_elsewhere_or_over_another(name: str, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "bad.zip", [*GOOD, (name, b"evil")])
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(PackageError, match=r"bad\.zip"):
        unzip_package(path, out)
    with pytest.raises(PackageError):
        file_hashes(path)
    assert not list(out.iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.zip", "out"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFDIR])
def test_links_and_other_things_are_refused(kind: int, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "bad.zip", GOOD, kind | 0o644)
    with pytest.raises(PackageError, match="neither a file nor a directory"):
        unzip_package(path, tmp_path)


def test_a_package_directory_with_a_link_is_not_zipped(tmp_path: Path) -> None:
    package = make_package(tmp_path)
    (package / "Data" / "link").symlink_to(tmp_path)
    with pytest.raises(PackageError, match="Data/link"):
        zip_package(package, tmp_path / "a.zip")


def test_what_is_no_package_is_not_zipped(tmp_path: Path) -> None:
    plain = make_package(tmp_path).rename(tmp_path / "plain")
    with pytest.raises(PackageError, match="mlpackage"):
        zip_package(plain, tmp_path / "a.zip")
    (tmp_path / "Empty.mlpackage").mkdir()
    with pytest.raises(PackageError, match=r"Manifest\.json"):
        zip_package(tmp_path / "Empty.mlpackage", tmp_path / "a.zip")
    with pytest.raises(PackageError, match="missing"):
        package_bytes(tmp_path / "Nothing.mlpackage")


def test_a_zip_without_a_package_is_refused(tmp_path: Path) -> None:
    for entries in ([], [("A_T64.mlpackage/x", b"")], [("A_T64/Manifest.json", b"")]):
        with pytest.raises(PackageError):
            unzip_package(make_zip(tmp_path / "bad.zip", entries), tmp_path)
    (tmp_path / "no.zip").write_bytes(b"no zip at all")
    for path in (tmp_path / "no.zip", tmp_path / "missing.zip"):
        with pytest.raises(PackageError):
            unzip_package(path, tmp_path)


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_module, "MAX_BYTES", 20_000)
    path = make_zip(tmp_path / "bomb.zip", [*GOOD, ("A_T64.mlpackage/x", bytes(30_000))])
    for read in (lambda: unzip_package(path, tmp_path), lambda: file_hashes(path), lambda: package_bytes(path)):
        with pytest.raises(PackageError, match="would unzip"):
            read()
    many = [(f"A_T64.mlpackage/{i}", b"") for i in range(300)]
    with pytest.raises(PackageError, match="would unzip"):
        unzip_package(make_zip(tmp_path / "many.zip", [*GOOD, *many]), tmp_path)


def change_length(path: Path, length: int, claimed: int) -> None:
    """Lets both headers of a zip's entry claim another length."""
    data = path.read_bytes()
    assert data.count(struct.pack("<I", length)) == 2
    path.write_bytes(data.replace(struct.pack("<I", length), struct.pack("<I", claimed)))


def test_a_header_that_claims_too_little_is_found_out(tmp_path: Path) -> None:
    """50 MB of zeros that claim to be ten bytes are neither written nor unpacked in memory."""
    path = make_zip(tmp_path / "liar.zip", [*GOOD, ("A_T64.mlpackage/x", bytes(50 * 2**20))])
    change_length(path, 50 * 2**20, 10)
    tracemalloc.start()
    try:
        with pytest.raises(PackageError, match="damaged"):
            unzip_package(path, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()
    assert not (tmp_path / "A_T64.mlpackage").exists()


def test_a_header_that_claims_too_much_is_found_out(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "liar.zip", [*GOOD, ("A_T64.mlpackage/x", bytes(12345))])
    change_length(path, 12345, 12346)
    with pytest.raises(PackageError, match="damaged"):
        unzip_package(path, tmp_path)


def test_other_ways_of_packing_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bz.zip", "w") as archive:
        for name, data in GOOD:
            archive.writestr(name, data, zipfile.ZIP_BZIP2)
    locked = make_zip(tmp_path / "locked.zip", GOOD)
    data = bytearray(locked.read_bytes())
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        for found in re.finditer(re.escape(header), bytes(data)):
            data[found.start() + flags] |= 1  # encrypted
    locked.write_bytes(data)
    for path in (tmp_path / "bz.zip", locked):
        with pytest.raises(PackageError, match="packed in a way"):
            unzip_package(path, tmp_path)


def test_a_damaged_zip_leaves_nothing_behind(tmp_path: Path) -> None:
    zip_package(make_package(tmp_path), tmp_path / "a.zip")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    place = data.index(b"weight.bin") + 60
    data[place] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(data)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(PackageError, match="damaged"):
        unzip_package(tmp_path / "a.zip", out)
    assert not list(out.iterdir())


def test_no_package_is_overwritten(tmp_path: Path) -> None:
    package = make_package(tmp_path)
    zip_package(package, tmp_path / "a.zip")
    with pytest.raises(OutputError, match=r"Small_T64\.mlpackage already exists"):
        unzip_package(tmp_path / "a.zip", tmp_path)


@given(st.binary(max_size=400), st.integers(0, 2000))
def test_any_damage_is_one_sentence_or_harmless(noise: bytes, place: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zip_package(make_package(folder), folder / "a.zip")
        data = (folder / "a.zip").read_bytes()
        place %= len(data)
        (folder / "a.zip").write_bytes(data[:place] + noise + data[place + len(noise) :])
        (folder / "out").mkdir()
        try:
            unzip_package(folder / "a.zip", folder / "out")
            complaint = ""
        except SRError as error:
            complaint = str(error)
        assert complaint.endswith(".") if complaint else (folder / "out").is_dir()
        assert len(list((folder / "out").rglob("Manifest.json"))) == (not complaint)


def test_files_need_neither_torch_nor_the_converter() -> None:
    script = "import sys, sr_core.coreml.package; print({'torch', 'coremltools', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
