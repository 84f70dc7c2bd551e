"""Every word that a visitor sees, and how numbers are said."""

import math
from typing import Final

from sr_core.image.picture import FORMAT_NAMES, PhotoFormat
from sr_core.image.sniff import READ_NAMES
from zoo.report.scales import signed_number

__all__ = [
    "AS_THE_PHOTO",
    "BICUBIC",
    "apart_text",
    "change_text",
    "count_text",
    "counted_text",
    "decibels_text",
    "duration_text",
    "format_choices",
    "megabytes_text",
    "megapixels_text",
    "percent_text",
    "raters_text",
    "signed_text",
    "size_text",
    "tiles_text",
    "votes_text",
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

RATINGS_OFF: Final = "Ratings are off, because this server cannot keep votes at present; everything else works."
NO_KEY: Final = (
    "VOTES_REPO or VOTES_DB_URL is set, but not PSR_VOTES_SECRET. A secret that is made here is lost with this disk, "
    "and raters could not delete their votes any more. Please set PSR_VOTES_SECRET to 16 or more random characters, or "
    "PSR_VOTES_DIR to a folder that outlives a restart."
)
ORIGINAL_SHOWN: Final = "The original"
NO_CONSENT: Final = "Please tick that your rating may be stored; nothing has been stored."
BAD_REQUEST: Final = "This page and the server do not understand each other; please load the page again."
NO_SUCH_ANSWER: Final = "There is nothing at this address."
RATINGS_BUSY: Final = "Too many people are rating at this moment; please try again in a few seconds."
NEW_RATERS: Final = "Many people from your network began to rate just now; please try again in {minutes} minutes."
FOREIGN_PAGE: Final = "This app answers to its own page only; please open that."
TOO_OFTEN: Final = "These were too many requests at a time from your network; please try again in a moment."
DISK_FULL: Final = "The server has no room for this file just now; please try again in an hour."
TOO_LONG_A_BODY: Final = "This is more than the server takes at a time; please send a smaller file."

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
PLOT_BELOW: Final = "{words}, below the scale"
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

RATE_TAB: Final = "Rate"
RATE_TITLE: Final = "Which picture looks better?"
RATE_ONE_TITLE: Final = "How good is this picture?"
RATE_INTRO: Final = (
    "You see the same photo twice, made larger in two ways whose names stay hidden until you have voted. The photos "
    "come with this page; yours are never shown to anybody."
)
RATE_ONE_INTRO: Final = (
    "You see one photo, made larger in a way whose name stays hidden until you have graded it. The photos come with "
    "this page; yours are never shown to anybody."
)
RATE_STORED: Final = (
    "Stored with a vote are your choice, how long you took, the size of your window and of the pictures in it, and a "
    "random word that is new each month: no name, no address, no photo. Votes are published without the word, and you "
    "can delete yours here at any time."
)
RATE_HERE: Final = "This server keeps votes on its own disk only."
RATE_CONSENT: Final = "I agree that my votes are stored and published like this."
RATE_START: Final = "Start"
RATE_MODES: Final = "What to do"
RATE_PAIR: Final = "Compare two"
RATE_ONE: Final = "Grade one"
RATE_SIDES: Final = ("A", "B")
RATE_PICTURE_ALT: Final = "Picture {side}"
RATE_VOTE: Final = "Your vote"
RATE_ANSWERS: Final = (
    ("left", "A", "←", "A is better"),
    ("tie", "About the same", "=", "About the same"),
    ("right", "B", "→", "B is better"),
    ("both_bad", "Both bad", "X", "Both are bad"),
    ("skip", "Skip", "S", "Skip this pair"),
)
"""Each answer of a pair: its word for the server, what the button says, its key, and its name when read aloud."""
RATE_NEXT: Final = "Next"
RATE_RETRY: Final = "Try again"
RATE_LARGER: Final = "Larger"
RATE_SMALLER: Final = "Smaller"
RATE_TODAY: Final = "{done} of {total} today"
RATE_PHOTO: Final = "Photo: {title}"
RATE_LOADING: Final = "Loading …"
RATE_LOOK: Final = "Take a look first …"
RATE_SCROLL: Final = "Scroll to see both pictures."
RATE_SCROLL_ONE: Final = "Scroll to see the whole picture."
RATE_READY: Final = "Now it is your turn."
RATE_REVEAL: Final = "{side} is {maker}."
RATE_REVEAL_ONE: Final = "It is {maker}."
RATE_SENDING: Final = "Sending your vote …"
RATE_ACCEPTED: Final = "Accepted"
RATE_ACCEPTED_MORE: Final = "on this server, not in the archive yet"
RATE_SLOW_MORE: Final = "saving takes longer than usual and goes on by itself"
RATE_SAVED: Final = "Saved"
RATE_SAVED_MORE: Final = "in the archive"
RATE_KEPT: Final = "Kept on this server only"
RATE_OFFLINE: Final = "The server cannot be reached. Nothing is lost: please try again."
RATE_BROKEN: Final = "The server gave no proper answer. Please try again."
RATE_PICTURES_LOST: Final = "The pictures did not arrive. Please try again."
RATE_DELETE: Final = "Delete my votes"
RATE_DELETE_ASK: Final = "Delete all votes of this browser? Nobody can bring them back."
RATE_DELETE_YES: Final = "Delete them"
RATE_DELETE_NO: Final = "Keep them"
RATE_DELETED: Final = "{count} deleted. This browser is unknown here again."
RATE_FOREIGN: Final = (
    "{count} deleted. This browser also voted under an earlier secret of this server, and the server no longer knows "
    "which votes those are. Please ask its owner, who can delete them with “python -m ratings forget --rater”."
)
GRADES: Final = ("Bad", "Poor", "Fair", "Good", "Excellent")
"""The words of ITU-T P.910 for the grades 1 to 5."""
GRADE_TITLE: Final = "How good is this picture?"
GRADE_STORED: Final = (
    "Stored: grade, model, time taken, sizes of window and picture, random words for you and the photo; no pixel of it."
)
GRADE_AS_RATE: Final = "You agreed to this on the tab “Rate”."
GRADE_CONSENT: Final = "I agree that my grades are stored, and published without the random words."
GRADE_TICK: Final = "Please tick the box first."
GRADE_THANKS: Final = "Thank you: {grade}."

BOARD_TAB: Final = "Board"
BOARD_TITLE: Final = "What people prefer"
BOARD_LEAD: Final = (
    "Two pictures of the same photo, side by side, without names: which is better? This is what the votes support, and "
    "nothing more."
)
BOARD_OFF: Final = "Ratings are off on this server, so there is no board."
BOARD_COUNTING: Final = "Counting the votes …"
BOARD_HERE: Final = "The votes of this server stay on this server: if its disk is lost, so are they."
BOARD_NO_VOTES: Final = "No votes yet"
BOARD_INVITE: Final = (
    "Be the first: on the tab “{tab}” you see a photo twice and say which one is better. A vote takes seconds, and "
    "nobody asks for your name."
)
BOARD_THRESHOLDS: Final = (
    "A variant gets its score here with {hidden} counted votes of at least {raters} raters, and is marked as "
    "preliminary until it has {preliminary}."
)
BOARD_CAPTION: Final = "Variants and anchors by blind pairs"
BOARD_HEADINGS: Final = (
    ("Rank", "", True),
    ("Variant", "", False),
    ("Score", "points", True),
    ("95 % interval", "points", False),
    ("Alike", "same letter", False),
    ("Votes", "", True),
    ("Against full precision", "preferred in, 90 % interval", False),
)
"""Each column of the board: its heading, its unit, and whether it holds numbers."""
ANCHOR_NOTES: Final[dict[str, str]] = {"original": "hidden reference", "bicubic": "hidden anchor"}
BOARD_RANGE: Final = "{low} to {high}"
BOARD_PRELIMINARY: Final = "preliminary"
BOARD_WAITING: Final = "{votes} of {needed} votes"
BOARD_WAITING_RATERS: Final = "{votes}, but of fewer than {needed} raters"
BOARD_FULL: Final = "is full precision"
BOARD_REFERENCE_WAITS: Final = "full precision has too few votes"
VERDICTS: Final[dict[str, str]] = {"equivalent": "Equivalent", "worse": "Worse", "better": "Better", "open": "Open"}
BOARD_WINS: Final = "{wins} % ({low}–{high})"
BOARD_NEEDS: Final = "about {votes} more needed"
BOARD_NEEDS_UNKNOWN: Final = "votes needed: not to be told yet"
BOARD_TURNS: Final = "removing {votes} turns it"
BOARD_FIRST: Final = "{label} stands first, apart from all other variants."
BOARD_FIRST_OF: Final = "The best rank is shared by {labels}: the votes do not tell them apart."
BOARD_FIRST_MANY: Final = "The best rank is shared by {count} variants: the votes do not tell them apart."
BOARD_ONLY: Final = "{label} is the only variant with {hidden} votes of {raters} raters so far."
BOARD_NONE_SHOWN: Final = "No variant has {hidden} votes of {raters} raters yet, so no score is shown."
BOARD_DROP: Final = "Removing {votes} would change which variant has the highest score."
BOARD_DROP_NONE: Final = "Removing a tenth of the votes would not change which variant has the highest score."
BOARD_KEY: Final = (
    (
        "Score",
        "0 is the mean of the systems shown. Who is 100 points ahead is preferred in 64 of 100 pairs, and with 200 "
        "points in 76. The bar is the 95 % interval, by how much raters differ from each other.",
    ),
    (
        "Rank, alike",
        "The rank is one more than the number of systems, anchors too, whose whole interval lies above. Two systems "
        "share a letter when their intervals overlap: these votes do not tell them apart.",
    ),
)
BOARD_KEY_EQUAL: Final = (
    "Against full precision",
    "How often it is preferred to the whole network that it was made from; known better than two scores are. "
    "Equivalent: the 90 % interval lies within {low} to {high} %, by two one-sided tests at 5 %. Worse or better: it "
    "leaves out 50 %. Open: the votes do not tell.",
)
BOARD_KEY_VOTES: Final = (
    "Votes, anchors",
    "Below {hidden} votes or {raters} raters no score is shown, below {preliminary} votes it is preliminary. The "
    "original and bicubic enlargement take part without a name; their pair also tells who looks.",
)
BOARD_MISSING: Final = "Not part of the blind trials: {labels}."
BOARD_SIZE_TITLE: Final = "Score against size"
BOARD_SIZE_GROUP: Final = "Variants by size of the Core ML package and score"
BOARD_SIZE_X: Final = "Core ML package, MB"
BOARD_PSNR_TITLE: Final = "Score against PSNR"
BOARD_PSNR_GROUP: Final = "Variants by PSNR and score"
BOARD_PSNR_X: Final = "PSNR on {dataset}, dB"
BOARD_Y: Final = "Score, points, with 95 % interval"
BOARD_POINT: Final = "{x} · {points} points ({interval})"
BOARD_MEGABYTES: Final = "{value} MB"
BOARD_DECIBELS: Final = "{value} dB"
BOARD_FILLED: Final = "ranked"
BOARD_HOLLOW: Final = "preliminary"
BOARD_LEFT_OUT: Final = "Left out, with too few votes: {labels}."
BOARD_NO_PACKAGE: Final = "Left out, without a package: {labels}."
BOARD_NO_SCORE: Final = "Left out, not measured on {dataset}: {labels}."
BOARD_NO_PLOTS: Final = "The plots begin with the first variant that has a score."
BOARD_GRADES_TITLE: Final = "Grades"
BOARD_GRADES_CAPTION: Final = "Mean opinion scores from 1 to 5"
BOARD_GRADES_GROUPS: Final = (("", 1), ("On the set of pictures", 4), ("On raters' own photos", 3))
"""What several columns of the grades have in common, and how many they are."""
BOARD_GRADES_HEADINGS: Final = (
    ("Variant", False),
    ("MOS", True),
    ("95 % interval", False),
    ("DMOS", True),
    ("Votes", True),
    ("MOS", True),
    ("95 % interval", False),
    ("Votes", True),
)
BOARD_GRADES_HELP: Final = (
    "MOS: mean of the grades {grades}, adjusted for raters and pictures. DMOS: MOS less that of the hidden original, "
    "plus 5. On own photos there is no original to compare with."
)
BOARD_NO_GRADES: Final = "There are no grades yet."
BOARD_COUNTED_TITLE: Final = "How the votes were counted"
BOARD_COUNTED: Final = "{raters} gave {votes}."
BOARD_SKIPS: Final = "{raters} gave {votes}; {skips} and not counted."
BOARD_NOBODY_OUT: Final = "Nobody was left out."
BOARD_LEFT_OUT_RATERS: Final = "Left out, but still stored: {votes} of {raters}. {reasons}"
BOARD_WHY_GOLDEN: Final = "{raters} missed too many golden trials, where the original stands against bicubic."
BOARD_WHY_SIDED: Final = "{raters} took one side whatever was there."
BOARD_WHY_INCONSISTENT: Final = "The votes of {raters} have little to do with those of all others."
BOARD_GOLDEN: Final = "Golden trials: {right} of {total} were answered right."
BOARD_SIDE: Final = (
    "Of two pictures alike, the left (on a phone the upper) one is preferred in {percent} %; the scores make up for "
    "that."
)
BOARD_DATA: Final = "Raw votes and the code that makes this table"
BOARD_DATA_HELP: Final = (
    "A zip with the votes of finished days (UTC). Raters are numbered anew in each download, and times are days."
)


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


def counted_text(count: int, one: str, many: str) -> str:
    """Returns a number of things, such as ``1 vote`` or ``2,490 votes``."""
    return f"{count:,} {one if count == 1 else many}"


def votes_text(count: int) -> str:
    """Returns a number of votes."""
    return counted_text(count, "vote", "votes")


def raters_text(count: int) -> str:
    """Returns a number of raters."""
    return counted_text(count, "rater", "raters")


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
    return signed_text(difference_db, 2)


def signed_text(value: float, digits: int) -> str:
    """Returns a number with its sign, but for zero, such as ``+42`` or ``−0.03``."""
    return signed_number(value, digits)
