import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch

from sr_core import cli
from sr_core.arch.build import build
from sr_core.arch.weights import save_weights
from sr_core.errors import UnknownModelError
from sr_core.image.decode import Limits, decode
from sr_core.image.encode import encode
from sr_core.image.picture import PhotoFormat, Picture
from sr_core.infer.engine import ComputeChoice
from sr_core.infer.estimate import Speed
from sr_core.infer.model import LoadedModel, open_model
from sr_core.infer.tiles import Tiling
from sr_core.infer.upscale import TileProgress
from sr_core.spec import Variant, swinir_spec
from tests.sr_core.infer.fake_engines import FakeEngine, nearest


class Zoo:
    """Resolves ids to an engine that repeats pixels, and notes what it was asked for."""

    def __init__(self) -> None:
        self.engine = FakeEngine(nearest)
        self.asked: list[tuple[str | None, ComputeChoice]] = []

    def __call__(self, model_id: str | None, compute: ComputeChoice) -> LoadedModel:
        self.asked.append((model_id, compute))
        if model_id == "none":
            raise UnknownModelError("There is no model 'none'.")
        return LoadedModel(id="nearest", engine=self.engine, tiling=Tiling(tile=32, overlap=8))


@pytest.fixture
def zoo() -> Zoo:
    return Zoo()


