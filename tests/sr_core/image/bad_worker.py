"""A host whose workers do what the file tells them, as a decoder that was taken over or has a bug would."""

import os
import signal
import socket
import sys
import time

import numpy as np

from sr_core.image import message, worker
from sr_core.image.header import Limits
from sr_core.image.picture import Picture


def obey(data: bytes, limits: Limits) -> Picture:
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
    worker.decode_bytes = obey  # type: ignore[assignment]
    honest = message.PictureRecord.of
    if os.environ.get("LANG") == "lies":
        worker.PictureRecord.of = lie  # type: ignore[method-assign]
    worker.serve(socket.socket(fileno=int(sys.argv[1])))
