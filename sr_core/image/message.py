"""What a sandbox and its workers say to each other: records as JSON, each with the descriptors of the files it needs.

Nothing that a worker says can make objects of other kinds than these, and every value is checked when it arrives.
"""

import socket
import struct
import time
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import numpy as np
import pydantic
from pydantic import BaseModel, ConfigDict, Field

from sr_core.image.family import Quality
from sr_core.image.header import Header, Limits
from sr_core.image.picture import Metadata, PhotoFormat, Picture
from sr_core.image.scratch import map_array

__all__ = [
    "MOST_DESCRIPTORS",
    "Decode",
    "Encode",
    "Failure",
    "HeaderReply",
    "NoticesReply",
    "PictureRecord",
    "PictureReply",
    "Preview",
    "PreviewReply",
    "ReadHeader",
    "Reply",
    "Request",
    "parse_reply",
    "parse_request",
    "receive_reply",
    "receive_request",
    "send",
]

MOST_DESCRIPTORS: Final = 4
_HEAD: Final = struct.Struct("<Q")
_PART_BYTES: Final = 1 << 20
_SHORTEST_SECONDS: Final = 0.001
_MOST_BYTES: Final = 96 << 20  # the metadata of a photo at most (decode.py), as base64


class _Message(BaseModel):
    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64", allow_inf_nan=True
    )


class PictureRecord(_Message):
    """A Picture without its samples."""

    height: int = Field(gt=0)
    width: int = Field(gt=0)
    channels: Literal[1, 3]
    bit_depth: Literal[8, 10, 12, 16]
    has_alpha: bool
    source_format: PhotoFormat
    metadata: Metadata
    notices: tuple[str, ...]

    @classmethod
    def of(cls, picture: Picture) -> "PictureRecord":
        """Returns what a picture is besides its samples."""
        return cls(
            height=picture.height,
            width=picture.width,
            channels=1 if picture.pixels.shape[2] == 1 else 3,
            bit_depth=picture.bit_depth,  # pyright: ignore[reportArgumentType] - a Picture has no other depths
            has_alpha=picture.alpha is not None,
            source_format=picture.source_format,
            metadata=picture.metadata,
            notices=picture.notices,
        )

    def picture(self, pixels: int, alpha: int | None, *, writable: bool) -> Picture:
        """Returns the picture whose samples are in files.

        Args:
            pixels: Descriptor of the file of the samples.
            alpha: Descriptor of the file of the alpha; not looked at where there is none.
            writable: Whether what is written to the arrays goes into the files.

        Raises:
            ValueError: A file has another size than it must have.
        """
        dtype, sides = np.uint8 if self.bit_depth == 8 else np.uint16, (self.height, self.width)
        opacity = None
        if self.has_alpha:
            if alpha is None:
                raise ValueError("the file of the alpha is missing")
            opacity = map_array(alpha, sides, dtype, writable=writable)
        return Picture(
            pixels=map_array(pixels, (*sides, self.channels), dtype, writable=writable),
            alpha=opacity,
            bit_depth=self.bit_depth,
            source_format=self.source_format,
            metadata=self.metadata,
            notices=self.notices,
        )


class ReadHeader(_Message):
    """Asks for the header of a photo. Files: the photo."""

    ask: Literal["header"] = "header"
    limits: Limits


class Decode(_Message):
    """Asks for a photo. Files: the photo, two empty ones for its samples and its alpha."""

    ask: Literal["decode"] = "decode"
    limits: Limits


class Encode(_Message):
    """Asks for a file. Files: the samples, an empty one to write, and the alpha if there is one."""

    ask: Literal["encode"] = "encode"
    picture: PictureRecord
    photo_format: PhotoFormat
    quality: Quality
    remove_location: bool


class Preview(_Message):
    """Asks for a picture as a browser shows it. Files: the samples, an empty one for the preview, and the alpha."""

    ask: Literal["preview"] = "preview"
    picture: PictureRecord


class HeaderReply(_Message):
    """The header that was asked for."""

    reply: Literal["header"] = "header"
    header: Header


class PictureReply(_Message):
    """The photo that was asked for; its samples are in the files."""

    reply: Literal["picture"] = "picture"
    picture: PictureRecord


class NoticesReply(_Message):
    """The file that was asked for is written; what it does not hold."""

    reply: Literal["notices"] = "notices"
    notices: tuple[str, ...]


class PreviewReply(_Message):
    """The preview that was asked for is in its file."""

    reply: Literal["preview"] = "preview"
    height: int = Field(gt=0)
    width: int = Field(gt=0)


class Failure(_Message):
    """What was asked for cannot be had.

    Attributes:
        error: The class of an error that a visitor sees, or ``bug``.
        words: Its sentence; the traceback of a bug.
    """

    reply: Literal["failure"] = "failure"
    error: str
    words: str


Request = ReadHeader | Decode | Encode | Preview
Reply = HeaderReply | PictureReply | NoticesReply | PreviewReply | Failure

_REQUEST: Final = pydantic.TypeAdapter[Request](Annotated[Request, Field(discriminator="ask")])
_REPLY: Final = pydantic.TypeAdapter[Reply](Annotated[Reply, Field(discriminator="reply")])


def parse_request(text: bytes) -> Request:
    """Returns the request that a message is."""
    return _REQUEST.validate_json(text)


def parse_reply(text: bytes) -> Reply:
    """Returns the reply that a message is.

    Raises:
        ValueError: It is none.
    """
    return _REPLY.validate_json(text)


def send(channel: socket.socket, message: Request | Reply, descriptors: Sequence[int] = ()) -> None:
    """Sends a message, with descriptors that are duplicated on the way."""
    text = message.model_dump_json().encode()
    head = _HEAD.pack(len(text))
    if descriptors:
        socket.send_fds(channel, [head], list(descriptors))
    else:
        channel.sendall(head)
    channel.sendall(text)


def receive_request(channel: socket.socket) -> tuple[bytes, list[int]]:
    """Returns the bytes of a request and the descriptors that came along.

    Raises:
        EOFError: The other side has ended.
        ValueError: The message is too long.
    """
    head, descriptors, _, _ = socket.recv_fds(channel, _HEAD.size, MOST_DESCRIPTORS)
    head += _exactly(channel, _HEAD.size - len(head), None)
    return _body(channel, head, None), descriptors


def receive_reply(channel: socket.socket, deadline: float) -> bytes:
    """Returns the bytes of a reply; descriptors that came along are closed by the system.

    Args:
        channel: Where it comes from.
        deadline: When it must be there, on the clock of ``time.monotonic``.

    Raises:
        EOFError: The other side has ended.
        ValueError: The message is too long.
        TimeoutError: It is late.
    """
    return _body(channel, _exactly(channel, _HEAD.size, deadline), deadline)


def _body(channel: socket.socket, head: bytes, deadline: float | None) -> bytes:
    (length,) = _HEAD.unpack(head)
    if length > _MOST_BYTES:
        raise ValueError(f"a message of {length} bytes")
    return _exactly(channel, length, deadline)


def _exactly(channel: socket.socket, count: int, deadline: float | None) -> bytes:
    """Returns so many bytes; memory grows with what has come, not with what was announced."""
    parts: list[bytes] = []
    while count:
        if deadline is not None:
            channel.settimeout(max(deadline - time.monotonic(), _SHORTEST_SECONDS))
        part = channel.recv(min(count, _PART_BYTES))
        if not part:
            raise EOFError("the other side has ended")
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError("the reply is late")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
