import errno
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sr_core.image.picture import Picture
from sr_core.image.scratch import copy_of
from ui.kept import KeptPictures


def picture(value: int, side: int = 10) -> Picture:
    return Picture(pixels=np.full((side, side, 3), value, np.uint8), bit_depth=8)


def test_a_kept_picture_is_the_same_picture_and_lies_under_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kept, grey = KeptPictures(10_000, 60), np.arange(100, dtype=np.uint16).reshape(10, 10)
    kept.put("a", "model", Picture(pixels=grey[..., np.newaxis], alpha=grey, bit_depth=16))
    found = kept.get("a", "model")
    assert found is not None
    assert found.alpha is not None
    assert (found.pixels[..., 0] == grey).all()
    assert (found.alpha == grey).all()
    assert kept.held_bytes == 400
    assert list(tmp_path.iterdir()) == []


def test_what_was_not_used_for_longest_makes_room() -> None:
    kept = KeptPictures(700, 60)
    kept.put("a", "", picture(1))
    kept.put("b", "", picture(2))
    kept.get("a")
    kept.put("c", "", picture(3))
    assert kept.get("b") is None
    assert kept.get("a") is not None
    assert kept.held_bytes == 600
    kept.put("d", "", picture(4, side=100))  # alone more than there is room for
    assert kept.get("d") is None
    assert kept.held_bytes == 600


def test_there_are_never_more_than_there_can_be_open_files() -> None:
    kept = KeptPictures(1_000_000, 60)
    for number in range(300):
        kept.put("a", str(number), picture(1))
    assert kept.held_bytes == 200 * 300
    assert kept.get("a", "99") is None
    assert kept.get("a", "100") is not None


def test_a_picture_for_which_there_is_no_room_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate" if hasattr(os, "posix_fallocate") else "os.truncate", full)
    kept = KeptPictures(1_000_000, 60)
    kept.put("a", "", picture(1))
    assert kept.get("a") is None
    assert "no room" in caplog.text


def test_pixels_that_are_a_file_already_are_not_copied() -> None:
    kept, pixels = KeptPictures(1_000_000, 60), copy_of(picture(1).pixels)
    kept.put("a", "", Picture(pixels=pixels, bit_depth=8))
    found = kept.get("a")
    assert found is not None
    assert np.shares_memory(found.pixels, pixels)


def test_pictures_go_with_their_upload_and_with_time() -> None:
    now = [0.0]
    kept = KeptPictures(10_000, 60, clock=lambda: now[0])
    kept.put("a", "", picture(1))
    kept.put("a", "model", picture(2))
    now[0] = 30.0
    kept.put("b", "", picture(3))
    kept.forget("nobody")
    now[0] = 61.0
    assert kept.get("a", "model") is None
    assert kept.get("b") is not None
    kept.forget("b")
    assert kept.held_bytes == 0


def test_pictures_go_with_time_also_when_nobody_asks() -> None:
    kept = KeptPictures(10_000, 0.05)
    kept.put("a", "", picture(1))
    deadline = time.monotonic() + 10
    while kept.held_bytes and time.monotonic() < deadline:
        time.sleep(0.02)
    assert kept.held_bytes == 0


def test_one_timer_is_enough_for_any_number_of_pictures() -> None:
    before = threading.active_count()
    kept = KeptPictures(1_000_000, 60)
    for number in range(50):
        kept.put("a", str(number), picture(number))
    assert threading.active_count() <= before + 1
    kept.forget("a")


def test_pictures_that_came_later_go_with_time_too() -> None:
    kept = KeptPictures(10_000, 0.2)
    kept.put("a", "", picture(1))
    time.sleep(0.1)
    kept.put("a", "model", picture(2))
    deadline = time.monotonic() + 10
    while kept.held_bytes and time.monotonic() < deadline:
        time.sleep(0.02)
    assert kept.held_bytes == 0
    kept.put("b", "", picture(3))
    deadline = time.monotonic() + 10
    while kept.held_bytes and time.monotonic() < deadline:
        time.sleep(0.02)
    assert kept.held_bytes == 0
