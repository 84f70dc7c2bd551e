"""The weight file of a Core ML package, read by offset and checked from end to end.

A weight file is a header of 64 bytes and then, for each tensor, a record of 64 bytes and the data, everything on
multiples of 64 bytes. A record says what the data is and where; values of less than a byte are packed from the lowest
bit up, and the last byte is filled up with bits that do not count.

Source: coremltools 9.0, deps/mlmodel and MILBlob/Blob/StorageFormat.hpp (github.com/apple/coremltools); the numbers of
the types were checked against what its writer produces.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sr_core.errors import PackageError

__all__ = ["Blob", "WeightFile", "bits_of", "open_weights", "unpack_bits"]

ALIGNMENT: Final = 64
SENTINEL: Final = 0xDEADBEEF
VERSION: Final = 2
HEADER: Final = struct.Struct("<II")
RECORD: Final = struct.Struct("<IIQQQ")

DTYPES: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "float16",
        2: "float32",
        3: "uint8",
        4: "int8",
        6: "int16",
        7: "uint16",
        8: "int4",
        9: "uint1",
        10: "uint2",
        11: "uint4",
        12: "uint3",
        13: "uint6",
        14: "int32",
        15: "uint32",
    }
)
"""What a record's number for a type means; 5, 16 and 17 (bfloat16 and two kinds of float8) are not read here."""

PACKED: Final[Mapping[str, int]] = MappingProxyType(
    {"uint1": 1, "uint2": 2, "uint3": 3, "uint4": 4, "uint6": 6, "int4": 4}
)
"""Bits of a value, for the types of less than a byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One tensor of a weight file: its type, and where its bytes lie."""

    dtype: str
    start: int
    size_bytes: int
    padding_bits: int

    @property
    def count(self) -> int:
        """Number of values."""
        return (8 * self.size_bytes - self.padding_bits) // bits_of(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """A weight file whose every record was checked.

    Attributes:
        name: The file's name, for sentences.
        data: Its bytes.
        blobs: Its tensors by the offset of their record, which is how a network names them.
    """

    name: str
    data: bytes
    blobs: Mapping[int, Blob]

    def read(self, offset: int, dtype: str, count: int) -> NDArray[Any]:
        """Returns the values of a tensor, one after the other, in a type of at least a byte.

        Args:
            offset: Where its record lies.
            dtype: The type that the network expects, such as ``float16`` or ``uint4``.
            count: The number of values that the network expects.

        Raises:
            PackageError: There is no record, or it describes something else.
        """
        blob = self.blobs.get(offset)
        if blob is None:
            raise PackageError(f"The network expects a tensor at byte {offset} of {self.name}, where none begins.")
        if (blob.dtype, blob.count) != (dtype, count):
            raise PackageError(
                f"The network expects {count} values of type {dtype} at byte {offset} of {self.name}, "
                f"but there are {blob.count} of type {blob.dtype}."
            )
        stored = self.data[blob.start : blob.start + blob.size_bytes]
        bits = PACKED.get(dtype)
        if bits is None:
            return np.frombuffer(stored, np.dtype(dtype).newbyteorder("<")).astype(dtype)
        return unpack_bits(np.frombuffer(stored, np.uint8), bits, count, signed=dtype.startswith("int"))


def open_weights(path: Path) -> WeightFile:
    """Returns the weight file of a package after checking every record in it.

    Raises:
        PackageError: The file is missing, is no weight file, is cut short, or its records contradict each other.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PackageError(f"The package's weight file {path.name} is missing or cannot be read.") from error
    if len(data) < ALIGNMENT:
        raise _cut_short(path.name, len(data))
    count, version = HEADER.unpack_from(data)
    if version != VERSION:
        raise PackageError(f"{path.name} is no weight file of version {VERSION}, the only one that is read here.")
    blobs: dict[int, Blob] = {}
    offset = end = ALIGNMENT
    for _ in range(count):
        blobs[offset] = blob = _record(data, offset, path.name)
        end = blob.start + blob.size_bytes
        offset = -(-end // ALIGNMENT) * ALIGNMENT
    if any(data[end:]):
        raise PackageError(f"{path.name} says that it holds {count} tensors, but more follows behind them.")
    return WeightFile(name=path.name, data=data, blobs=blobs)


def unpack_bits(packed: NDArray[np.uint8], bits: int, count: int, *, signed: bool = False) -> NDArray[Any]:
    """Returns the first values of a row of bytes that holds them packed from the lowest bit up.

    Args:
        packed: The bytes.
        bits: Bits of a value, 1 to 8.
        count: How many values.
        signed: Whether the highest bit of a value counts negative.

    Returns:
        As many values, as uint8 or, if signed, int8.
    """
    digits = np.unpackbits(packed, count=count * bits, bitorder="little").reshape(count, bits)
    places = 1 << np.arange(bits, dtype=np.int64)
    if signed:
        places[-1] = -places[-1]
    return (digits @ places).astype(np.int8 if signed else np.uint8)


def bits_of(dtype: str) -> int:
    """Returns how many bits a value of a type takes in a weight file."""
    return PACKED.get(dtype) or 8 * np.dtype(dtype).itemsize


def _record(data: bytes, offset: int, name: str) -> Blob:
    """Returns what the record at an offset describes."""
    if offset + ALIGNMENT > len(data):
        raise _cut_short(name, len(data))
    sentinel, number, size, start, padding = RECORD.unpack_from(data, offset)
    dtype = DTYPES.get(number)
    if sentinel != SENTINEL or dtype is None or start != offset + ALIGNMENT:
        raise PackageError(f"{name} is damaged: the record at byte {offset} describes no tensor.")
    if start + size > len(data):
        raise _cut_short(name, len(data))
    bits = bits_of(dtype)
    if padding >= 8 or (8 * size - padding) % bits or (padding and bits >= 8):
        raise PackageError(f"{name} is damaged: the record at byte {offset} describes {size} bytes of {dtype} values.")
    return Blob(dtype=dtype, start=start, size_bytes=size, padding_bits=padding)


def _cut_short(name: str, length: int) -> PackageError:
    return PackageError(f"{name} is cut short: it has only {length} bytes; please fetch the package again.")
