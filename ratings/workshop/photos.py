"""The photos that are rendered for raters, and which part of each is shown.

They come with scikit-image, whose documentation of ``skimage.data`` states who made them and under which terms they may
be used. Taken are those whose terms are stated and free, and that are sharp at the level of single pixels: a photo that
is blurred, or that shows the blocks of a JPEG, has nothing that a variant could get right. One part is shown of each
(two of one), chosen by eye for what enlarging finds hard: hair, fabric, letters, foliage, stones, thin lines.
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import numpy as np
from numpy.typing import NDArray
from skimage import data

from ratings.stimuli import Stimulus

__all__ = ["PHOTOS", "Photo"]

_SIDE: Final = 320
_MOST: Final = 640


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A photo of ``skimage.data`` and the part of it that is shown, in pixels; all of them even.

    Attributes:
        name: The word by which votes name it.
        title: What it shows.
        author: Who made it.
        rights: Under which terms it may be used.
        call: The function of ``skimage.data`` that returns it.
        top: First row that is shown.
        left: First column that is shown.
        height: Rows that are shown.
        width: Columns that are shown.
    """

    name: str
    title: str
    author: str
    rights: str
    call: str
    top: int
    left: int
    height: int = _SIDE
    width: int = _SIDE

    @property
    def stimulus(self) -> Stimulus:
        """The record of it in the set."""
        part = f"rows {self.top} to {self.top + self.height}, columns {self.left} to {self.left + self.width}"
        return Stimulus(
            name=self.name,
            title=self.title,
            author=self.author,
            rights=self.rights,
            source=f"scikit-image {version('scikit-image')}, skimage.data.{self.call}(), {part}",
            height=self.height,
            width=self.width,
        )

    def surroundings(self) -> tuple[NDArray[np.uint8], int, int]:
        """Returns the photo around what is shown, and the row and the column at which that begins in it.

        It is (H, W, 3) with even sides of at most 640 pixels; a grey photo has three equal channels.
        """
        whole = np.asarray(getattr(data, self.call)())
        if whole.dtype != np.uint8:
            raise ValueError(f"skimage.data.{self.call}() has samples of another type than uint8")
        pixels = np.stack([whole] * 3, axis=2) if whole.ndim == 2 else whole
        top, bottom = _around(self.top, self.height, pixels.shape[0])
        left, right = _around(self.left, self.width, pixels.shape[1])
        return np.ascontiguousarray(pixels[top:bottom, left:right]), self.top - top, self.left - left


def _around(start: int, length: int, whole: int) -> tuple[int, int]:
    """Returns where a part of a side begins and ends that holds another part, as near to its middle as can be."""
    even = whole - whole % 2
    if not 0 <= start <= start + length <= even:
        raise ValueError(f"pixels {start} to {start + length} are not all there")
    side = min(_MOST, even)
    first = min(max(start + length // 2 - side // 2, 0), even - side)
    return first - first % 2, first - first % 2 + side


_FREE: Final = "no known copyright restrictions"

PHOTOS: Final = (
    Photo(
        name="portrait",
        title="Portrait of an astronaut",
        author="NASA",
        rights=f"public domain, {_FREE}",
        call="astronaut",
        top=0,
        left=0,
    ),
    Photo(
        name="suit",
        title="Space suit",
        author="NASA",
        rights=f"public domain, {_FREE}",
        call="astronaut",
        top=192,
        left=24,
    ),
    Photo(
        name="cat",
        title="Cat",
        author="Stefan van der Walt",
        rights="CC0, by the photographer",
        call="chelsea",
        top=0,
        left=70,
        height=300,
    ),
    Photo(
        name="coffee",
        title="Cup of coffee",
        author="Rachel Michetti, courtesy of Pikolo Espresso Bar",
        rights="CC0, by the photographer",
        call="coffee",
        top=80,
        left=180,
    ),
    Photo(
        name="photographer",
        title="Photographer",
        author="Lav Varshney",
        rights="CC0, by the photographer",
        call="camera",
        top=56,
        left=140,
    ),
    Photo(
        name="rocket",
        title="Rocket on its pad",
        author="SpaceX",
        rights="public domain, released by SpaceX",
        call="rocket",
        top=106,
        left=290,
    ),
    Photo(
        name="grass",
        title="Grass and clover",
        author="linolafett on DeviantArt (Grass 01)",
        rights="CC0",
        call="grass",
        top=96,
        left=96,
    ),
    Photo(
        name="gravel",
        title="Gravel",
        author="CC0Textures (Gravel04)",
        rights="CC0",
        call="gravel",
        top=96,
        left=96,
    ),
    Photo(
        name="coins",
        title="Greek coins",
        author="Brooklyn Museum",
        rights=_FREE,
        call="coins",
        top=0,
        left=56,
        height=302,
    ),
    Photo(
        name="galaxies",
        title="Galaxies",
        author="NASA, Hubble eXtreme Deep Field",
        rights="public domain, by NASA's guidelines for the use of its pictures",
        call="hubble_deep_field",
        top=300,
        left=620,
    ),
)
"""Left out of scikit-image's wheel: ``moon``, ``page``, ``stereo_motorcycle`` (no terms are stated); ``brick``,
``text``, ``retina``, ``clock`` (blurred: reduced and enlarged they look the same, so that not even the original can be
told from bicubic interpolation); ``immunohistochemistry`` (JPEG blocks); drawings, and what is too small."""
