"""Votes as records and as lines of JSON: what is stored, sent to the Hub, and read again.

A record names a rater by a word that is made anew each month (:mod:`ratings.identity`), never by an address or a
browser, and holds no text that a visitor typed.
"""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sr_core.errors import VoteError

__all__ = [
    "ANCHORS",
    "BICUBIC",
    "ORIGINAL",
    "OWN",
    "Choice",
    "Forget",
    "GradeVote",
    "PairVote",
    "Record",
    "View",
    "Vote",
    "line_of",
    "record_of",
    "slot_of",
]

ORIGINAL: Final = "original"
"""The system that shows the picture as it was before it was made small: the hidden reference."""
BICUBIC: Final = "bicubic"
"""The system that enlarges by bicubic interpolation."""
ANCHORS: Final = (ORIGINAL, BICUBIC)
"""Systems that are no variants. They anchor the scale; which of the two is better is known, so a pair of them tells an
attentive rater from others (a golden trial)."""
OWN: Final = "own"
"""In place of a set of pictures: the visitor's own photo, of which nothing is stored but a random word."""

Choice: TypeAlias = Literal["left", "right", "tie", "both_bad", "skip"]

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"


def _to_the_second(at: datetime) -> datetime:
    if at.utcoffset() is None:
        raise ValueError("a time needs its zone")
    return at.astimezone(UTC).replace(microsecond=0)


_Name: TypeAlias = Annotated[str, Field(pattern=rf"^{_NAME}$")]
_Word: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
_Time: TypeAlias = Annotated[datetime, AfterValidator(_to_the_second), Field(strict=False)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class View(_Record):
    """How a picture was looked at.

    Attributes:
        decision_ms: From when all pictures were seen to the vote, in milliseconds.
        viewport: Width and height of the browser's window, in CSS pixels.
        pixel_ratio: Device pixels per CSS pixel.
        zoom: Device pixels per pixel of the picture, along a side.
    """

    decision_ms: int = Field(ge=0, le=86_400_000)
    viewport: tuple[Annotated[int, Field(ge=0, le=100_000)], Annotated[int, Field(ge=0, le=100_000)]] = Field(
        strict=False
    )
    pixel_ratio: float = Field(gt=0, le=100)
    zoom: float = Field(gt=0, le=1000)


class PairVote(_Record):
    """Which of two pictures a rater prefers.

    Attributes:
        id: Of this vote and of the trial that it answers, 32 hexadecimal digits.
        at: When, in UTC, to the second.
        rater: The word for the rater, 16 hexadecimal digits.
        picture_set: Version of the set of pictures, a word made from its content.
        picture: Name of the picture in it.
        left: System that stood on the left: a variant's id or one of ``ANCHORS``.
        right: The one on the right.
        choice: Which is better; ``skip`` counts for nothing, but the pair is not shown to this rater again.
        view: How it was looked at.
    """

    kind: Literal["pair"] = "pair"
    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    at: _Time
    rater: _Word
    picture_set: _Name
    picture: _Name
    left: _Name
    right: _Name
    choice: Choice
    view: View


class GradeVote(_Record):
    """A picture's quality from 1 (bad) to 5 (excellent): absolute category rating, ITU-T P.910.

    Attributes:
        id: Of this vote and of what it answers, 32 hexadecimal digits.
        at: When, in UTC, to the second.
        rater: The word for the rater, 16 hexadecimal digits.
        picture_set: Version of the set of pictures, or ``OWN`` for the rater's own photo.
        picture: Name of the picture in it; of an own photo, a random word that is new with each upload.
        system: What made it: a variant's id, or one of ``ANCHORS``.
        grade: From 1 to 5.
        view: How it was looked at.
    """

    kind: Literal["grade"] = "grade"
    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    at: _Time
    rater: _Word
    picture_set: _Name
    picture: _Name
    system: _Name
    grade: int = Field(ge=1, le=5)
    view: View


class Forget(_Record):
    """A rater's wish that the votes under some words be deleted; it stays, so that no copy of them comes back.

    Attributes:
        id: Of this wish, 32 hexadecimal digits.
        at: When, in UTC, to the second.
        raters: The words.
    """

    kind: Literal["forget"] = "forget"
    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    at: _Time
    raters: tuple[_Word, ...] = Field(min_length=1, max_length=240, strict=False)


Vote: TypeAlias = PairVote | GradeVote
Record: TypeAlias = Vote | Forget

_ADAPTER: Final[TypeAdapter[Record]] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])


def line_of(record: Record) -> str:
    """Returns a record as one line of JSON without its end; equal records give equal lines."""
    return record.model_dump_json()


def record_of(line: str | bytes) -> Record:
    """Returns the record of a line.

    Raises:
        VoteError: The line is no record.
    """
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError as error:
        raise VoteError("This is not a vote as the app stores it; please load the page again and vote anew.") from error


def slot_of(record: Record) -> str | None:
    """Returns the place that only one vote may take: this rater's answer about these systems on this picture.

    A wish to forget takes none.
    """
    match record:
        case PairVote():
            systems = "|".join(sorted((record.left, record.right)))
            return f"{record.rater}:{record.picture_set}:{record.picture}:{systems}"
        case GradeVote():
            return f"{record.rater}:{record.picture_set}:{record.picture}:{record.system}"
        case Forget():
            return None
