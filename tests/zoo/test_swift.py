"""The Swift sample: its syntax, its arithmetic, and what 8-bit tiles change of a picture.

Where a Swift interpreter is on the path, or ``SWIFT`` names one, the sample itself runs, with stand-ins for Apple's
frameworks.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import tree_sitter_swift
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tree_sitter import Language, Node, Parser

from sr_core.arch.padding import mirror_indices
from sr_core.image.picture import Picture
from sr_core.infer.engine import Engine
from sr_core.infer.tiles import Axis, Tiling, blend_weights, plan_tiles
from sr_core.infer.upscale import run_to_end, upscale
from tests.sr_core.infer.fake_engines import FakeEngine, nearest
from tests.zoo.swift.arithmetic import Int, swift_functions
from tests.zoo.swift.phone import phone_picture
from zoo.catalogue import load_model
from zoo.manifest import HOME, load_manifest
from zoo.release import Release
from zoo.sample import CHECK_SIZES, swift_sample

TILING = Tiling(tile=64, overlap=24, fixed=True)  # of the fixture ``packed``
STAND_INS = Path(__file__).parent / "swift"
Pixels = NDArray[np.uint8]


def with_tiles(release: Release, tile: int, overlap: int, scale: int) -> Release:
    assert release.coreml is not None
    spec = replace(release.variant.spec, scale=scale)
    record = replace(release.coreml, tile=tile, overlap=overlap)
    return replace(release, variant=replace(release.variant, spec=spec), coreml=record)


def parsed(text: str) -> Node:
    return Parser(Language(tree_sitter_swift.language())).parse(text.encode()).root_node


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


@pytest.fixture
def swift(packed: Release) -> SimpleNamespace:
    """The functions of the sample."""
    return swift_functions(swift_sample(packed))


@pytest.mark.parametrize(("tile", "overlap", "scale"), [(64, 24, 2), (128, 32, 3), (64, 0, 4)])
def test_it_parses_and_holds_the_numbers_of_the_release(packed: Release, tile: int, overlap: int, scale: int) -> None:
    release = with_tiles(packed, tile, overlap, scale)
    text = swift_sample(release)
    assert [node for node in nodes(parsed(text)) if node.is_error or node.is_missing] == []
    assert "{{" not in text
    assert release.id in text
    assert "TinyX2DrawnFloat16_T64.mlpackage" in text
    assert max(map(len, text.splitlines())) <= 120
    assert vars(swift_functions(text).TileRecipe) == {
        "tile": tile,
        "overlap": overlap,
        "margin": 8,
        "ramp": overlap // 4,
        "scale": scale,
        "weightSum": 4096,
        "input": "image",
        "output": "upscaled",
    }


def test_the_parser_sees_what_is_no_swift(packed: Release) -> None:
    text = swift_sample(packed)
    assert parsed(text.replace("return differing\n", "return differing)\n")).has_error


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), size=st.integers(1, 2000), scale=st.sampled_from((2, 3, 4)), tile=st.sampled_from((64, 128)))
def test_its_tiles_and_weights_are_those_of_the_page(
    swift: SimpleNamespace, data: st.DataObject, size: int, scale: int, tile: int
) -> None:
    overlap = data.draw(st.sampled_from(range(0, tile // 2 + 1, 8)), "overlap")
    numbers = {"tile": tile, "overlap": overlap, "ramp": overlap // 4, "scale": scale}
    vars(swift.TileRecipe).update({name: Int(value) for name, value in numbers.items()})
    axis = plan_tiles(size, size, 8, Tiling(tile=tile, overlap=overlap, fixed=True)).rows
    padded = swift.paddedSize(Int(size))
    starts = swift.tileStarts(padded)
    assert padded == axis.padded
    assert tuple(starts) == axis.starts
    assert swift.mirrored(Int(size), padded) == mirror_indices(size, axis.padded, lead=axis.lead)
    weights = blend_weights(axis, scale)
    for index in {0, len(starts) // 2, len(starts) - 1}:
        assert tuple(swift.tileWeights(starts, Int(index))) == weights[index]
        assert min(weights[index]) >= 0  # its sums have no sign


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.integers(0, 254), rest=st.one_of(st.just(2**23), st.integers(0, 2**24 - 1)))
def test_it_rounds_as_the_page_does(swift: SimpleNamespace, value: int, rest: int) -> None:
    total = value * 4096**2 + rest
    assert swift.rounded(Int(total)) == np.rint(total / 4096**2)
    assert total + 4096**2 < 2**32  # what its sums hold


def test_its_own_check_finds_nothing(swift: SimpleNamespace) -> None:
    assert [check.size for check in swift.checks] == list(CHECK_SIZES)
    assert swift.selfCheck() == []


@pytest.mark.parametrize(
    ("written", "changed"),
    [
        ("static let overlap = 24", "static let overlap = 16"),
        ("static let margin = 8", "static let margin = 16"),
        ("static let ramp = 6", "static let ramp = 24"),
        ("static let scale = 2", "static let scale = 3"),
        ("size + 2 * TileRecipe.margin", "size + TileRecipe.margin"),
        ("return max(windows * TileRecipe.margin, TileRecipe.tile)", "return windows * TileRecipe.margin"),
        ("index * windows / max(count - 1, 1) * TileRecipe.margin", "index * step"),
        ("period - 1 - at", "period - at"),
        ("turned < 0 ? turned + period : turned", "turned"),
        ("3 * whole - 2 * part", "whole"),
        ("+ cube) / (2 * cube)", ") / (2 * cube)"),
        ("index + 1 < starts.count", "index + 2 < starts.count"),
        ("(ends - TileRecipe.ramp)", "ends"),
    ],
)
def test_its_own_check_sees_every_change_of_the_recipe(packed: Release, written: str, changed: str) -> None:
    text = re.sub(r" +\(size: 4032.*?\]\),\n", "", swift_sample(packed), flags=re.DOTALL)  # which takes longest
    assert text.count(written) == 1
    assert "4032" not in text
    assert swift_functions(text.replace(written, changed)).selfCheck() != []


class TestEightBits:
    """What it changes that the package gives tiles of 8 bits, which are blended and rounded once more."""

    @given(st.integers(0, 4096), st.floats(-60, 320), st.floats(-1.999, 1.999))
    def test_tiles_that_differ_by_less_than_two_steps_change_a_value_by_one(
        self, weight: int, value: float, difference: float
    ) -> None:
        values = np.array([value, value + difference])
        shares = np.array([weight, 4096 - weight]) / 4096
        page = np.rint(np.clip(values @ shares, 0, 255))
        phone = np.rint(np.rint(np.clip(values, 0, 255)) @ shares)
        assert abs(page - phone) <= 1

    def test_it_changes_nothing_where_tiles_agree(self) -> None:
        pixels = np.random.default_rng(1).integers(0, 256, (90, 131, 3), np.uint8)
        page, phone = both(pixels, FakeEngine(nearest, notes=False), TILING)
        assert np.array_equal(page, phone)
        assert np.array_equal(phone, pixels.repeat(2, 0).repeat(2, 1))

    def test_tiles_that_differ_change_values_in_ramps_alone_by_one_step(self) -> None:
        pixels = np.random.default_rng(2).integers(0, 256, (90, 131, 3), np.uint8)
        page, phone = both(pixels, FakeEngine(tilted, notes=False), TILING)
        changed = np.abs(page - phone)
        assert changed.max() == 1
        plan = plan_tiles(90, 131, 8, TILING)
        rows, columns = in_ramps(plan.rows), in_ramps(plan.columns)
        assert not changed[~(rows[:, None] | columns)].any()
        assert 0.2 < (rows[:, None] | columns).mean() < 0.5

    def test_the_model_that_ships_changes_by_one_step_at_most(self) -> None:
        release = next(one for one in load_manifest().releases if one.variant.family == "swinir-quick")
        with Image.open(HOME.parent / "ui" / "examples" / "cat.jpg") as image:
            left, top = image.width // 2, image.height // 2
            pixels = np.asarray(image.convert("RGB").crop((left, top, left + 120, top + 48)))
        page, phone = both(pixels, load_model(release, "float32").engine, TILING)
        changed = np.abs(page - phone)
        assert changed.max() <= 1
        assert changed.mean() < 0.001
        assert page.std() > 10


def both(pixels: Pixels, engine: Engine, tiling: Tiling) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The picture that the page makes, and the one that the phone makes, with the same tiles."""

    def enlarge(tile: Pixels) -> Pixels:
        [result] = engine.run(torch.from_numpy(tile.astype(np.float32).transpose(2, 0, 1)[None] / np.float32(255)))
        return np.rint(np.clip(result.numpy() * np.float32(255), 0, 255)).astype(np.uint8).transpose(1, 2, 0)

    page = run_to_end(upscale(Picture(pixels=pixels, bit_depth=8), engine, tiling)).pixels
    return page.astype(np.int64), phone_picture(pixels, enlarge, 2, tiling).astype(np.int64)


