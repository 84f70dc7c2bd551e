"""Every word that a visitor sees, and how numbers are said."""

from typing import Final

from sr_core.image.picture import PhotoFormat

__all__ = [
    "AS_THE_PHOTO",
    "FORMAT_CHOICES",
    "FORMAT_LABELS",
    "count_text",
    "duration_text",
    "megapixels_text",
    "size_text",
    "tiles_text",
]

TITLE: Final = "Pocket super-resolution"
HERO: Final = "Sharper, bigger photos from SwinIR models that are small enough for a phone."
PHOTO: Final = "Photo: JPEG, PNG, WebP or HEIC"
MODEL: Final = "Model"
MODEL_HEADINGS: Final = (("Model", ""), ("Time", ""), ("PSNR", "dB"), ("Size", "weights"))
PSNR_HELP: Final = "PSNR: Set5, luma; higher is closer to the original."
NO_TIME: Final = "–"
SAVE_AS: Final = "Save as"
RUN: Final = "Upscale the photo"
CANCEL: Final = "Cancel"
TRY_SPOT: Final = "Try this spot"
DOWNLOAD: Final = "Download"
CLOSER: Final = "Look closer"
CLOSER_HELP: Final = "Click anywhere on the photo: the square is computed at full size, in seconds."
SPOT_ALT: Final = "Your photo, with a square around the spot that is shown at full size"
SPOT_ACROSS: Final = "Across"
SPOT_DOWN: Final = "Down"
BEFORE: Final = "Bicubic"
BEFORE_ALT: Final = "The photo enlarged by bicubic interpolation"
AFTER_ALT: Final = "The photo enlarged by the model"
DIFFERENCE_ALT: Final = "A map of where the model's result differs from bicubic enlargement"
DIFFERENCE: Final = "Difference ×{gain}"
ACTUAL_PIXELS: Final = "Actual pixels"
COMPARE_SLIDER: Final = "Divider between bicubic (left) and model (right)"
SHOWN_SMALLER: Final = "Shown at {shown}; the download has all {full} pixels. Look closer below to judge detail."
SHOWN_WHOLE: Final = "Shown in full: {full} pixels, not recompressed."
DIFFERENCE_HELP: Final = "Black: the same as bicubic. Bright: changed by the model, amplified {gain} times."

WELCOME_TITLE: Final = "See what a small network can recover"
WELCOME_POINTS: Final = (
    (
        "Compare honestly",
        "Next to the model you see plain bicubic enlargement, pixel for pixel and without recompression.",
    ),
    ("Keep what you had", "Orientation, colour profile, EXIF, transparency and bit depth travel into the result."),
    (
        "Know the limits",
        "SwinIR adds plausible detail; it cannot know what was there. Do not read faces, text or plates from it.",
    ),
)
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
SPOT_FROM_MODEL: Final = "{model} on {width} × {height} pixels, {duration}"
SPOT_FROM_RESULT: Final = "Cut from the full result of {model}"
EXIF_KEPT: Final = "The file keeps the photo's EXIF, with the place where it was taken if the camera noted it."
ESTIMATE_HELP: Final = "Time: for this photo, measured on this machine."
ESTIMATE_ELSEWHERE: Final = "Time: for this photo, measured on {machine}; this machine is being measured."
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
FORMAT_LABELS: Final[dict[PhotoFormat, str]] = {"jpeg": "JPEG", "png": "PNG", "webp": "WebP", "heic": "HEIC"}
FORMAT_CHOICES: Final[tuple[tuple[str, str], ...]] = (
    ("Same format as the photo", AS_THE_PHOTO),
    ("PNG, lossless", "png"),
    ("JPEG", "jpeg"),
    ("WebP", "webp"),
    ("HEIC", "heic"),
)


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
