"""The files of a variant for download: its kit and its weights, made where Gradio may serve them from."""

import shutil
from pathlib import Path

from sr_core.errors import PackageError
from ui import text
from ui.studio import Studio
from ui.widgets.download import Offer
from zoo.kit import kit_name, write_kit
from zoo.release import Release

__all__ = ["copy_weights", "kit_offer", "make_kit", "weights_offer"]


def kit_offer(release: Release) -> Offer:
    """Returns the kit of a variant as a button offers it, or why there is none."""
    package = release.package
    size = "" if package is None else f" · {text.size_text(package.bytes)}"
    return Offer(
        id=release.id,
        words=text.KIT,
        busy=text.KIT_BUSY,
        detail=release.label + size,
        reason="" if package is not None else text.NO_KIT,
    )


def weights_offer(release: Release) -> Offer:
    """Returns the weights of a variant as a button offers them."""
    return Offer(
        id=release.id,
        words=text.WEIGHTS,
        busy=text.WEIGHTS_BUSY,
        detail=f"safetensors · {text.size_text(release.weights.bytes)}",
    )


def make_kit(studio: Studio, release: Release, folder: Path) -> Path:
    """Returns the kit of a variant, written to a folder.

    Raises:
        PackageError: There is no package, or it cannot be had.
    """
    if release.package is None:
        raise PackageError(text.NO_KIT)
    package = studio.zoo.files.path_of(release.package, release.id)
    return write_kit(release, package, folder / kit_name(release))


def copy_weights(studio: Studio, release: Release, folder: Path) -> Path:
    """Returns a copy of the weights of a variant in a folder.

    Raises:
        WeightsError: They cannot be had.
    """
    return Path(shutil.copy(studio.zoo.files.path_of(release.weights, release.id), folder))
