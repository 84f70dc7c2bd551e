from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from time import sleep

import pytest
import torch

from sr_core.errors import UnknownModelError, WeightsError
from sr_core.infer.model import LoadedModel
from zoo.catalogue import ModelCache, load_model
from zoo.files import EmbeddedFiles
from zoo.manifest import Manifest
from zoo.release import Release


def test_a_model_is_loaded_from_the_files_that_are_given(release: Release, tmp_path: Path) -> None:
    model = load_model(release, "float32", EmbeddedFiles(tmp_path / "files"))
    assert model.id == release.id
    assert model.engine.run(torch.zeros(1, 3, 16, 16)).shape == (1, 3, 32, 32)
    with pytest.raises(WeightsError, match="is missing"):
        load_model(release, "float32", EmbeddedFiles(tmp_path))


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

    def slowly(release: Release) -> LoadedModel:
        sleep(0.02)
        return load(release)

    cache = ModelCache(three, 10**9, slowly)
    threads = [Thread(target=cache.get, args=(ids(three)[0],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert load.loaded == ids(three)[:1]


def test_while_one_model_is_loaded_the_others_stay_available(three: Manifest) -> None:
    slow, is_loading, may_end = ids(three)[0], Event(), Event()

    def load(release: Release) -> LoadedModel:
        if release.id == slow:
            is_loading.set()
            assert may_end.wait(10)
        return Loader()(release)

    cache = ModelCache(three, 10**9, load)
    thread = Thread(target=cache.get, args=(slow,))
    thread.start()
    assert is_loading.wait(10)
    assert cache.get(ids(three)[1]).id == ids(three)[1]
    assert thread.is_alive()
    may_end.set()
    thread.join()
    assert cache.held_bytes == 2 * 4 * three.default.parameters


def test_a_model_that_could_not_be_loaded_is_tried_again(three: Manifest) -> None:
    load, first = Loader(), ids(three)[0]
    sentences = ["it is not here"]

    def once_missing(release: Release) -> LoadedModel:
        if sentences:
            raise WeightsError(sentences.pop())
        return load(release)

    cache = ModelCache(three, 10**9, once_missing)
    with pytest.raises(WeightsError, match="not here"):
        cache.get(first)
    assert cache.get(first).id == first
