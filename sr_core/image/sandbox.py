"""Photos of strangers, read and written by processes of their own: a damaged or malicious one can end its worker and
nothing else.

It offers what :mod:`decode`, :mod:`encode` and :mod:`preview` do, with the same results and the same errors. Pixels go
through files without a name (:mod:`scratch`), everything else through messages that are checked (:mod:`message`).
"""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sr_core import errors
from sr_core.errors import OutputError, SRError, UnreadablePhotoError
from sr_core.image import message as messages
from sr_core.image import worker
from sr_core.image.encode import EncodedInfo, Quality, result_file
from sr_core.image.header import Header, Limits
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
    Request,
)
from sr_core.image.picture import PhotoFormat, Picture
from sr_core.image.preview import reduced
from sr_core.image.scratch import copy_of, descriptor_of, map_array, new_file

__all__ = ["Confines", "Sandbox"]

_R = TypeVar("_R", HeaderReply, PictureReply, NoticesReply, PreviewReply)

_ROOT: Final = Path(__file__).parents[2]
_START_SECONDS: Final = 60.0
_GRACE_SECONDS: Final = 2.0
_KEPT_VARIABLES: Final = ("PATH", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Confines:
    """What a worker may take.

    Attributes:
        memory_bytes: Memory, besides what is loaded before it begins and the files it works on. Linux only.
        read_seconds: Time for reading a photo or its header.
        write_seconds: Time for writing a result or a preview.
        at_once: Workers at a time for each purpose (headers, photos, results, previews); more requests wait.
    """

    memory_bytes: int = 3 << 30
    read_seconds: float = 90.0
    write_seconds: float = 900.0
    at_once: int = 2


class Sandbox:
    """Reads and writes photos in workers; may be used by several threads.

    Args:
        confines: What a worker may take.
        program: The module that is run as the process that workers come from.
    """

    def __init__(self, confines: Confines | None = None, program: str = worker.__name__) -> None:
        self._confines, self._program = confines or Confines(), program
        # Rooms of their own, so that photos that take long to read keep no result from being written or shown.
        self._rooms = {purpose: threading.BoundedSemaphore(self._confines.at_once) for purpose in _Purpose}
        self._lock = threading.Lock()
        self._host: _Host | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process that workers come from; a later request starts another one."""
        with self._lock:
            self._end_host()

    def warm(self) -> None:
        """Starts the process that workers come from, so that the first request need not wait for it."""
        with self._lock:
            self._running_host()

    def read_header(self, path: Path, limits: Limits) -> Header:
        """Returns what a photo will be as a Picture; see :func:`sr_core.image.decode.read_header`.

        Raises:
            UnsupportedFormatError: The file is not of a family that is read here.
            UnreadablePhotoError: The file is empty, damaged or cut short, or ended its worker.
            PhotoTooLargeError: The file is beyond a limit.
            OSError: The file cannot be opened.
        """
        with path.open("rb") as file:
            reply = self._ask(ReadHeader(limits=limits), [file.fileno()], HeaderReply, _Purpose.LOOKING)
        return reply.header

    def decode(self, path: Path, limits: Limits) -> Picture:
        """Returns the photo in a file; see :func:`sr_core.image.decode.decode`.

        Raises:
            UnsupportedFormatError: The file is not of a family that is read here.
            UnreadablePhotoError: The file is empty, damaged or cut short, or ended its worker.
            PhotoTooLargeError: The file is beyond a limit.
            OSError: The file cannot be opened, or there is no room for its pixels.
        """
        with path.open("rb") as file, new_file() as pixels, new_file() as alpha:
            descriptors = [file.fileno(), pixels, alpha]
            record = self._ask(Decode(limits=limits), descriptors, PictureReply, _Purpose.READING).picture
            try:
                return record.picture(pixels, alpha, writable=True)
            except ValueError:
                raise _Purpose.READING.failure(is_late=False) from None

    def encode(
        self,
        picture: Picture,
        path: Path,
        *,
        photo_format: PhotoFormat | None = None,
        quality: Quality | None = None,
        remove_location: bool = False,
    ) -> EncodedInfo:
        """Writes a picture to a file; see :func:`sr_core.image.encode.encode`.

        Raises:
            OutputError: The family cannot hold the picture, or its encoder failed.
            PhotoTooLargeError: Writing takes too much memory.
            OSError: The file cannot be written.
        """
        chosen = photo_format or picture.source_format
        request = Encode(
            picture=PictureRecord.of(picture),
            photo_format=chosen,
            quality=quality or Quality(),
            remove_location=remove_location,
        )
        with result_file(path) as file:
            reply = self._ask_of(picture, request, file.fileno(), NoticesReply, _Purpose.WRITING)
        return EncodedInfo(path=path, format=chosen, size_bytes=path.stat().st_size, notices=reply.notices)

    def preview(self, picture: Picture, max_side: int | None = None) -> NDArray[np.uint8]:
        """Returns a picture as sRGB for display; see :func:`sr_core.image.preview.to_srgb_preview`.

        Raises:
            OutputError: Its colours cannot be turned into those of a screen.
            PhotoTooLargeError: It takes too much memory.
        """
        small = reduced(picture, max_side)  # here, so that a large picture need not be put into a file
        request = Preview(picture=PictureRecord.of(small))
        with new_file() as file:
            reply = self._ask_of(small, request, file, PreviewReply, _Purpose.SHOWING)
            try:
                return map_array(file, (reply.height, reply.width, 3), np.uint8, writable=True)
            except ValueError:
                raise _Purpose.SHOWING.failure(is_late=False) from None

    def _ask_of(
        self, picture: Picture, request: Encode | Preview, target: int, kind: type[_R], purpose: "_Purpose"
    ) -> _R:
        """Returns the reply to a request about a picture that writes to a file."""
        pixels = copy_of(picture.pixels)
        alpha = None if picture.alpha is None else copy_of(picture.alpha)
        arrays = [descriptor_of(array) for array in (pixels, alpha) if array is not None]
        descriptors = [descriptor for descriptor in arrays if descriptor is not None]
        return self._ask(request, [descriptors[0], target, *descriptors[1:]], kind, purpose)

    def _ask(self, request: Request, descriptors: Sequence[int], kind: type[_R], purpose: "_Purpose") -> _R:
        """Returns the reply of a worker.

        Raises:
            SRError: What was asked for cannot be had.
            RuntimeError: A bug in the worker; its traceback is the message.
        """
        seconds = self._confines.write_seconds
        if purpose in (_Purpose.LOOKING, _Purpose.READING):
            seconds = self._confines.read_seconds
        with self._rooms[purpose]:
            started = time.monotonic()
            try:
                with self._worker(seconds) as channel:
                    started = time.monotonic()
                    deadline = started + seconds + _GRACE_SECONDS
                    channel.settimeout(seconds + _GRACE_SECONDS)
                    messages.send(channel, request, descriptors)
                    reply = messages.parse_reply(messages.receive_reply(channel, deadline))
            except (EOFError, OSError, ValueError):  # it crashed, is late, or says what makes no sense
                raise purpose.failure(is_late=time.monotonic() - started >= seconds) from None
        if isinstance(reply, Failure):
            raise _error_of(reply)
        if not isinstance(reply, kind):
            raise purpose.failure(is_late=False)
        return reply

    @contextmanager
    def _worker(self, seconds: float) -> Generator[socket.socket]:
        """Gives the channel to a new worker, and ends the worker when it has not ended by itself.

        Raises:
            OSError: There is none to be had.
        """
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                hired = _Worker.of(ours, self._hire(theirs, seconds))
            try:
                yield ours
            finally:
                hired.end()

    def _hire(self, channel: socket.socket, seconds: float) -> int:
        """Returns the process id of a worker at the other end of a channel.

        A host that has ended or does not answer in time is replaced, once: what it still has to say belongs to nobody.

        Raises:
            OSError: The new host does not answer either.
        """
        with self._lock:
            try:
                return self._running_host().worker(channel, self._confines.memory_bytes, seconds)
            except OSError:
                self._end_host()
            try:
                return self._running_host().worker(channel, self._confines.memory_bytes, seconds)
            except OSError:
                self._end_host()
                raise

    def _running_host(self) -> "_Host":
        """Returns the host, started if there is none or it has ended."""
        if self._host is None or not self._host.is_alive():
            self._end_host()
            self._host = _Host.start(self._program)
        return self._host

    def _end_host(self) -> None:
        if self._host is not None:
            self._host.end()
            self._host = None


class _Purpose(Enum):
    """What a worker is for, which decides what is said of its end."""

    LOOKING = "looking"
    READING = "reading"
    WRITING = "writing"
    SHOWING = "showing"

    def failure(self, *, is_late: bool) -> SRError:
        """Returns the error of a worker that ended before it was done."""
        match self:
            case _Purpose.LOOKING | _Purpose.READING if is_late:
                return UnreadablePhotoError("Reading this photo took too long; please export it again and send that.")
            case _Purpose.LOOKING | _Purpose.READING:
                return UnreadablePhotoError(
                    "This photo cannot be read, its decoder broke off; please export it again and send that."
                )
            case _Purpose.WRITING if is_late:
                return OutputError("Writing the result took too long; please choose another format or a smaller scale.")
            case _Purpose.WRITING:
                return OutputError(
                    "The result could not be written, its encoder broke off; please choose another format."
                )
            case _Purpose.SHOWING if is_late:
                return OutputError("Showing the picture took too long; please choose a smaller scale.")
            case _Purpose.SHOWING:
                return OutputError(
                    "The picture cannot be shown, turning its colours into those of a screen broke off;"
                    " please export the photo again with another colour profile."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Worker:
    """One worker: the channel to it, and what ends it."""

    channel: socket.socket
    process: int
    handle: int | None

    @classmethod
    def of(cls, channel: socket.socket, process: int) -> Self:
        """Returns the worker with a process id; a handle that keeps meaning this process is had on Linux."""
        handle = None
        if sys.platform == "linux":
            with suppress(OSError):  # it may have ended already
                handle = os.pidfd_open(process)
        return cls(channel=channel, process=process, handle=handle)

    def end(self) -> None:
        """Ends the worker, if it has not ended by itself."""
        if self.handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)
            os.close(self.handle)
        elif sys.platform != "linux" and not self._is_closed():
            with suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGKILL)

    def _is_closed(self) -> bool:
        """Returns whether the other end of the channel is closed, as it is when the process has ended."""
        self.channel.settimeout(_GRACE_SECONDS)
        try:
            return not self.channel.recv(1)
        except OSError:
            return False


@dataclass(slots=True, kw_only=True)
class _Host:
    """The process that workers are copied from."""

    process: subprocess.Popen[bytes]
    control: socket.socket

    @classmethod
    def start(cls, program: str) -> Self:
        """Returns a new one, which takes orders at once and answers them when it has loaded what it needs."""
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", program, str(theirs.fileno())],
                env={**environment, "PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1"},
                cwd=_ROOT.anchor,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        ours.settimeout(_START_SECONDS)
        return cls(process=process, control=ours)

    def is_alive(self) -> bool:
        """Returns whether it still takes orders."""
        return self.process.poll() is None

    def worker(self, channel: socket.socket, memory_bytes: int, seconds: float) -> int:
        """Returns the process id of a new worker at the other end of a channel.

        Raises:
            OSError: The process has ended, or does not answer.
        """
        socket.send_fds(self.control, [worker.ORDER.pack(memory_bytes, seconds)], [channel.fileno()])
        answer = self.control.recv(8, socket.MSG_WAITALL)
        if len(answer) < 8:
            raise ConnectionError("the process that reads photos has ended")
        return struct.unpack("<Q", answer)[0]

    def end(self) -> None:
        """Ends the process, and its workers with it."""
        self.control.close()
        try:
            self.process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _error_of(failure: Failure) -> Exception:
    """Returns the error that a worker told of; one that no visitor is meant to see is a bug."""
    kind = getattr(errors, failure.error, None) if failure.error in errors.__all__ else None
    return RuntimeError(failure.words) if kind is None else kind(failure.words)