def tilted(tiles: Tensor, scale: int) -> Tensor:
    """Nearest neighbours, darker at the left of a tile and brighter at its right, by less than two steps."""
    ramp = torch.linspace(-1.9, 1.9, tiles.shape[3] * scale) / 255
    return nearest(tiles, scale) + ramp


def in_ramps(axis: Axis) -> NDArray[np.bool_]:
    """Whether a row or column of the picture lies where one tile takes over from another."""
    found = np.zeros(axis.padded * 2, np.bool_)
    for start, weights in zip(axis.starts, blend_weights(axis, 2), strict=True):
        found[start * 2 : (start + axis.tile) * 2] |= (np.array(weights) > 0) & (np.array(weights) < 4096)
    return found[axis.lead * 2 : (axis.lead + axis.size) * 2]


SWIFT = os.environ.get("SWIFT") or shutil.which("swift")


@pytest.mark.slow
@pytest.mark.skipif(SWIFT is None, reason="no Swift interpreter on the path, and SWIFT names none")
class TestInSwift:
    """The sample as a program, with stand-ins for Apple's frameworks, without a warning."""

    def run(self, release: Release, tmp_path: Path, *arguments: str, version: int = 5) -> list[str]:
        text = re.sub(r"^import Core\w+\n", "", swift_sample(release), flags=re.MULTILINE)
        for name in ("StandIns.swift", "Driver.swift"):
            text += (STAND_INS / name).read_text(encoding="utf-8")
        (tmp_path / "main.swift").write_text(text, encoding="utf-8")
        command = [str(SWIFT), "-swift-version", str(version), "-warnings-as-errors", str(tmp_path / "main.swift")]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    @pytest.mark.parametrize(("tile", "overlap", "scale"), [(64, 24, 2), (128, 40, 3), (64, 0, 4)])
    def test_its_plans_are_those_of_the_page(
        self, packed: Release, tmp_path: Path, tile: int, overlap: int, scale: int
    ) -> None:
        sizes = [*range(1, 300, 7), 1000, 4032]
        release = with_tiles(packed, tile, overlap, scale)
        differing, *plans = self.run(release, tmp_path, "plan", *map(str, sizes))
        assert differing == "[]"
        for size, plan in zip(sizes, plans, strict=True):
            axis = plan_tiles(size, size, 8, Tiling(tile=tile, overlap=overlap, fixed=True)).rows
            padded, starts, sources, weights = map(json.loads, plan.split(";"))
            assert (padded, tuple(starts)) == (axis.padded, axis.starts)
            assert sources == mirror_indices(size, axis.padded, lead=8)
            assert tuple(map(tuple, weights)) == blend_weights(axis, scale)

    @pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 40), (93, 150)])
    def test_its_picture_is_the_one_that_was_foretold(
        self, packed: Release, tmp_path: Path, height: int, width: int
    ) -> None:
        pixels = np.random.default_rng(height).integers(0, 256, (height, width, 4), np.uint8)
        (tmp_path / "photo").write_bytes(pixels.tobytes())
        names = str(tmp_path / "photo"), str(tmp_path / "larger")
        *progress, last = self.run(packed, tmp_path, "upscale", str(height), str(width), *names)
        assert last == f"{2 * height} {2 * width} own"
        plan = plan_tiles(height, width, 8, TILING)
        assert np.allclose([float(part) for part in progress], np.arange(1, plan.tiles + 1) / plan.tiles)
        result = np.frombuffer((tmp_path / "larger").read_bytes(), np.uint8).reshape(2 * height, 2 * width, 4)
        assert np.array_equal(result[:, :, :3], phone_picture(pixels[:, :, :3], patterned, 2, TILING))
        assert (result[:, :, 3] == 255).all()

    @pytest.mark.parametrize("version", [5, 6])
    def test_it_refuses_and_stops(self, packed: Release, tmp_path: Path, version: int) -> None:
        other, missing, clear, *solid, last_tile, stopped = self.run(packed, tmp_path, "refuse", version=version)
        assert other.startswith("The model does not take the picture “image” of 64 pixels a side")
        assert missing
        assert clear == "The photo has transparent pixels; put it on a background first."
        assert solid == ["sRGB", "no error"]
        assert last_tile == "no error"  # nothing was left to stop
        assert stopped == "cancelled"


def patterned(tile: Pixels) -> Pixels:
    """What the driver's network makes of a tile."""
    row, column, channel = np.ogrid[: 2 * tile.shape[0], : 2 * tile.shape[1], :3]
    pattern = (7 * row + 13 * column + 5 * channel) % 41 - 20
    return np.clip(tile.repeat(2, 0).repeat(2, 1) + pattern, 0, 255).astype(np.uint8)
