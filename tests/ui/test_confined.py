"""Photos of strangers are opened in processes of their own, and what happens to these is one sentence on the page."""

import collections
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from sr_core.image.families import FAMILIES
from sr_core.image.sandbox import Sandbox
from tests.ui import sabotage
from tests.ui.studio import MAKER, Loader, studio, write_heic, write_photo
from ui import text
from ui.endpoints import Endpoints
from ui.studio import Studio
from ui.tabs.handlers import UpscaleHandlers
from ui.tabs.layout import UpscaleView, lay_out
from ui.tabs.place import Place

MODEL = "swinir-fake-x2-fake-float32"
BICUBIC = text.BICUBIC


@pytest.fixture(autouse=True)
def temp_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def sabotaged() -> Iterator[Sandbox]:
    with Sandbox(program=sabotage.__name__) as one:
        yield one


class Tab:
    """The handlers of the upscale tab, and what a visitor does with them."""

    def __init__(self, confined: Sandbox | None = None) -> None:
        self.loader = Loader()
        self.studio: Studio = studio(loader=self.loader, confined=confined)
        with gr.Blocks(analytics_enabled=False):
            self.view: UpscaleView = lay_out(self.studio)
        self.handlers = UpscaleHandlers(self.studio, self.view)

    def open(self, photo: Path) -> Iterator[dict[Any, Any]]:
        return self.handlers.open_photo(str(photo), MODEL, "same", False, None)

    def run(self, photo: Path, place: Place | None = None, save_as: str = "same") -> Iterator[dict[Any, Any]]:
        return self.handlers.run(str(photo), MODEL, save_as, False, BICUBIC, place)


def all_of(updates: Iterator[dict[Any, Any]]) -> dict[Any, Any]:
    """Returns what is shown in the end."""
    return dict(collections.ChainMap(*reversed(list(updates))))


def until_error(updates: Iterator[dict[Any, Any]], sentence: str) -> dict[Any, Any]:
    """Returns what is shown when the error comes that says the sentence."""
    shown: list[dict[Any, Any]] = []
    with pytest.raises(gr.Error, match=sentence):
        collections.deque(map(shown.append, updates), maxlen=0)
    return all_of(iter(shown))


def photo_that_crashes(path: Path, stage: bytes) -> Path:
    """Writes a photo that ends the worker of the sabotaged host at a stage."""
    data = write_photo(path).read_bytes()
    assert data.count(MAKER.encode()) == 1
    path.write_bytes(data.replace(MAKER.encode(), stage))
    return path


def forbid_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes this process unable to read, write or show a photo."""

    def never(*_: object, **__: object) -> None:
        pytest.fail("a photo was opened in the app's own process")

    for family in FAMILIES.values():
        for name in ("parse", "pixels", "write"):
            monkeypatch.setattr(family, name, never)
    for name in ("preview.to_srgb", "encode.to_srgb", "decode.sniff"):
        monkeypatch.setattr(f"sr_core.image.{name}", never)


@pytest.mark.parametrize("write", [write_photo, write_heic])
def test_the_app_itself_opens_no_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any) -> None:
    photo, tab = write(tmp_path / "a.jpg"), Tab()
    forbid_codecs(monkeypatch)
    place = all_of(tab.open(photo))[tab.view.closer.place]
    all_of(tab.handlers.measure(str(photo), MODEL))
    tab.handlers.saving.choose(str(photo), MODEL, "png", True, place)
    assert tab.view.closer.comparison in all_of(tab.handlers.closer.try_spot(str(photo), MODEL, BICUBIC, place))
    assert tab.view.comparison in all_of(tab.run(photo, place, "webp"))
    assert tab.view.comparison in all_of(tab.handlers.full.choose(str(photo), MODEL, BICUBIC, place))
    tab.studio.kept.forget(place.photo)
    assert tab.view.closer.comparison in all_of(tab.handlers.closer.try_spot(str(photo), MODEL, BICUBIC, place))
    *_, result = Endpoints(tab.studio).upscale(str(photo), "", "png", remove_location=True)
    assert str(result).endswith("a_x2.png")


def test_a_photo_that_ends_its_reader_is_said_and_the_next_one_opens(tmp_path: Path, sabotaged: Sandbox) -> None:
    tab, photo = Tab(sabotaged), photo_that_crashes(tmp_path / "a.jpg", sabotage.AT_DECODING)
    shown = until_error(tab.open(photo), "decoder broke off")
    assert "role='alert'" in shown[tab.view.status]
    assert "decoder broke off" in shown[tab.view.status]
    assert shown[tab.view.run]["interactive"] is False
    assert all_of(tab.open(write_photo(tmp_path / "b.jpg")))[tab.view.run]["interactive"] is True


def test_a_result_that_ends_its_writer_is_said_and_can_be_tried_again(
    tmp_path: Path, sabotaged: Sandbox, temp_folder: Path
) -> None:
    tab, photo = Tab(sabotaged), photo_that_crashes(tmp_path / "a.jpg", sabotage.AT_WRITING)
    shown = until_error(tab.run(photo), "encoder broke off")
    assert "encoder broke off" in shown[tab.view.status]
    assert tab.view.download not in shown
    assert shown[tab.view.run]["visible"] is True
    assert shown[tab.view.cancel]["visible"] is False
    assert list(temp_folder.iterdir()) == []
    assert tab.view.download in all_of(tab.run(write_photo(tmp_path / "b.jpg")))


def test_a_result_that_cannot_be_shown_can_be_downloaded(tmp_path: Path, sabotaged: Sandbox, temp_folder: Path) -> None:
    tab, photo = Tab(sabotaged), photo_that_crashes(tmp_path / "a.jpg", sabotage.AT_SHOWING)
    sizes: list[int] = []

    def watched() -> Iterator[dict[Any, Any]]:
        for updates in tab.run(photo):
            if tab.view.download in updates:
                sizes.append(Path(updates[tab.view.download]).stat().st_size)
            yield updates

    shown = until_error(watched(), "broke off")
    assert sizes[0] > 0
    assert shown[tab.view.result] == gr.update(visible=True)
    assert "role='alert'" in shown[tab.view.status]
    assert list(temp_folder.iterdir()) == []


@pytest.mark.parametrize("end", ["done", "refused", "cancelled"])
def test_no_job_leaves_anything_on_the_disk(tmp_path: Path, temp_folder: Path, end: str) -> None:
    tab, photo = Tab(), write_heic(tmp_path / "a.heic", 200, 300)
    place = all_of(tab.open(photo))[tab.view.closer.place]
    match end:
        case "done":
            all_of(tab.handlers.closer.try_spot(str(photo), MODEL, BICUBIC, place))
            all_of(tab.run(photo, place, "png"))
        case "refused":
            until_error(tab.run(photo, place, "dng"), "Only a RAW photo can become a DNG")
        case "cancelled":
            job = tab.run(photo, place)
            while not tab.loader.runs:
                next(job)
            assert list(temp_folder.iterdir()) != []
            job.close()  # type: ignore[attr-defined]
        case _:
            pytest.fail(end)
    assert list(temp_folder.iterdir()) == []
