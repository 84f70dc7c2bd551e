"""Photos of strangers are read and written elsewhere, and whatever happens there is one sentence here."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sr_core.errors import OutputError, PhotoTooLargeError, SRError, UnreadablePhotoError, UnsupportedFormatError
from sr_core.image.decode import decode, read_header
from sr_core.image.encode import encode
from sr_core.image.header import Limits
from sr_core.image.preview import to_srgb_preview
from sr_core.image.sandbox import Confines, Sandbox
from sr_core.image.scratch import copy_of, descriptor_of

from .photo_files import bomb_png, everything, noise, picture_of, rgb_profile, scene, write_heic, write_pillow

LIMITS = Limits()
BAD = "tests.sr_core.image.bad_worker"


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as box:
        yield box


@pytest.fixture(scope="module")
def bad():
    with Sandbox(Confines(read_seconds=0.5, memory_bytes=1 << 30), program=BAD) as box:
        yield box


def written(folder: Path, data: bytes) -> Path:
    path = folder / "photo"
    path.write_bytes(data)
    return path


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0


def children(pid: int) -> list[int]:
    run = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in run.stdout.split()]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_it_reads_and_writes_what_the_functions_do(sandbox, tmp_path, bits, has_alpha):
    alpha = noise(20, 30, 1, bits, seed=1)[:, :, 0] if has_alpha else None
    original = picture_of(noise(20, 30, 3, bits), bits, alpha=alpha, metadata=everything())
    direct, through = tmp_path / "direct.png", tmp_path / "through.png"
    encode(original, direct)
    info = sandbox.encode(original, through)
    assert through.read_bytes() == direct.read_bytes()
    assert (info.path, info.size_bytes, info.format) == (through, through.stat().st_size, "png")
    assert sandbox.read_header(direct, LIMITS) == read_header(direct, LIMITS)
    there, here = sandbox.decode(direct, LIMITS), decode(direct, LIMITS)
    np.testing.assert_array_equal(there.pixels, here.pixels)
    assert (there.alpha is None) == (here.alpha is None)
    if here.alpha is not None:
        np.testing.assert_array_equal(there.alpha, here.alpha)
    assert there.metadata == here.metadata
    assert (there.bit_depth, there.source_format, there.notices) == (bits, "png", here.notices)
    np.testing.assert_array_equal(sandbox.preview(here, 16), to_srgb_preview(here, 16))


def test_metadata_comes_back_byte_for_byte(sandbox, tmp_path):
    path = write_heic(
        tmp_path / "photo", scene(32, 48), exif=b"Exif\x00\x00" + everything().exif, icc_profile=rgb_profile()
    )
    assert sandbox.decode(path, LIMITS).metadata == decode(path, LIMITS).metadata


def test_what_the_functions_refuse_is_refused_with_the_same_words(sandbox, tmp_path):
    bomb = written(tmp_path, bomb_png(30000, 30000))
    started = time.monotonic()
    with pytest.raises(PhotoTooLargeError, match=r"900\.0 megapixels, and at most 50 megapixels"):
        sandbox.decode(bomb, LIMITS)
    assert time.monotonic() - started < 1
    with pytest.raises(UnsupportedFormatError, match="not a photo of a known kind"):
        sandbox.read_header(written(tmp_path, b"hello"), LIMITS)
    with pytest.raises(UnreadablePhotoError, match="empty"):
        sandbox.read_header(written(tmp_path, b""), LIMITS)
    with pytest.raises(PhotoTooLargeError, match="MiB"):
        sandbox.read_header(written(tmp_path, bytes(2000)), Limits(max_file_bytes=1000))
    clear = picture_of(scene(8, 8), alpha=scene(8, 8)[:, :, 0].copy())
    with pytest.raises(OutputError, match="transparency"):
        sandbox.encode(clear, tmp_path / "result.jpg", photo_format="jpeg")
    assert not (tmp_path / "result.jpg").exists()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("death", [b"exit", b"abort", b"segfault"])
def test_a_crash_is_one_sentence_and_the_next_photo_is_read(bad, tmp_path, death):
    with pytest.raises(UnreadablePhotoError, match=r"broke off; please .*\.$"):
        bad.decode(written(tmp_path, death), LIMITS)
    assert bad.decode(written(tmp_path, b"fine"), LIMITS).pixels.shape == (2, 3, 3)


@pytest.mark.parametrize("wait", [b"hang", b"sleep, deaf to alarms"])
def test_a_hang_ends_in_time_and_leaves_no_process(bad, tmp_path, wait):
    bad.warm()
    host = bad._host.process.pid
    started = time.monotonic()
    with pytest.raises(UnreadablePhotoError, match=r"took too long; please .*\.$"):
        bad.decode(written(tmp_path, wait), LIMITS)
    assert time.monotonic() - started < 5
    deadline = time.monotonic() + 5
    while children(host) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not children(host)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its memory")
def test_too_much_memory_is_refused_with_the_limit(bad, tmp_path):
    with pytest.raises(PhotoTooLargeError, match=r"more than the 1024 MiB of memory .*\.$"):
        bad.decode(written(tmp_path, b"hog"), LIMITS)


def test_a_bug_is_no_mistake_of_the_visitor(bad, tmp_path):
    with pytest.raises(RuntimeError, match="nobody thought of this") as raised:
        bad.decode(written(tmp_path, b"raise"), LIMITS)
    assert not isinstance(raised.value, SRError)


def test_workers_know_no_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with Sandbox(program=BAD) as box, pytest.raises(RuntimeError) as raised:
        box.decode(written(tmp_path, b"secret"), LIMITS)
    assert "HF_TOKEN" not in str(raised.value)
    assert "PATH" in str(raised.value)


def test_noise_of_libraries_is_not_heard(bad, tmp_path, capfd):
    bad.decode(written(tmp_path, b"write"), LIMITS)
    assert capfd.readouterr() == ("", "")


def test_a_worker_that_lies_of_its_samples_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setenv("LANG", "lies")
    with Sandbox(program=BAD) as box, pytest.raises(UnreadablePhotoError):
        box.decode(written(tmp_path, b"fine"), LIMITS)


def test_a_host_that_is_killed_is_replaced(sandbox, tmp_path):
    path = write_pillow(tmp_path / "photo", scene(8, 9), "png")
    first = sandbox.decode(path, LIMITS)
    os.kill(sandbox._host.process.pid, signal.SIGKILL)
    sandbox._host.process.wait()
    np.testing.assert_array_equal(sandbox.decode(path, LIMITS).pixels, first.pixels)


def test_nothing_is_left_open_or_on_disk(sandbox, bad, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    path = write_pillow(tmp_path / "photo.png", scene(40, 50), "png")
    sandbox.decode(path, LIMITS)
    bad.warm()
    before = open_files()
    for _ in range(5):
        picture = sandbox.decode(path, LIMITS)
        sandbox.preview(picture, 16)
        sandbox.encode(picture, tmp_path / "result.png")
        del picture
        with pytest.raises(UnreadablePhotoError):
            bad.decode(written(tmp_path, b"abort"), LIMITS)
    assert open_files() == before
    assert {file.name for file in tmp_path.iterdir()} == {"photo", "photo.png", "result.png"}


def test_many_threads_share_it(sandbox, tmp_path):
    paths = [write_pillow(tmp_path / f"{side}.png", scene(side, 2 * side), "png") for side in range(4, 20)]
    shapes: dict[int, tuple[int, ...]] = {}

    def read(index: int) -> None:
        shapes[index] = sandbox.decode(paths[index], LIMITS).pixels.shape

    threads = [threading.Thread(target=read, args=(index,)) for index in range(len(paths))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shapes == {index: (side, 2 * side, 3) for index, side in enumerate(range(4, 20))}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker ends only with its time")
def test_host_and_busy_worker_end_with_the_process_that_asked(tmp_path):
    written(tmp_path, b"sleep, deaf to alarms")
    code = (
        "import sys, threading, time\nfrom pathlib import Path\nfrom sr_core.image.header import Limits\n"
        f"from sr_core.image.sandbox import Sandbox\nbox = Sandbox(program={BAD!r})\nbox.warm()\n"
        "threading.Thread(target=box.decode, args=(Path(sys.argv[1]), Limits()), daemon=True).start()\n"
        "time.sleep(2)\nprint(box._host.process.pid, flush=True)\ntime.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "photo")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        host = int(owner.stdout.readline())
        (busy,) = children(host)
        owner.kill()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in (host, busy)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{host}").exists()
    assert not Path(f"/proc/{busy}").exists()


@pytest.mark.parametrize("trick", [b"announce too much", b"nonsense", b"descriptors"])
def test_a_reply_without_sense_is_one_sentence_and_leaves_nothing_open(bad, tmp_path, trick):
    bad.decode(written(tmp_path, b"fine"), LIMITS)
    before = open_files()
    for _ in range(3):
        with pytest.raises(UnreadablePhotoError, match=r"broke off; please .*\.$"):
            bad.decode(written(tmp_path, trick), LIMITS)
    assert open_files() == before


@pytest.mark.parametrize("trick", [b"drip", b"announce much"])
def test_a_reply_that_drips_ends_in_time_as_well(bad, tmp_path, trick):
    started = time.monotonic()
    with pytest.raises(UnreadablePhotoError, match="took too long"):
        bad.decode(written(tmp_path, trick), LIMITS)
    assert time.monotonic() - started < 6


def test_a_full_disk_is_no_bug(bad, tmp_path):
    with pytest.raises(OutputError, match=r"no room left on the disk .*\.$"):
        bad.decode(written(tmp_path, b"full disk"), LIMITS)


def test_a_host_that_answers_late_is_replaced_and_its_answers_go_to_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr("sr_core.image.sandbox._START_SECONDS", 3.0)
    path = write_pillow(tmp_path / "photo", scene(8, 9), "png")
    with Sandbox() as box:
        box.decode(path, LIMITS)
        stopped = box._host.process.pid
        os.kill(stopped, signal.SIGSTOP)
        assert box.decode(path, LIMITS).pixels.shape == (8, 9, 3)
        assert box._host.process.pid != stopped


def test_hosts_killed_under_load_cost_sentences_at_most(sandbox, tmp_path):
    path = write_pillow(tmp_path / "photo", scene(300, 400), "png")
    foreign: list[Exception] = []

    def read() -> None:
        for _ in range(20):
            try:
                sandbox.decode(path, LIMITS)
            except UnreadablePhotoError:
                pass
            except Exception as error:  # noqa: BLE001 - what must not be
                foreign.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        host = sandbox._host
        if host is not None:
            os.kill(host.process.pid, signal.SIGKILL)
        time.sleep(0.7)
    assert foreign == []


def test_an_array_in_a_file_is_not_copied_again():
    array = copy_of(np.arange(60, dtype=np.uint16).reshape(4, 5, 3))
    assert copy_of(array) is array
    assert descriptor_of(array) == descriptor_of(array.reshape(20, 3))
    for part in (array[1:], array[:, ::2], array.transpose(1, 0, 2)):
        assert descriptor_of(part) is None
        copy = copy_of(part)
        np.testing.assert_array_equal(copy, part)
        copy[...] = 0
    assert array.max() == 59
