"""A host whose workers do what the file tells them, as a decoder that was taken over or has a bug would."""

import errno
import os
import signal
import socket
import struct
import sys
import time

import numpy as np

from sr_core.image import message, worker
from sr_core.image.header import Limits
from sr_core.image.picture import Picture

tricks: list[bytes] = []


def send(channel: socket.socket, reply: message.Reply) -> None:
    """Sends a reply, or what the file told to send instead."""
    match tricks:
        case [b"announce too much"]:
            channel.sendall(struct.pack("<Q", 1 << 40))
        case [b"announce much"]:
            channel.sendall(struct.pack("<Q", 90 << 20))
            time.sleep(600)
        case [b"nonsense"]:
            channel.sendall(struct.pack("<Q", 8) + b"nonsense")
        case [b"drip"]:
            for byte in struct.pack("<Q", 1000) + bytes(1000):
                channel.sendall(bytes((byte,)))
                time.sleep(0.1)
        case [b"descriptors"]:
            socket.send_fds(channel, [struct.pack("<Q", 8) + b"nonsense"], [0, 0, 0])
        case _:
            honest_send(channel, reply)


def obey(data: bytes, limits: Limits) -> Picture:  # noqa: PLR0912
    match data:
        case b"exit":
            os._exit(0)
        case b"abort":
            os.abort()
        case b"segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"hang":
            while True:
                pass
        case b"sleep, deaf to alarms":
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            time.sleep(600)
        case b"full disk":
            raise OSError(errno.ENOSPC, "no space")
        case b"announce too much" | b"announce much" | b"nonsense" | b"drip" | b"descriptors":
            signal.setitimer(signal.ITIMER_REAL, 0)
            tricks.append(data)
        case b"hog":
            np.ones(1 << 34, np.uint8)
        case b"raise":
            raise ZeroDivisionError("nobody thought of this")
        case b"write":
            sys.stderr.write("noise of a library\n")
            os.write(2, b"noise of a library\n")
        case b"secret":
            raise ZeroDivisionError(str(sorted(os.environ)))
        case _:
            pass
    return Picture(pixels=np.zeros((2, 3, 3), np.uint8), bit_depth=8)


def lie(picture: Picture) -> message.PictureRecord:
    """Says that there are more samples than there are."""
    return honest(picture).model_copy(update={"height": 9})


if __name__ == "__main__":
    honest_send = message.send
    message.send = send  # type: ignore[assignment]
    worker.decode_bytes = obey  # type: ignore[assignment]
    honest = message.PictureRecord.of
    if os.environ.get("LANG") == "lies":
        worker.PictureRecord.of = lie  # type: ignore[method-assign]
    worker.serve(socket.socket(fileno=int(sys.argv[1])))
