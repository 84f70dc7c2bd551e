"""Every word that a visitor sees, and how numbers are said."""

import math
from typing import Final

from sr_core.image.picture import FORMAT_NAMES, PhotoFormat
from sr_core.image.sniff import READ_NAMES

__all__ = [
    "AS_THE_PHOTO",
    "BICUBIC",
    "apart_text",
    "change_text",
    "count_text",
    "decibels_text",
    "duration_text",
    "format_choices",
    "megabytes_text",
    "megapixels_text",
    "percent_text",
    "size_text",
    "tiles_text",
]

TITLE: Final = "Pocket super-resolution"
HERO: Final = "Sharper, bigger photos from SwinIR models that are small enough for a phone."
UPSCALE_TAB: Final = "Upscale"
ZOO_TAB: Final = "Zoo"
PHOTO: Final = f"Photo: {READ_NAMES}"
MODEL: Final = "Model"
MODEL_HEADINGS: Final = (("Model", ""), ("Time", ""), ("PSNR", "dB"), ("Size", "weights"))
MORE_VARIANTS: Final = "More variants ({count})"
CHOSEN: Final = "Chosen: {label}"
PSNR_HELP: Final = "PSNR: Set5, luma; higher is closer to the original."
NO_TIME: Final = "–"
SAVE_AS: Final = "Save as"
REMOVE_LOCATION: Final = "Remove location"
SAYS_LOCATION: Final = "This photo says where it was taken."
RUN: Final = "Upscale the photo"
CANCEL: Final = "Cancel"
TRY_SPOT: Final = "Try this spot"
DOWNLOAD: Final = "Download the picture"
CLOSER: Final = "Look closer"
CLOSER_HELP: Final = "Click anywhere on the photo: the square is computed at full size, in seconds."
SPOT_ALT: Final = "Your photo, with a square around the spot that is shown at full size"
SPOT_ACROSS: Final = "Across"
SPOT_DOWN: Final = "Down"
COMPARE_WITH: Final = "Compare with"
BICUBIC: Final = "bicubic"
"""What a choice of the comparison holds in the place of a model id."""
BICUBIC_CHOICE: Final = "Bicubic enlargement"
BEFORE: Final = "Bicubic"
PICTURE_ALT: Final = "The photo enlarged by {name}"
BICUBIC_ALT: Final = "bicubic interpolation"
DIFFERENCE_ALT: Final = "A map of where {after} differs from {before}, amplified {gain} times"
DIFFERENCE: Final = "Difference ×{gain}"
ACTUAL_PIXELS: Final = "Actual pixels"
COMPARE_SLIDER: Final = "Divider between {before} (left) and {after} (right)"
SHOWN_SMALLER: Final = "Shown at {shown}; the download has all {full} pixels. Look closer below to judge detail."
SHOWN_WHOLE: Final = "Shown in full: {full} pixels, not recompressed."
APART: Final = "Between the two: PSNR {psnr_db} dB over all values, at most {largest} of 255 apart."
SAME: Final = "Between the two: equal in every value."
ALSO_RUN: Final = "Also upscale with {model}"
ALSO_TIME: Final = "about {duration}"
RESULT_GONE: Final = "This result is no longer kept on the server; please upscale the photo again to compare it."

WELCOME_TITLE: Final = "See what a small network can recover"
WELCOME_POINTS: Final = (
    (
        "Compare honestly",
        "Next to the model you see plain bicubic enlargement, pixel for pixel and without recompression.",
    ),
    (
        "Keep what you had",
        "A HEIC stays a HEIC and RAW becomes a DNG, with colour profile, EXIF, transparency and bit depth. What "
        "another format cannot hold is said before you start.",
    ),
    (
        "Know the limits",
        "SwinIR adds plausible detail; it cannot know what was there. Do not read faces, text or plates from it.",
    ),
)
ORIGIN: Final = "The models are {origin}."
PRIVACY: Final = (
    "Photos are used for nothing but your result; both are deleted from this server within {minutes} minutes."
)

