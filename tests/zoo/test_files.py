import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sr_core.errors import ModelError, PackageError, WeightsError
from zoo.files import CheckedFiles, EmbeddedFiles, embedded_zoo
from zoo.manifest import Manifest, save_manifest
from zoo.release import Release


def test_the_listed_weight_file_is_found(release: Release, tmp_path: Path) -> None:
    files = EmbeddedFiles(tmp_path / "files")
    assert files.path_of(release.weights, release.id) == tmp_path / "files" / release.weights.path
    assert files.is_here(release.weights)


def test_a_missing_weight_file_is_refused(release: Release, tmp_path: Path) -> None:
    files = EmbeddedFiles(tmp_path)
    assert not files.is_here(release.weights)
    with pytest.raises(WeightsError, match=f"weight file of {release.id} is missing"):
        files.path_of(release.weights, release.id)


def test_a_missing_package_is_called_by_its_name(packed: Release, tmp_path: Path) -> None:
    assert packed.package
    with pytest.raises(PackageError, match=f"Core ML package of {packed.id} is missing"):
        EmbeddedFiles(tmp_path).path_of(packed.package, packed.id)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:-1] + bytes([b[-1] ^ 1])])
def test_a_weight_file_that_is_not_the_listed_one_is_refused(
    release: Release, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "files" / release.weights.path
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(WeightsError, match="not the one the manifest lists"):
        EmbeddedFiles(tmp_path / "files").path_of(release.weights, release.id)


def test_a_file_is_read_again_only_when_it_has_changed(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, reads = tmp_path / "files" / release.weights.path, 0
    content = path.read_bytes()

    def counted(*arguments: object) -> object:
        nonlocal reads
        reads += 1
        return digest(*arguments)  # type: ignore[arg-type]

    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", counted)
    checked = CheckedFiles()
    assert checked.is_listed(path, release.weights)
    assert checked.is_listed(path, release.weights)
    assert not checked.is_listed(path, replace(release.weights, sha256="0" * 64))
    assert not checked.is_listed(path, replace(release.weights, bytes=release.weights.bytes + 1))
    assert reads == 1
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(1, 1))
    assert not checked.is_listed(path, release.weights)
    assert reads == 2


def test_a_file_that_went_away_is_not_the_listed_one(release: Release, tmp_path: Path) -> None:
    checked, path = CheckedFiles(), tmp_path / "files" / release.weights.path
    assert checked.is_listed(path, release.weights)
    path.unlink()
    assert not checked.is_listed(path, release.weights)


def test_the_models_of_a_manifest_have_their_files_beside_it(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "files").rename(tmp_path / "builtin")
    save_manifest(manifest, tmp_path / "manifest.json")
    zoo = embedded_zoo(tmp_path / "manifest.json")
    assert zoo.manifest == manifest
    assert zoo.notices == ()
    one = manifest.default
    assert zoo.files.path_of(one.weights, one.id).parent == tmp_path / "builtin"


def test_a_manifest_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        embedded_zoo(tmp_path / "manifest.json")
