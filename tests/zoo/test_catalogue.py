from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from sr_core.errors import UnknownModelError, WeightsError
from sr_core.infer.model import LoadedModel
from zoo.catalogue import ModelCache, weight_path
from zoo.manifest import Manifest, Release


def test_the_listed_weight_file_is_found(release: Release, tmp_path: Path) -> None:
    assert weight_path(release, tmp_path / "files") == tmp_path / "files" / release.weights.path


def test_a_missing_weight_file_is_refused(release: Release, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is missing"):
        weight_path(release, tmp_path)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:-1] + bytes([b[-1] ^ 1])])
def test_a_weight_file_that_is_not_the_listed_one_is_refused(
    release: Release, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "files" / release.weights.path
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(WeightsError, match="not the one the manifest lists"):
        weight_path(release, tmp_path / "files")


@pytest.fixture
def three(release: Release) -> Manifest:
    names = ("one", "two", "three")
    return Manifest(releases=tuple(replace(release, variant=replace(release.variant, family=n)) for n in names))


class Loader:
    """Counts what is loaded; the models themselves are never run."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def __call__(self, release: Release) -> LoadedModel:
        self.loaded.append(release.id)
        return LoadedModel(id=release.id, engine=None, tiling=None)  # type: ignore[arg-type]


def ids(manifest: Manifest) -> list[str]:
    return [release.id for release in manifest.releases]


def test_a_model_is_loaded_once(three: Manifest) -> None:
    load = Loader()
    cache = ModelCache(three, 10**9, load)
    first = cache.get(ids(three)[0])
    assert cache.get(ids(three)[0]) is first
    assert load.loaded == ids(three)[:1]


def test_the_model_that_was_not_used_for_longest_goes_first(three: Manifest) -> None:
    load, (one, two, third) = Loader(), ids(three)
    cache = ModelCache(three, 2 * 4 * three.default.parameters, load)
    for model_id in (one, two, one, third, one, two):
        cache.get(model_id)
    assert load.loaded == [one, two, third, two]
    assert cache.held_bytes == 2 * 4 * three.default.parameters


def test_one_model_is_kept_however_small_the_limit(three: Manifest) -> None:
    load = Loader()
    cache = ModelCache(three, 0, load)
    assert cache.get(ids(three)[0]) is cache.get(ids(three)[0])
    cache.get(ids(three)[1])
    cache.get(ids(three)[0])
    assert len(load.loaded) == 3


def test_an_unknown_model_is_refused(three: Manifest) -> None:
    with pytest.raises(UnknownModelError, match="no model 'x'"):
        ModelCache(three, 0, Loader()).get("x")


def test_threads_share_one_load(three: Manifest) -> None:
    load = Loader()
    cache = ModelCache(three, 10**9, load)
    threads = [Thread(target=cache.get, args=(ids(three)[0],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert load.loaded == ids(three)[:1]