WAITING: Final = "Waiting for a free place in the queue …"
READING: Final = "Reading the photo …"
LOADING_MODEL: Final = "Loading {model} …"
WORKING: Final = "Upscaling with {model}"
PART: Final = "tile {done} of {total}"
TIME_LEFT: Final = "about {duration} left"
WRITING: Final = "Writing the result …"
CANCELLED: Final = "Cancelled. The computation ends with the tile it is at; nothing of this result is kept."
TRYING: Final = "Waiting to compute the spot …"
TRYING_PART: Final = "Computing the spot: tile {done} of {total}"
SPOT_FROM_MODEL: Final = "{model} on {size} pixels, {duration}."
SPOT_KEPT: Final = "{model} on {size} pixels."
SPOT_PAIR: Final = "{model} and {other} on {size} pixels."
SPOT_FROM_RESULT: Final = "Cut from the full result of {model}."
SPOT_FROM_RESULTS: Final = "Cut from the full results of {model} and {other}."
KEEPS_ALL: Final = "Saved as {name}, nothing that the photo carries is left out."
KEEPS_LIGHT: Final = "Saved as a linear DNG, still to be developed: with the light and the colours of the camera."
LOCATION_KEPT: Final = "The file says where the photo was taken."
LOCATION_REMOVED: Final = "The file does not say where the photo was taken."
EXIF_KEPT: Final = "The file keeps the photo's EXIF."
ESTIMATE_HELP: Final = "Time: for this photo, measured on this machine."
ESTIMATE_ELSEWHERE: Final = "Time: for this photo, measured on {machine}; this machine is being measured."
ESTIMATE_FETCHED_LATER: Final = (
    "Time: for this photo, measured here once a model has been fetched, until then on {machine}."
)
ESTIMATE_MEASURING: Final = "The times are being measured on this machine …"
ESTIMATE_NONE: Final = "Upload a photo to see how long each model takes."

NO_PHOTO: Final = "There is no photo yet; please upload one first."
PHOTO_GONE: Final = "The photo is no longer on the server; please upload it again."
BAD_FORMAT: Final = "The format {name!r} is not known; the formats are {known}."
RESULT_TOO_LARGE: Final = (
    "The result would have {megapixels} megapixels and this server makes at most {limit}; "
    "please pick a smaller scale or a smaller photo."
)
TOO_MUCH_MEMORY: Final = (
    "This would take about {needed} MiB of memory and a job may take {limit} MiB; "
    "please pick a smaller scale or a smaller photo."
)
TOO_LONG: Final = (
    "This would take about {duration} on this machine and a job may take {limit}; "
    "please pick a faster model or a smaller photo."
)
STOPPED_LATE: Final = "The job took longer than {limit} and was stopped; please pick a faster model or a smaller photo."
BUG: Final = "Something went wrong on our side. If you report it, please name job {job}."

AS_THE_PHOTO: Final = "same"
SAME_FORMAT: Final = "Same format as the photo"
SAME_FORMAT_AS: Final = "Same format as the photo ({name})"
RAW_AS_DNG: Final = "DNG, as the photo is RAW"
_FORMAT_LABELS: Final[dict[PhotoFormat, str]] = {**FORMAT_NAMES, "png": "PNG, lossless", "tiff": "TIFF, lossless"}

GREY: Final = "grey"
TRANSPARENCY: Final = "transparency"
WITH_LOCATION: Final = "with location"
NO_LOCATION: Final = "no location"

KIT: Final = "Download the Core ML kit"
KIT_BUSY: Final = "Packing the kit …"
WEIGHTS: Final = "Download the weights"
WEIGHTS_BUSY: Final = "Fetching the weights …"
NO_KIT: Final = "No Core ML package was made of this variant, so there is no kit."
USE_VARIANT: Final = "Use this variant"

PLOT_TITLE: Final = "Size against quality"
PLOT_GROUP: Final = "Variants by size of the weight file and PSNR"
PLOT_X: Final = "Weight file, MB"
PLOT_Y: Final = "PSNR on {dataset}, dB"
PLOT_BICUBIC: Final = "Bicubic {psnr_db}"
PLOT_FILLED: Final = "with a Core ML package"
PLOT_HOLLOW: Final = "without"
PLOT_FRONT: Final = "best for its size"
PLOT_POINT: Final = "{megabytes} MB · {psnr_db} dB"
PLOT_BELOW: Final = "{megabytes} MB · {psnr_db} dB, below the scale"
PLOT_MISSING: Final = "Not in the plot, because not measured on {dataset}: {labels}."
TABLE_CAPTION: Final = "All variants"
SORTED: Final = "Sorted by {column}, {order}."
SPEED_NOTE: Final = "s/MP: seconds for a megapixel of photo, measured on {machine}."
TABLE_HELP: Final = (
    "Δ: PSNR on {dataset} less that of the family's whole network. Sparsity: share of the whole network that is "
    "removed or zero. Gate B: the package against the float32 network. Steps: largest difference to the picture on "
    "this page, of 255. A dash: not measured, or no package."
)

