import collections
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from sr_core.infer.model import LoadedModel
from tests.ui.studio import Loader, studio, write_photo
from ui import text
from ui.settings import Settings
from ui.tabs.handlers import UpscaleHandlers
from ui.tabs.layout import UpscaleView, lay_out
from ui.tabs.place import Place
from ui.widgets.spot import Spot, spot_of
from zoo.release import Release

MODEL = "swinir-fake-x2-fake-float32"
PLACE = Place("upload")
BICUBIC = text.BICUBIC


@pytest.fixture(autouse=True)
def temp_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder below which jobs make theirs."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def desk(settings: Settings | None = None, loader: Loader | None = None) -> tuple[UpscaleHandlers, UpscaleView]:
    one = studio(settings, loader)
    with gr.Blocks(analytics_enabled=False):
        view = lay_out(one)
    return UpscaleHandlers(one, view), view


def last(updates: Any) -> Any:
    return list(updates)[-1]


def until_error(updates: Iterator[Any], sentence: str) -> list[Any]:
    """Returns what was shown before the error that says the sentence."""
    shown: list[Any] = []
    with pytest.raises(gr.Error, match=sentence):
        collections.deque(map(shown.append, updates), maxlen=0)
    return shown


def test_a_photo_is_shown_with_facts_and_times(tmp_path: Path) -> None:
    handlers, view = desk()
    updates = last(handlers.open_photo(str(write_photo(tmp_path / "a.jpg", orientation=6)), MODEL, "same", False, None))
    assert "48 × 72" in updates[view.facts]["value"]
    assert "~1 s" in updates[view.models]["table"]
    assert "measured on another machine" in updates[view.models]["table"]
    assert updates[view.run] == gr.update(interactive=True)
    assert isinstance(updates[view.closer.place], Place)
    assert updates[view.closer.picker]["box_width"] == 100


def test_taking_the_photo_away_empties_the_tab() -> None:
    handlers, view = desk()
    (updates,) = handlers.open_photo(None, MODEL, "same", False, None)
    assert updates[view.run]["interactive"] is False
    assert updates[view.welcome]["visible"] is True
    assert updates[view.closer.place] is None


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(b"", "The file is empty"), (b"no photo at all", "not a photo of a known kind"), (b"\xff\xd8\xff\xe0", "damaged")],
)
def test_a_bad_file_is_said_in_a_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    handlers, view = desk()
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    shown = until_error(handlers.open_photo(str(path), MODEL, "same", False, None), sentence)
    assert sentence in shown[-1][view.status]
    assert "role='alert'" in shown[-1][view.status]


def test_a_run_ends_with_a_file_and_leaves_nothing_behind(tmp_path: Path, temp_folder: Path) -> None:
    handlers, view = desk()
    run = handlers.run(str(write_photo(tmp_path / "a.jpg")), MODEL, "png", False, BICUBIC, PLACE)
    panels = []
    for updates in run:
        panels.append(updates.get(view.status, ""))
        if view.download in updates:
            assert Path(updates[view.download]).name == "a_x2.png"
            assert Path(updates[view.download]).is_file()
            assert text.LOCATION_KEPT in unescape(updates[view.result_facts])
        elif view.comparison in updates:
            assert updates[view.run]["visible"] is True
            assert Path(updates[view.comparison]["before"]["path"]).suffix == ".png"
            assert updates[view.comparison]["width"] == 144
            assert "Cut from the full result" in updates[view.closer.comparison]["note"]
    assert any("tile 2 of" in panel for panel in panels)
    assert list(temp_folder.iterdir()) == []


def test_closing_a_run_stops_the_network_and_removes_its_folder(tmp_path: Path, temp_folder: Path) -> None:
    loader = Loader()
    handlers, _ = desk(loader=loader)
    run = handlers.run(str(write_photo(tmp_path / "a.jpg", 200, 200)), MODEL, "same", False, BICUBIC, PLACE)
    while not loader.runs:
        next(run)
    assert len(list(temp_folder.iterdir())) == 1
    run.close()
    runs = loader.runs
    assert list(temp_folder.iterdir()) == []
    assert list(run) == []
    assert loader.runs == runs


def test_a_refused_run_puts_the_buttons_back(tmp_path: Path) -> None:
    handlers, view = desk(Settings(max_result_pixels=10))
    run = handlers.run(str(write_photo(tmp_path / "a.jpg")), MODEL, "same", False, BICUBIC, PLACE)
    shown = until_error(run, "this server makes at most 0")
    assert "role='alert'" in shown[-1][view.status]
    assert shown[-1][view.run]["visible"] is True


def test_a_bug_is_logged_under_a_number_and_not_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Loader):
        def load(self, one: Release) -> LoadedModel:
            raise RuntimeError("secret path /etc")

    handlers, _ = desk(loader=Broken())
    with pytest.raises(gr.Error) as caught:
        list(handlers.run(str(write_photo(tmp_path / "a.jpg")), MODEL, "same", False, BICUBIC, PLACE))
    assert "secret" not in str(caught.value)
    (record,) = [record for record in caplog.records if record.name == "ui.failures"]
    assert record.getMessage().split()[1] in str(caught.value)
    assert caught.value.print_exception is False


