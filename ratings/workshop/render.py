"""The set of pictures for raters, made from photos by every release of a zoo.

Each photo is reduced by the zoo's scale with the antialiased bicubic that the scores use, and enlarged again by every
release with float32 arithmetic and by bicubic. So raters compare what a phone shows, but for the rounding of its own
arithmetic, which differs between devices. Nothing in it is random; another processor may sum in another order, so that
a few samples differ by one step of 1/255.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ratings.stimuli import PictureSet, Rendering, Shown, Stimulus, load_pictures, renderings_of, write_pictures
from ratings.vote import BICUBIC, ORIGINAL
from ratings.workshop.photos import PHOTOS, Photo
from sr_core import __version__
from sr_core.errors import VoteError
from sr_core.image.picture import Picture
from sr_core.infer.model import LoadedModel
from sr_core.infer.tiles import Tiling
from sr_core.infer.upscale import run_to_end, upscale
from zoo.catalogue import load_model
from zoo.files import Zoo
from zoo.release import Release

__all__ = ["SCALE", "render", "shown_by", "tiling_of"]

SCALE: Final = 2
"""Releases of another scale are left out: raters compare pictures of one size."""


def render(
    zoo: Zoo,
    folder: Path,
    photos: Sequence[Photo] | None = None,
    tell: Callable[[str], None] | None = None,
    *,
    is_fresh: bool = False,
) -> PictureSet:
    """Writes the set of pictures with its notice, and returns it.

    Args:
        zoo: The releases, with their files.
        folder: Where the set is written; an earlier set there is replaced. What the same weights made there of the same
            photo with the same tiles and the same version of the project is taken over.
        photos: What is rendered; the project's own when None.
        tell: Called with a word on each photo before it is rendered.
        is_fresh: Whether to render everything again.

    Raises:
        VoteError: No release has the scale.
        WeightsError: A weight file is missing or damaged.
    """
    releases = [release for release in zoo.manifest.releases if release.variant.spec.scale == SCALE]
    if not releases:
        raise VoteError(f"There is no model to render with: none of the zoo enlarges {SCALE} times.")
    renderings = [_rendering(release) for release in releases]
    tool = f"pocket-super-resolution {__version__}, float32"
    chosen = PHOTOS if photos is None else photos
    earlier = {} if is_fresh else _earlier(folder, renderings, tool)
    missing = [release for release in releases if not all((photo.stimulus, release.id) in earlier for photo in chosen)]
    networks = [(load_model(release, "float32", zoo.files), tiling_of(release)) for release in missing]

    def all_shown() -> Iterator[Shown]:
        for count, photo in enumerate(chosen, start=1):
            if tell is not None:
                tell(f"{photo.name} ({count} of {len(chosen)}), by {len(missing)} of {len(releases)} variants")
            shown = shown_by(photo, networks)
            kept = {system: pixels for (stimulus, system), pixels in earlier.items() if stimulus == photo.stimulus}
            yield replace(shown, pixels={**kept, **shown.pixels})

    write_pictures(folder, all_shown(), renderings, tool=tool)
    pictures = load_pictures(folder)
    (folder / "NOTICE.md").write_text(_notice(pictures.pictures), encoding="utf-8")
    return pictures


def _earlier(folder: Path, renderings: Sequence[Rendering], tool: str) -> dict[tuple[Stimulus, str], NDArray[np.uint8]]:
    """Returns what lies in a folder already and was made just as it would be made now."""
    made_by, earlier = renderings_of(folder)
    same = [one.variant for one in renderings if made_by == tool and one in earlier]
    pictures = load_pictures(folder) if same else None
    if pictures is None:
        return {}
    return {
        (stimulus, system): pictures.pixels(stimulus.name, system) for stimulus in pictures.pictures for system in same
    }


def tiling_of(release: Release) -> Tiling:
    """Returns how a release is tiled on a phone; on the page, where it has no package for phones."""
    return release.tiling.plain() if release.coreml is None else release.coreml.plain_tiling()


def shown_by(photo: Photo, networks: Sequence[tuple[LoadedModel, Tiling]]) -> Shown:
    """Returns the shown part of a photo by the anchors and by some networks."""
    high, top, left = photo.surroundings()
    height, width = high.shape[:2]
    low = _resized(high, height // SCALE, width // SCALE)
    whole = {ORIGINAL: high, BICUBIC: _resized(low, height, width)}
    for model, tiling in networks:
        whole[model.id] = run_to_end(upscale(Picture(pixels=low, bit_depth=8), model.engine, tiling)).pixels.astype(
            np.uint8, copy=False
        )
    parts = {
        system: np.ascontiguousarray(pixels[top : top + photo.height, left : left + photo.width])
        for system, pixels in whole.items()
    }
    return Shown(stimulus=photo.stimulus, pixels=parts)


def _rendering(release: Release) -> Rendering:
    tiling = tiling_of(release)
    return Rendering(
        variant=release.id,
        weights_sha256=release.weights.sha256,
        tile=tiling.tile,
        overlap=tiling.overlap,
        fixed=tiling.fixed,
    )


def _resized(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Returns pixels at another size as the scores have it: Pillow's bicubic, antialiased where it gets smaller."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def _notice(pictures: Sequence[Stimulus]) -> str:
    rows = [
        f"| {picture.name} | {picture.title} | {picture.author} | {picture.rights} | {picture.source} |"
        for picture in pictures
    ]
    return "\n".join(
        (
            "# Pictures that raters compare",
            "",
            f"Each folder holds a part of a photo as it was (`{ORIGINAL}`), and the same part after the photo was made",
            f"{SCALE} times smaller and enlarged again by bicubic interpolation (`{BICUBIC}`) and by each variant.",
            "A file is a lossless WebP of the pixels or, where `set.json` names a base, of their difference to those",
            "of another file, modulo 256. The files hold no metadata.",
            "`python -m ratings render` makes this folder.",
            "",
            "| picture | shows | by | rights | source |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "The statements of rights are those in scikit-image's documentation of `skimage.data`. People and brands",
            "in the photos have no part in this project.",
            "",
        )
    )
