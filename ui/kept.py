"""Pictures that visitors look at again: the photo on screen and its results, without loss and for a while.

Each one lies in a file without a name (:mod:`sr_core.image.scratch`), so that nobody else can open it and nothing of it
outlives the process.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sr_core.errors import OutputError
from sr_core.image.picture import Picture
from sr_core.image.scratch import copy_of

__all__ = ["KeptPictures"]

_LOG = logging.getLogger(__name__)
_MOST_PICTURES: Final = 200
"""Each one holds up to four descriptors of files open, of which a process usually has 1024."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A picture in a file, how long it is, and when it goes (``time.monotonic``)."""

    picture: Picture
    size_bytes: int
    until: float


class KeptPictures:
    """Pictures up to a number, of bytes and of pictures; the one that was not used for longest goes first.

    Safe between threads.

    A picture is found by the secret word of an upload and by what made it: a model id, or nothing for the photo itself.

    Args:
        limit_bytes: Total length of the samples kept; a picture that alone is longer is not kept.
        keep_seconds: How long a picture stays, used or not.
        clock: Where the time comes from.
    """

    def __init__(self, limit_bytes: int, keep_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_bytes, self._keep_seconds, self._clock = limit_bytes, keep_seconds, clock
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._is_timed = False

    @property
    def held_bytes(self) -> int:
        """Length of the samples and metadata that are kept."""
        with self._lock:
            return self._held()

    def put(self, upload: str, model_id: str, picture: Picture) -> None:
        """Keeps a picture, in the place of an earlier one of the same upload and model.

        Samples that are a whole file already are kept as they are, others as a copy; a picture for which there is no
        room on the disk is not kept.
        """
        alpha_bytes = 0 if picture.alpha is None else picture.alpha.nbytes
        size_bytes = picture.pixels.nbytes + alpha_bytes + picture.metadata.size_bytes
        if size_bytes > self._limit_bytes:
            return
        try:
            alpha = None if picture.alpha is None else copy_of(picture.alpha)
            copy = replace(picture, pixels=copy_of(picture.pixels), alpha=alpha)
        except OutputError as error:  # what is not kept is made again when somebody asks for it
            _LOG.warning("a picture is not kept: %s", error)
            return
        with self._lock:
            self._kept.pop((upload, model_id), None)
            while self._held() + size_bytes > self._limit_bytes or len(self._kept) >= _MOST_PICTURES:
                self._kept.popitem(last=False)
            until = self._clock() + self._keep_seconds
            self._kept[upload, model_id] = _Kept(picture=copy, size_bytes=size_bytes, until=until)
            if not self._is_timed:
                self._time_sweep()

    def get(self, upload: str, model_id: str = "") -> Picture | None:
        """Returns a picture, or None where it was not kept or is gone."""
        self.sweep()
        with self._lock:
            kept = self._kept.get((upload, model_id))
            if kept is None:
                return None
            self._kept.move_to_end((upload, model_id))
            return kept.picture

    def forget(self, upload: str) -> None:
        """Lets go of everything of an upload."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == upload]:
                del self._kept[key]

    def sweep(self) -> None:
        """Lets go of what has been kept for long enough."""
        with self._lock:
            now = self._clock()
            for key in [key for key, kept in self._kept.items() if kept.until <= now]:
                del self._kept[key]

    def _time_sweep(self) -> None:
        """Lets one timer, however many pictures there are, go off when the next of them must go."""
        self._is_timed = bool(self._kept)
        if self._kept:
            seconds = min(kept.until for kept in self._kept.values()) - self._clock()
            timer = threading.Timer(max(seconds, 0.0), self._sweep_in_time)
            timer.daemon = True
            timer.start()

    def _sweep_in_time(self) -> None:
        self.sweep()
        with self._lock:
            self._time_sweep()

    def _held(self) -> int:
        return sum(kept.size_bytes for kept in self._kept.values())
