"""The process that reads and writes photos of strangers: ``python -m sr_core.image.worker DESCRIPTOR``.

It waits with everything loaded and makes a copy of itself for each request, so that a worker begins in milliseconds,
has seen no other photo, and takes nothing along when it ends. Each has limits of memory and time, no secrets in its
environment, and only the files that came with its request.
"""

import ctypes
import gc
import os
import resource
import signal
import socket
import struct
import sys
import traceback
from io import BufferedRandom, FileIO
from typing import Any, Final, assert_never

import numpy as np
from numpy.typing import NDArray

from sr_core.errors import OutputError, PhotoTooLargeError, SRError
from sr_core.image import message as messages
from sr_core.image.decode import decode_bytes, read_header_bytes
from sr_core.image.encode import write_picture
from sr_core.image.header import Limits, guard_bytes
from sr_core.image.message import (
    Decode,
    Encode,
    Failure,
    HeaderReply,
    NoticesReply,
    PictureRecord,
    PictureReply,
    Preview,
    PreviewReply,
    ReadHeader,
    Reply,
    Request,
)
from sr_core.image.picture import Picture
from sr_core.image.preview import to_srgb_preview
from sr_core.image.scratch import NO_ROOM, NO_ROOM_WORDS

__all__ = ["ORDER", "serve"]

ORDER: Final = struct.Struct("<Qd")
"""What comes with each request: the most bytes of memory, and the most seconds."""
_MOST_WRITTEN_BYTES: Final = 16 << 30
_NO_PROCESS: Final = (1 << 31) - 1
_LIBC: Final = ctypes.CDLL(None)
_PR_SET_PDEATHSIG: Final = 1


def serve(control: socket.socket) -> None:
    """Makes a worker for each order that comes, until the other side ends.

    An order brings the channel of the request; the answer is the process id of its worker.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a worker ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the other side decides
    gc.freeze()
    host = os.getpid()
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, ORDER.size, 1)
        if len(order) < ORDER.size or not descriptors:
            return
        with socket.socket(fileno=descriptors[0]) as channel:
            try:
                process = os.fork()
            except OSError:  # no room for another process; the other side sees its channel close
                process = _NO_PROCESS
            if process == 0:
                _work(control, channel, host, order)
        control.sendall(struct.pack("<Q", process))


def _work(control: socket.socket, channel: socket.socket, host: int, order: bytes) -> None:
    """Answers one request and ends the process."""
    memory_bytes, seconds = ORDER.unpack(order)
    try:
        control.close()
        _confine(memory_bytes, seconds, host)
        text, descriptors = messages.receive_request(channel)
        messages.send(channel, _answer(messages.parse_request(text), descriptors, memory_bytes))
    except BaseException:  # noqa: BLE001 - whatever it is, this process ends here and says nothing more
        os._exit(1)
    os._exit(0)


def _confine(memory_bytes: int, seconds: float, host: int) -> None:
    """Sets the limits of this process, for good."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)  # it ends with its host, and that with the app
        if os.getppid() != host:
            os._exit(1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)  # LibRaw and others write to it
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    kinds = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, _MOST_WRITTEN_BYTES)]
    if sys.platform == "linux":  # elsewhere the system does not hold a process to it
        kinds.append((resource.RLIMIT_DATA, memory_bytes))
    for kind, most in kinds:
        _, hard = resource.getrlimit(kind)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))


def _answer(request: Request, descriptors: list[int], memory_bytes: int) -> Reply:
    """Returns what is replied to a request, whatever happens."""
    try:
        return _done(request, descriptors)
    except SRError as error:
        return Failure(error=type(error).__name__, words=str(error))
    except MemoryError:
        words = (
            f"This photo needs more than the {memory_bytes >> 20} MiB of memory that reading or writing may take;"
            " please use a smaller one."
        )
        return Failure(error=PhotoTooLargeError.__name__, words=words)
    except OSError as error:
        if error.errno not in NO_ROOM:
            return Failure(error="bug", words=traceback.format_exc())
        return Failure(error=OutputError.__name__, words=NO_ROOM_WORDS)
    except Exception:  # noqa: BLE001 - told to the other side, which logs it
        return Failure(error="bug", words=traceback.format_exc())


def _done(request: Request, descriptors: list[int]) -> Reply:
    match request:
        case ReadHeader():
            return HeaderReply(header=read_header_bytes(_photo(descriptors[0], request.limits), request.limits))
        case Decode():
            return _decoded(request, descriptors)
        case Encode():
            return _encoded(request, descriptors)
        case Preview():
            return _previewed(request, descriptors)
        case _:
            assert_never(request)


def _decoded(request: Decode, descriptors: list[int]) -> Reply:
    photo, pixels, alpha = descriptors
    picture = decode_bytes(_photo(photo, request.limits), request.limits)
    _put(picture.pixels, pixels)
    if picture.alpha is not None:
        _put(picture.alpha, alpha)
    return PictureReply(picture=PictureRecord.of(picture))


def _encoded(request: Encode, descriptors: list[int]) -> Reply:
    picture = _picture(request.picture, descriptors)
    raw = FileIO(descriptors[1], "r+b", closefd=False)
    raw.name = "result"  # tifffile 2026.3 wants one
    with BufferedRandom(raw) as file:
        notices = write_picture(
            picture, file, request.photo_format, request.quality, remove_location=request.remove_location
        )
    return NoticesReply(notices=notices)


def _previewed(request: Preview, descriptors: list[int]) -> Reply:
    preview = to_srgb_preview(_picture(request.picture, descriptors))
    _put(preview, descriptors[1])
    return PreviewReply(height=preview.shape[0], width=preview.shape[1])


def _photo(descriptor: int, limits: Limits) -> bytes:
    """Returns the bytes of a file within the limits."""
    guard_bytes(os.fstat(descriptor).st_size, limits)
    with FileIO(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return file.readall() or b""


def _picture(record: PictureRecord, descriptors: list[int]) -> Picture:
    """Returns the picture of a request, whose alpha comes last, if any."""
    return record.picture(descriptors[0], next(iter(descriptors[2:]), None), writable=False)


def _put(array: NDArray[Any], descriptor: int) -> None:
    """Writes the values of an array into an empty file."""
    with FileIO(descriptor, "wb", closefd=False) as file:
        view = np.ascontiguousarray(array).data.cast("B")
        while view:
            view = view[file.write(view) :]


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