GATES: Final[dict[str, str]] = {"a": "Gate A", "b": "Gate B", "c": "Gate C", "screen": "On this page"}
SHEET_TITLE: Final = "All about {label}"
PROOF_TITLE: Final = "Proof sheet"
ASKED_FOR: Final = "asked for: {floor}"
PACKAGE_TITLE: Final = "Core ML package"
DEVICE_HEADINGS: Final = ("Device", "System", "Compute units", "Date", "ms a tile")
ORIGIN_TITLE: Final = "Where it comes from"
REMOVED_TITLE: Final = "Removed heads, by block"
REMOVED_HEADINGS: Final = ("Stage and block", "Heads of the parent")
COST_TITLE: Final = "What it costs"
SCORES_TITLE: Final = "Scores"
SCORE_HEADINGS: Final = ("Data set (pictures)", "on", "border", "PSNR dB", "bicubic dB", "SSIM")
LICENSES_TITLE: Final = "Licence"
LICENSE_HEADINGS: Final = ("Covers", "Terms", "Source")
FILES_TITLE: Final = "Files"
CONTENTS_TITLE: Final = "Files inside of the package"
SWIFT_TITLE: Final = "Use it in an app"
SWIFT_HELP: Final = "This file is in the kit too; it cuts a photo into tiles and blends them as this page does."
COPY: Final = "Copy"
COPIED: Final = "Copied"


def format_choices(of_the_photo: PhotoFormat | None) -> list[tuple[str, str]]:
    """Returns what a result can be saved as, as label and value.

    A DNG can be made of a RAW photo only, and is then what ``same`` means.

    Args:
        of_the_photo: The family that ``same`` stands for and that is not listed again, or None without a photo.
    """
    match of_the_photo:
        case None:
            same = SAME_FORMAT
        case "dng":
            same = RAW_AS_DNG
        case _:
            same = SAME_FORMAT_AS.format(name=FORMAT_NAMES[of_the_photo])
    others = [(label, name) for name, label in _FORMAT_LABELS.items() if name not in (of_the_photo, "dng")]
    return [(same, AS_THE_PHOTO), *others]


def duration_text(seconds: float) -> str:
    """Returns a time as one would say it, such as ``40 s`` or ``3 min``; coarser where it is longer."""
    if seconds < 1:
        return "1 s"
    if seconds < 10:
        return f"{seconds:.0f} s"
    if seconds < 55:
        return f"{5 * round(seconds / 5)} s"
    if seconds < 3570:
        return f"{max(1, round(seconds / 60))} min"
    return f"{seconds / 3600:.1f} h"


def size_text(size_bytes: int) -> str:
    """Returns the length of a file, such as ``1.8 MB``."""
    if size_bytes < 100_000:
        return f"{max(1, round(size_bytes / 1000))} kB"
    return f"{size_bytes / 1_000_000:.1f} MB"


def count_text(count: int) -> str:
    """Returns a number of parameters, such as ``0.91 M``."""
    return f"{count / 1_000_000:.2f} M" if count >= 100_000 else f"{max(1, round(count / 1000))} k"


def tiles_text(count: int) -> str:
    """Returns a number of tiles, such as ``12 tiles``."""
    return "1 tile" if count == 1 else f"{count} tiles"


def megapixels_text(pixels: int) -> str:
    """Returns a number of pixels, such as ``12.2 MP``."""
    return f"{pixels / 1_000_000:.1f} MP" if pixels >= 950_000 else f"{pixels / 1_000_000:.2f} MP"


def megabytes_text(size_bytes: int) -> str:
    """Returns the length of a file in MB without its unit, for columns: ``1.86``."""
    return f"{size_bytes / 1_000_000:.2f}"


def decibels_text(value_db: float) -> str:
    """Returns decibels without their unit, for columns: ``33.14``."""
    return f"{value_db:.2f}"


def percent_text(share: float) -> str:
    """Returns a share in percent without its unit, for columns: ``12.5``."""
    return f"{100 * share:.1f}"


def apart_text(psnr_db: float, largest: float) -> str:
    """Returns how far two pictures are apart, in a sentence.

    Args:
        psnr_db: Between the two, infinite when they are equal.
        largest: Largest difference of a value, in steps of 1/255.
    """
    if math.isinf(psnr_db):
        return SAME
    steps = f"{largest:.0f}" if largest == round(largest) else f"{largest:.1f}"
    return APART.format(psnr_db=f"{psnr_db:.1f}", largest=steps)


def change_text(difference_db: float) -> str:
    """Returns a difference in decibels with its sign, for columns: ``−0.03``."""
    rounded = round(difference_db, 2)
    return f"{'+' if rounded > 0 else '−' if rounded < 0 else ''}{abs(rounded):.2f}"
