"""Weight files: read as coremltools writes them, and refused in one sentence when anything is wrong."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_core.coreml.blob import open_weights, unpack_bits
from sr_core.errors import PackageError
from tests.sr_core.coreml.packages import tools

KINDS = {
    "float16": ("fp16", "float16"),
    "float32": ("float", "float32"),
    "int8": ("int8", "int8"),
    "uint8": ("uint8", "uint8"),
    "int16": ("int16", "int16"),
    "uint16": ("uint16", "uint16"),
    "int32": ("int32", "int32"),
    "uint32": ("uint32", "uint32"),
    "int4": ("int4", "int8"),
    "uint1": ("uint1", "uint8"),
    "uint2": ("uint2", "uint8"),
    "uint3": ("uint3", "uint8"),
    "uint4": ("uint4", "uint8"),
    "uint6": ("uint6", "uint8"),
}
"""For each type, what coremltools calls it and in which type of numpy its values stand."""


def values_of(kind: str, count: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(count)
    dtype = np.dtype(KINDS[kind][1])
    if dtype.kind == "f":
        return rng.normal(size=count).astype(dtype)
    bits = int("".join(letter for letter in kind if letter.isdigit()))
    low, high = (0, 2**bits) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    return rng.integers(low, high, count).astype(dtype)


def write(path: Path, tensors: list[tuple[str, np.ndarray[Any, Any]]]) -> list[int]:
    """Writes tensors with coremltools' own writer; returns their offsets."""
    tools()
    writer = importlib.import_module("coremltools.libmilstoragepython")._BlobStorageWriter(str(path))
    as_stored = [(kind, values.view(np.uint16) if kind == "float16" else values) for kind, values in tensors]
    return [getattr(writer, f"write_{KINDS[kind][0]}_data")(values) for kind, values in as_stored]


@pytest.fixture
def file(tmp_path: Path) -> tuple[Path, list[int], list[tuple[str, np.ndarray[Any, Any]]]]:
    tensors = [(kind, values_of(kind, 101 + number)) for number, kind in enumerate(KINDS)]
    path = tmp_path / "weight.bin"
    return path, write(path, tensors), tensors


def test_every_type_is_read_as_it_was_written(file: Any) -> None:
    path, offsets, tensors = file
    weights = open_weights(path)
    assert list(weights.blobs) == offsets
    for offset, (kind, values) in zip(offsets, tensors, strict=True):
        read = weights.read(offset, kind, len(values))
        assert read.dtype == values.dtype
        np.testing.assert_array_equal(read, values)


def test_a_file_that_is_cut_anywhere_is_refused(file: Any) -> None:
    path, *_ = file
    whole = path.read_bytes()
    for length in [*range(0, 300), *range(300, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(PackageError, match=r"cut short|holds"):
            open_weights(path)


@pytest.mark.parametrize(
    ("at", "data", "sentence"),
    [
        (4, b"\x03", "version"),
        (0, b"\x0d", "more follows"),
        (0, b"\x0f", "cut short"),
        (64, b"\x00", "no tensor"),
        (68, b"\x05", "no tensor"),
        (80, b"\x81", "no tensor"),
        (72, b"\xcb", "describes 203 bytes of float16"),
        (78, b"\x01", "cut short"),
        (88, b"\x08", "describes 202 bytes"),
        (88, b"\x01", "describes 202 bytes"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(file: Any, at: int, data: bytes, sentence: str) -> None:
    path, *_ = file
    whole = bytearray(path.read_bytes())
    assert whole[at : at + 1] != data
    whole[at : at + 1] = data
    path.write_bytes(whole)
    with pytest.raises(PackageError, match=sentence):
        open_weights(path)


def test_a_tensor_is_read_only_as_what_it_is(file: Any) -> None:
    path, offsets, tensors = file
    weights = open_weights(path)
    kind, values = tensors[0]
    for offset, dtype, count in (
        (offsets[0] + 64, kind, len(values)),
        (offsets[0], "uint16", len(values)),
        (offsets[0], kind, len(values) - 1),
        (offsets[-1], "uint6", len(tensors[-1][1]) + 1),
    ):
        with pytest.raises(PackageError, match="expects"):
            weights.read(offset, dtype, count)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="missing"):
        open_weights(tmp_path / "weight.bin")


@given(st.integers(1, 8), st.booleans(), st.data())
def test_bits_come_back_as_they_were_packed(bits: int, signed: bool, data: st.DataObject) -> None:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    values = data.draw(st.lists(st.integers(low, high), max_size=40))
    stream = sum((value % 2**bits) << (bits * place) for place, value in enumerate(values))
    packed = np.frombuffer(stream.to_bytes(-(-bits * len(values) // 8), "little"), np.uint8)
    assert unpack_bits(packed, bits, len(values), signed=signed).tolist() == values