def test_a_spot_is_computed_alone_and_then_cut_from_the_result(tmp_path: Path) -> None:
    loader = Loader()
    handlers, view = desk(loader=loader)
    photo = str(write_photo(tmp_path / "a.jpg", 300, 400))
    computed = last(handlers.closer.try_spot(photo, MODEL, BICUBIC, PLACE))
    assert "256 × 256" in computed[view.closer.comparison]["note"]
    assert computed[view.closer.try_spot]["interactive"] is True
    list(handlers.run(photo, MODEL, "same", False, BICUBIC, PLACE))
    runs = loader.runs
    cut = last(handlers.closer.try_spot(photo, MODEL, BICUBIC, replace(PLACE, spot=Spot(0, 0))))
    assert "Cut from the full result" in cut[view.closer.comparison]["note"]
    assert loader.runs == runs
    last(handlers.closer.try_spot(photo, MODEL, BICUBIC, Place("another upload")))
    assert loader.runs > runs


def test_a_spot_of_a_result_has_the_pixels_of_the_network_and_not_those_of_the_jpeg(tmp_path: Path) -> None:
    handlers, view = desk()
    photo = write_photo(tmp_path / "a.jpg", 100, 120)
    shown = last(handlers.open_photo(str(photo), MODEL, "same", False, None))
    place = shown[view.closer.place]
    list(handlers.run(str(photo), MODEL, "jpeg", False, BICUBIC, place))
    photo.unlink()  # neither the photo nor the result is decoded again
    spot = {}
    for updates in handlers.closer.try_spot(str(photo), MODEL, BICUBIC, place):
        if view.closer.comparison in updates:
            with Image.open(updates[view.closer.comparison]["after"]["path"]) as after:
                spot["after"] = np.asarray(after.convert("RGB"))
    with Image.open(write_photo(tmp_path / "b.jpg", 100, 120)) as before:
        network = np.asarray(before.convert("RGB")).repeat(2, 0).repeat(2, 1) * 0.9 + 0.05 * 255
    assert np.abs(spot["after"] - network).max() <= 1


def test_a_new_photo_lets_go_of_the_pictures_of_the_one_before(tmp_path: Path) -> None:
    one = studio()
    with gr.Blocks(analytics_enabled=False):
        view = lay_out(one)
    handlers, photo = UpscaleHandlers(one, view), str(write_photo(tmp_path / "a.jpg"))
    place = last(handlers.open_photo(photo, MODEL, "same", False, None))[view.closer.place]
    list(handlers.run(photo, MODEL, "same", False, BICUBIC, place))
    assert 0 <= one.kept.held_bytes - 48 * 72 * 3 * 5 < 2000  # and what is kept beside the pixels
    other = last(handlers.open_photo(photo, MODEL, "same", False, place))[view.closer.place]
    assert one.kept.get(place.photo) is None
    assert one.kept.get(place.photo, MODEL) is None
    assert 0 <= one.kept.held_bytes - 48 * 72 * 3 < 1000
    view.closer.place.delete_callback(other)
    assert one.kept.held_bytes == 0


def test_closing_a_spot_stops_the_network(tmp_path: Path, temp_folder: Path) -> None:
    loader = Loader()
    handlers, _ = desk(loader=loader)
    spot = handlers.closer.try_spot(str(write_photo(tmp_path / "a.jpg", 300, 400)), MODEL, BICUBIC, PLACE)
    while not loader.runs:
        next(spot)
    spot.close()
    assert loader.runs < 5
    assert list(temp_folder.iterdir()) == []


def test_every_generator_yields_also_when_there_is_nothing_to_do() -> None:
    handlers, _ = desk()
    assert list(handlers.closer.try_spot(None, MODEL, BICUBIC, None))
    assert list(handlers.measure(None, MODEL))


def test_models_are_measured_once_and_the_table_says_so(tmp_path: Path) -> None:
    loader = Loader()
    handlers, view = desk(loader=loader)
    photo = str(write_photo(tmp_path / "a.jpg"))
    assert text.ESTIMATE_HELP in last(handlers.measure(photo, MODEL))[view.models]["table"]
    runs = loader.runs
    assert runs
    list(handlers.measure(photo, MODEL))
    assert loader.runs == runs


def test_where_a_browser_says_the_spot_is_stays_in_range() -> None:
    assert spot_of(gr.EventData(None, {"x": 12, "y": 100})) == Spot(12, 100)
    assert spot_of(gr.EventData(None, {"x": -4, "y": "1; drop"})) == Spot(50, 50)
    assert spot_of(gr.EventData(None, {"x": float("nan"), "y": 1e9})) == Spot(50, 50)


def test_late_progress_cannot_overwrite_that_a_job_was_cancelled() -> None:
    handlers, view = desk()
    updates = handlers.cancelled()
    assert updates[view.status] == gr.update(visible=False)
    assert "Cancelled" in updates[view.outcome]
    assert handlers.prepare_run()[view.status]["visible"] is True


def test_moving_the_spot_keeps_the_upload() -> None:
    handlers, _ = desk()
    assert handlers.closer.move(PLACE, gr.EventData(None, {"x": 1, "y": 2})) == Place("upload", Spot(1, 2))
    assert handlers.closer.move(None, gr.EventData(None, {"x": 1, "y": 2})) is None