def write_photo(path: Path, photo_format: PhotoFormat = "png", *, seed: int = 0, alpha: bool = False) -> Picture:
    rng = np.random.default_rng(seed)
    picture = Picture(pixels=rng.integers(0, 256, (20, 30, 3), np.uint8), bit_depth=8)
    if alpha:
        picture = replace(picture, alpha=rng.integers(0, 256, (20, 30), np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    encode(picture, path, photo_format=photo_format)
    return picture


def run(zoo: Zoo, *arguments: object) -> int:
    return cli.main(["upscale", *map(str, arguments)], zoo)


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_photo_becomes_a_file(zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = write_photo(tmp_path / "a.png")
    assert run(zoo, tmp_path / "a.png", "-o", tmp_path / "b.png") == 0
    assert (decode(tmp_path / "b.png", Limits()).pixels == picture.pixels.repeat(2, 0).repeat(2, 1)).all()
    assert zoo.asked == [(None, "auto")]
    assert "1 done, 0 skipped, 0 failed" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "photo_format"), [("b.JPG", "jpeg"), ("b.webp", "webp"), ("b.png", "png")])
def test_the_extension_of_a_file_says_its_family(zoo: Zoo, tmp_path: Path, name: str, photo_format: str) -> None:
    write_photo(tmp_path / "a.png")
    assert run(zoo, tmp_path / "a.png", "-o", tmp_path / name) == 0
    assert decode(tmp_path / name, Limits()).source_format == photo_format


def test_folders_and_photos_keep_their_families(zoo: Zoo, tmp_path: Path) -> None:
    write_photo(tmp_path / "in" / "a.jpeg", "jpeg")
    write_photo(tmp_path / "in" / "misnamed.jpg", "png")
    write_photo(tmp_path / "in" / "deeper" / "c.png")
    write_photo(tmp_path / "in" / ".hidden.png")
    (tmp_path / "in" / "notes.txt").write_text("x")
    write_photo(tmp_path / "other.webp", "webp")
    assert run(zoo, tmp_path / "in", tmp_path / "other.webp", "-o", tmp_path / "out") == 0
    assert files_in(tmp_path / "out") == ["a_x2.jpg", "misnamed_x2.png", "other_x2.webp"]


def test_recursive_keeps_the_folders_and_leaves_out_earlier_results(zoo: Zoo, tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")
    write_photo(tmp_path / "deep" / "er" / "a.png")
    write_photo(tmp_path / ".trash" / "a.png")
    for _ in range(2):
        assert run(zoo, tmp_path, "-o", tmp_path / "out", "--recursive") == 0
    assert files_in(tmp_path / "out") == ["a_x2.png", "deep/er/a_x2.png"]


def test_results_beside_the_photos_are_not_upscaled_again(zoo: Zoo, tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")
    write_photo(tmp_path / "trip_x2.png")  # a photo of its own: there is no "trip"
    for _ in range(2):
        assert run(zoo, tmp_path, "-o", tmp_path) == 0
    assert files_in(tmp_path) == ["a.png", "a_x2.png", "trip_x2.png", "trip_x2_x2.png"]


def test_format_changes_the_family(zoo: Zoo, tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")
    assert run(zoo, tmp_path / "a.png", "-o", tmp_path / "out", "--format", "jpeg") == 0
    assert decode(tmp_path / "out" / "a_x2.jpg", Limits()).source_format == "jpeg"


def test_a_second_run_goes_on_where_the_first_stopped(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write_photo(tmp_path / f"{name}.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_x2.png").write_bytes(b"kept")
    assert run(zoo, tmp_path, "-o", tmp_path / "out") == 0
    assert (tmp_path / "out" / "a_x2.png").read_bytes() == b"kept"
    assert "1 done, 1 skipped, 0 failed" in capsys.readouterr().out
    assert run(zoo, tmp_path, "-o", tmp_path / "out", "--overwrite") == 0
    assert (tmp_path / "out" / "a_x2.png").read_bytes() != b"kept"


def test_a_photo_that_fails_does_not_stop_the_others(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(b"no photo")
    write_photo(tmp_path / "b.png")
    assert run(zoo, tmp_path / "a.png", tmp_path / "missing.png", tmp_path / "b.png", "-o", tmp_path / "out") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"failed   {tmp_path / 'a.png'}: This file is not a photo")
    assert lines[1] == f"failed   {tmp_path / 'missing.png'}: No such file or directory."
    assert lines[2].startswith(f"done     {tmp_path / 'b.png'} -> {tmp_path / 'out' / 'b_x2.png'} (")
    assert lines[3] == "1 done, 0 skipped, 2 failed"
    assert files_in(tmp_path / "out") == ["b_x2.png"]


def test_photos_that_would_share_a_result_all_fail(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo(tmp_path / "in" / "a.png")
    write_photo(tmp_path / "in" / "a.webp", "webp")
    write_photo(tmp_path / "in" / "b.png")
    for state in ("done", "skipped"):
        assert run(zoo, tmp_path / "in", "-o", tmp_path / "out", "--format", "png") == 1
        lines = capsys.readouterr().out.splitlines()
        assert all("would be the result of another photo" in line for line in lines[:2])
        assert lines[2].startswith(state)
    assert files_in(tmp_path / "out") == ["b_x2.png"]


def test_a_result_is_not_taken_for_that_of_another_photo(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo(tmp_path / "in" / "a.webp", "webp")
    assert run(zoo, tmp_path / "in", "-o", tmp_path / "out", "--format", "png") == 0
    before = (tmp_path / "out" / "a_x2.png").read_bytes()
    write_photo(tmp_path / "in" / "a.png", seed=1)
    for overwrite in ((), ("--overwrite",)):
        assert run(zoo, tmp_path / "in", "-o", tmp_path / "out", "--format", "png", *overwrite) == 1
        assert capsys.readouterr().out.endswith("0 done, 0 skipped, 2 failed\n")
    assert (tmp_path / "out" / "a_x2.png").read_bytes() == before


def test_names_are_compared_with_the_family_that_a_photo_really_has(zoo: Zoo, tmp_path: Path) -> None:
    write_photo(tmp_path / "in" / "a.png")
    write_photo(tmp_path / "in" / "a.webp", "webp")
    assert run(zoo, tmp_path / "in", "-o", tmp_path / "out") == 0
    write_photo(tmp_path / "in" / "b.png")
    write_photo(tmp_path / "in" / "b.jpg", "png")  # misnamed
    assert run(zoo, tmp_path / "in", "-o", tmp_path / "out") == 1
    assert files_in(tmp_path / "out") == ["a_x2.png", "a_x2.webp"]


def test_a_photo_that_is_given_twice_is_no_rival_of_itself(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo(tmp_path / "in" / "a.png")
    again = tmp_path / "in" / ".." / "in" / "a.png"
    assert run(zoo, tmp_path / "in", tmp_path / "in" / "a.png", again, "-o", tmp_path / "out") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["done", "skipped"]


def test_a_photo_is_never_replaced_by_its_result(zoo: Zoo, tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    assert run(zoo, tmp_path / "a.png", "-o", tmp_path / "." / "a.png", "--overwrite") == 1
    assert (tmp_path / "a.png").read_bytes() == before


def test_what_a_family_cannot_hold_is_refused_before_any_work(zoo: Zoo, tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", alpha=True)
    assert run(zoo, tmp_path / "a.png", "-o", tmp_path / "a.jpg") == 1
    assert zoo.engine.shapes == []


def test_photos_beyond_the_limit_are_refused(zoo: Zoo, tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")
    assert run(zoo, tmp_path / "a.png", "-o", tmp_path / "out", "--max-megapixels", "0.0005") == 1
    assert run(zoo, tmp_path / "a.png", "-o", tmp_path / "out", "--max-megapixels", "0.0006") == 0


def test_an_interrupted_run_leaves_no_partial_file(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        write_photo(tmp_path / f"{name}.png")

    def interrupted(tiles: torch.Tensor, scale: int) -> torch.Tensor:
        if (tmp_path / "out" / "a_x2.png").exists():
            raise KeyboardInterrupt
        return nearest(tiles, scale)

    zoo.engine.function = interrupted
    assert run(zoo, tmp_path, "-o", tmp_path / "out") == 130
    assert files_in(tmp_path / "out") == ["a_x2.png"]
    assert "1 done, 0 skipped, 0 failed" in capsys.readouterr().out


def test_a_bug_is_not_swallowed(zoo: Zoo, tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")

    def broken(tiles: torch.Tensor, scale: int) -> torch.Tensor:
        raise ZeroDivisionError

    zoo.engine.function = broken
    with pytest.raises(ZeroDivisionError):
        run(zoo, tmp_path / "a.png", "-o", tmp_path / "out")


def test_what_was_done_is_told_before_a_bug(zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b", "c"):
        write_photo(tmp_path / f"{name}.png")

    def broken(tiles: torch.Tensor, scale: int) -> torch.Tensor:
        if (tmp_path / "out" / "a_x2.png").exists():
            raise RuntimeError("shapes do not fit")
        return nearest(tiles, scale)

    zoo.engine.function = broken
    with pytest.raises(RuntimeError, match="do not fit"):
        run(zoo, tmp_path, "-o", tmp_path / "out")
    assert "1 done, 0 skipped, 0 failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you..."
        ),
        RuntimeError("[enforce fail] data. DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    ],
)
def test_too_little_memory_does_not_stop_the_others(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    for name in ("a", "b"):
        write_photo(tmp_path / f"{name}.png")

    def hungry(tiles: torch.Tensor, scale: int) -> torch.Tensor:
        if len(zoo.engine.shapes) == 1:
            raise error
        return nearest(tiles, scale)

    zoo.engine.function = hungry
    assert run(zoo, tmp_path, "-o", tmp_path / "out") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"failed   {tmp_path / 'a.png'}: There was not enough memory for this photo; ")
    assert lines[-1] == "1 done, 0 skipped, 1 failed"
    assert files_in(tmp_path / "out") == ["b_x2.png"]


def test_torch_says_what_is_recognized_as_too_little_memory(zoo: Zoo, tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")

    def greedy(tiles: torch.Tensor, scale: int) -> torch.Tensor:
        return torch.empty(2**60, dtype=torch.uint8)

    zoo.engine.function = greedy
    assert run(zoo, tmp_path / "a.png", "-o", tmp_path / "out") == 1


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_told_the_time_left_before_the_first_tile(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        write_photo(tmp_path / f"{name}.png")
    measured: list[Tiling] = []

    def calibrate(engine: FakeEngine, tiling: Tiling) -> Speed:
        measured.append(tiling)
        return Speed(seconds_per_megapixel=20_000.0)

    monkeypatch.setattr(cli, "calibrate", calibrate)
    assert run(zoo, tmp_path, "-o", tmp_path / "quiet") == 0
    assert measured == []
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert run(zoo, tmp_path, "-o", tmp_path / "out", "--tile", "32") == 0
    assert measured == [Tiling(tile=32, overlap=8)]
    bars = [bar for bar in terminal.getvalue().split("\r") if "left" in bar]
    for name in ("a", "b"):
        first = next(bar for bar in bars if bar.startswith(name))
        assert re.search(r"0/\d+ tiles, about \d+ (s|min) left", first)
    assert "tile/s" not in terminal.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.0, ""),
        (0.2, "about 1 s left"),
        (41.0, "about 40 s left"),
        (200.0, "about 3 min left"),
        (9000.0, "about 2.5 h left"),
    ],
)
def test_the_time_left_is_rounded(seconds: float | None, text: str) -> None:
    assert cli._time_left(TileProgress(done=0, total=1, seconds=0.0, seconds_left=seconds)) == text


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize(
    ("processors", "arguments", "threads"),
    [(2, (), 2), (8, (), 3), (2, ("--threads", "1"), 1), (1, ("--threads", 4), 4)],
)
def test_threads_are_those_asked_for_or_at_most_the_free_processors(
    zoo: Zoo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    processors: int,
    arguments: tuple[object, ...],
    threads: int,
) -> None:
    write_photo(tmp_path / "a.png")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    assert run(zoo, tmp_path / "a.png", "-o", tmp_path / "out", *arguments) == 0
    assert torch.get_num_threads() == threads


def test_options_reach_the_model(zoo: Zoo, tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png")
    tiling = ("--tile", 16, "--overlap", 8, "--batch", 3)
    choice = ("--model", "m", "--precision", "bfloat16")
    assert run(zoo, tmp_path / "a.png", "-o", tmp_path / "out", *tiling, *choice) == 0
    assert zoo.asked == [("m", "bfloat16")]
    assert {shape[2:] for shape in zoo.engine.shapes} == {(16, 16)}
    assert max(shape[0] for shape in zoo.engine.shapes) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--tile", "0"), "at least 1 pixel"),
        (("--tile", "4", "--overlap", "0"), "smaller than the network's window"),
        (("--overlap", "20"), "too small for an overlap of 20"),
        (("--model", "none"), "There is no model 'none'."),
        (("--max-megapixels", "0"), "must be positive"),
        (("--max-megapixels", "nan"), "must be positive"),
        (("--max-megapixels", "inf"), "must be positive"),
        (("--max-megapixels", "1e308"), "must be positive"),
        (("--threads", "0"), "at least 1"),
        (("--precision", "int8"), "invalid choice"),
        (("--format", "gif"), "invalid choice"),
        (("--unknown",), "unrecognized"),
    ],
)
def test_wrong_usage_is_refused_before_any_work(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    write_photo(tmp_path / "a.png")
    try:
        status = run(zoo, tmp_path / "a.png", "-o", tmp_path / "out", *arguments)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


def test_a_file_cannot_hold_several_results(zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        write_photo(tmp_path / "in" / f"{name}.png")
    photos = (tmp_path / "in" / "a.png", tmp_path / "in" / "b.png")
    assert run(zoo, *photos, "-o", tmp_path / "c.png") == 2
    assert run(zoo, tmp_path / "in", "-o", tmp_path / "c.png") == 2
    assert run(zoo, photos[0], "-o", tmp_path / "c.png", "--format", "jpeg") == 2
    assert "is not the name of a jpeg file" in capsys.readouterr().err
    (tmp_path / "folder.png").mkdir()
    assert run(zoo, *photos, "-o", tmp_path / "folder.png") == 0


def test_a_name_that_is_neither_result_nor_folder_is_refused(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo(tmp_path / "a.png")
    (tmp_path / "notes").write_text("x")
    for name in ("result.bmp", "notes"):
        assert run(zoo, tmp_path / "a.png", "-o", tmp_path / name) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert all(suffix in error for suffix in (name, ".jpg", ".png", ".webp", ".heic"))
    assert files_in(tmp_path) == ["a.png", "notes"]
    (tmp_path / "trip.2024").mkdir()
    for folder in ("trip.2024", "new"):
        assert run(zoo, tmp_path / "a.png", "-o", tmp_path / folder) == 0
        assert files_in(tmp_path / folder) == ["a_x2.png"]


def test_an_empty_folder_is_wrong_usage(zoo: Zoo, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert run(zoo, tmp_path / "in", "-o", tmp_path / "out") == 2


def test_json_is_the_only_output(zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_photo(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    assert run(zoo, tmp_path, "-o", tmp_path / "out", "--json") == 1
    outcomes = json.loads(capsys.readouterr().out)
    assert [outcome["state"] for outcome in outcomes] == ["done", "failed"]
    assert outcomes[0]["result"] == str(tmp_path / "out" / "a_x2.png")
    assert outcomes[0]["seconds"] > 0
    assert "empty" in outcomes[1]["message"]
    assert outcomes[1]["result"] is None


def test_notices_are_told(zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    deep = Picture(pixels=rng.integers(0, 65536, (10, 10, 3), np.uint16), bit_depth=16)
    encode(deep, tmp_path / "a.png")
    assert run(zoo, tmp_path / "a.png", "-o", tmp_path / "a.jpg") == 0
    assert "16 bits of a sample become 8" in capsys.readouterr().out


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    spec = swinir_spec(scale=3, embed_dim=8, depths=(2,), heads=2)
    variant = Variant(family="tiny", spec=spec, task="lightweight", trained="not", precision="float16")
    torch.manual_seed(0)
    save_weights(build(spec), tmp_path / "tiny.safetensors", variant)
    return tmp_path / "tiny.safetensors"


def test_a_model_can_be_a_weight_file(zoo: Zoo, tmp_path: Path, weights: Path) -> None:
    write_photo(tmp_path / "a.png")
    assert run(zoo, tmp_path / "a.png", "-o", tmp_path / "out", "--model", weights, "--precision", "float32") == 0
    assert decode(tmp_path / "out" / "a_x3.png", Limits()).pixels.shape == (60, 90, 3)
    assert zoo.asked == []
    model = open_model(weights, "float32")
    assert (model.id, model.engine.scale, model.engine.compute) == ("tiny-x3-not-float16", 3, "float32")


def test_a_weight_file_that_is_damaged_or_missing_is_refused(
    zoo: Zoo, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photo(tmp_path / "a.png")
    data = weights.read_bytes()
    weights.write_bytes(data[: len(data) // 2])
    for path in (weights, tmp_path / "missing.safetensors"):
        assert run(zoo, tmp_path / "a.png", "-o", tmp_path / "out", "--model", path) == 1
    assert "is missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
