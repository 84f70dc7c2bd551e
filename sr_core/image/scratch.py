"""Arrays in files without a name: large pictures that other processes can see and that leave nothing behind.

The system deletes such a file with its last user, however that one ends. What is written to it need not stay in memory.
"""

import errno
import mmap
import os
import sys
import tempfile
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sr_core.errors import OutputError

__all__ = [
    "LARGE_BYTES", "NO_ROOM", "NO_ROOM_WORDS", "canvas", "copy_of", "descriptor_of", "map_array", "memory_bytes",
    "new_array", "new_file", "rest",
]  # fmt: skip

NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_ROOM_WORDS: Final = "There is no room left on the disk for this picture; please make some, or use a smaller picture."

LARGE_BYTES: Final = 64 << 20
"""A canvas of more bytes lies in a file."""


class _Mapping(mmap.mmap):
    """A file in memory that knows its descriptor and closes it in the end."""

    descriptor: int

    @classmethod
    def of(cls, descriptor: int, size_bytes: int, *, writable: bool) -> Self:
        """Returns the mapping of a file, with a descriptor of its own."""
        mapping = cls(descriptor, size_bytes, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ)
        mapping.descriptor = os.dup(descriptor)
        weakref.finalize(mapping, os.close, mapping.descriptor)
        return mapping


@contextmanager
def new_file() -> Generator[int]:
    """Gives the descriptor of an empty file without a name, open for reading and writing."""
    with tempfile.TemporaryFile(prefix="psr-scratch-") as file:
        yield file.fileno()


def new_array(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Returns an array of zeros in a file without a name.

    Args:
        shape: At least one value.
        dtype: Type of the values.

    Raises:
        OutputError: There is no room for it where temporary files are.
    """
    size_bytes = _size_bytes(shape, dtype)
    with new_file() as descriptor:
        try:
            if sys.platform == "linux":
                # Room that is only promised would end the process when it turns out not to be there.
                os.posix_fallocate(descriptor, 0, size_bytes)
            else:
                os.truncate(descriptor, size_bytes)
        except OSError as error:
            raise OutputError(NO_ROOM_WORDS) from error
        return map_array(descriptor, shape, dtype, writable=True)


def canvas(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Returns an array for a whole picture, its values not set: a large one is in a file without a name.

    Args:
        shape: At least one value.
        dtype: Type of the values.

    Raises:
        OutputError: There is no room for it where temporary files are.
    """
    return np.empty(shape, dtype) if _size_bytes(shape, dtype) <= LARGE_BYTES else new_array(shape, dtype)


def memory_bytes(size_bytes: int) -> int:
    """Returns how much memory a canvas of a size takes for good, that is when it is not in a file."""
    return size_bytes if size_bytes <= LARGE_BYTES else 0


def copy_of(array: NDArray[Any]) -> NDArray[Any]:
    """Returns an array with equal values in a file without a name: the array itself where it is one, whole."""
    if descriptor_of(array) is not None:
        return array
    copy = new_array(array.shape, array.dtype)
    copy[...] = array
    return copy


def map_array(descriptor: int, shape: tuple[int, ...], dtype: DTypeLike, *, writable: bool) -> NDArray[Any]:
    """Returns an array whose values are those of a file, which lives as long as the array.

    Args:
        descriptor: An open file.
        shape: At least one value.
        dtype: Type of the values.
        writable: Whether what is written to the array goes into the file.

    Raises:
        ValueError: The file has another size.
    """
    size_bytes = _size_bytes(shape, dtype)
    if os.fstat(descriptor).st_size != size_bytes or not size_bytes:
        raise ValueError(f"a file of {os.fstat(descriptor).st_size} bytes is no array of {size_bytes}")
    return np.ndarray(shape, dtype, buffer=_Mapping.of(descriptor, size_bytes, writable=writable))


def descriptor_of(array: NDArray[Any]) -> int | None:
    """Returns the descriptor of the file that an array is, or None where it is none or only a part of one."""
    mapping = _mapping_of(array)
    is_whole = mapping is not None and array.flags.c_contiguous and array.nbytes == len(mapping)
    return mapping.descriptor if mapping is not None and is_whole else None


def rest(array: NDArray[Any]) -> None:
    """Lets the memory of an array go where its values are in a file anyway; they come back when they are looked at."""
    mapping = _mapping_of(array)
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def _mapping_of(array: NDArray[Any]) -> _Mapping | None:
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, _Mapping) else None


def _size_bytes(shape: tuple[int, ...], dtype: DTypeLike) -> int:
    size_bytes = np.dtype(dtype).itemsize
    for side in shape:
        size_bytes *= side
    return size_bytes
