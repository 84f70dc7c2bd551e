"""A host whose workers end without a word at the stage that the maker of the photo's camera names."""

import os
import socket
import sys
from typing import Any

from sr_core.image import worker
from sr_core.image.picture import Picture

AT_DECODING, AT_WRITING, AT_SHOWING = b"CrashDecode", b"CrashWrites", b"CrashInShow"
"""As long as the maker of the tests' photos."""


def decode_bytes(data: bytes, *rest: Any) -> Any:
    if AT_DECODING in data:
        os.abort()
    return honest_decode_bytes(data, *rest)


def write_picture(picture: Picture, *rest: Any, **more: Any) -> Any:
    if AT_WRITING in (picture.metadata.exif or b""):
        os.abort()
    return honest_write_picture(picture, *rest, **more)


def to_srgb_preview(picture: Picture, *rest: Any) -> Any:
    if AT_SHOWING in (picture.metadata.exif or b""):
        os.abort()
    return honest_to_srgb_preview(picture, *rest)


if __name__ == "__main__":
    honest_decode_bytes, worker.decode_bytes = worker.decode_bytes, decode_bytes
    honest_write_picture, worker.write_picture = worker.write_picture, write_picture
    honest_to_srgb_preview, worker.to_srgb_preview = worker.to_srgb_preview, to_srgb_preview
    worker.serve(socket.socket(fileno=int(sys.argv[1])))
