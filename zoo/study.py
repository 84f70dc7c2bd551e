"""What was measured of networks that do not ship, so that reports need no weights of them.

A study holds the points of one whole network: what each technique makes of it, at each amount. The file
``study.json`` is read and written here; nothing of it is worked out from a network.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias, cast

from filelock import FileLock
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from sr_core.errors import ModelError
from zoo.manifest import HOME
from zoo.release import Bytes, Count, Day, Measure, Metric, Share, SpeedRecord

__all__ = [
    "STUDY_PATH",
    "STUDY_SCHEMA",
    "Study",
    "StudyPoint",
    "Technique",
    "add_points",
    "change_studies",
    "load_study",
    "put_points",
    "save_study",
]

STUDY_SCHEMA: Final = 1
STUDY_PATH: Final = HOME / "study.json"

Technique: TypeAlias = Literal[
    "whole",
    "heads-l1",
    "magnitude-l1",
    "selective",
    "selective-repair",
    "selective-distilled",
    "uniform-bits",
    "mixed-bit",
    "selective-mixed-bit",
    "mixed-bit-selective",
]
"""``whole`` is the network itself; ``heads-l1`` and ``magnitude-l1`` are those of the seed paper; ``selective`` removes
heads and hidden units by what that is measured to cost, ``-repair`` solves for what is left, ``-distilled`` trains
that a little; ``uniform-bits`` stores all weights alike, ``mixed-bit`` each layer in its own format; the last two do
both, in the order in which they are named."""

Words: TypeAlias = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$")]
"""One line that is not empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPoint:
    """A network that was measured.

    Attributes:
        technique: How it was made.
        words: What tells it from the other points of its technique, such as ``5 heads a block``.
        share: What was aimed at: the share of ``measure`` that was to go; 0 where nothing was.
        parameters: Learned values, zeros included.
        sparsity: Share of the parameters of the whole network that are gone, removed or zero.
        sparsity_qkv: The account of the seed paper: the weights of queries, keys and values that are gone, over all
            parameters of the whole network.
        iterations: Steps of the technique, one head fewer in each block being one; 0 for techniques without steps.
        heads: Heads left, of all blocks.
        hidden: Hidden units left, of all blocks.
        weights_bytes: Length of the weight file, in float16 or, of a point that stores weights coarser, in its own
            formats.
        package_bytes: Length of the files of the unzipped Core ML package; None where none was made.
        metrics: Scores.
        speed: Time on a processor; None when not measured.
        agreement_db: PSNR of the package as typed against the float32 whole network on natural tiles, as gate B
            measures it; None when not measured.
        release: Id of the release that it is; None when it does not ship, or nobody said.
        measure: What ``share`` is a share of: milliseconds are those of the machine on which the point was made.
        recipe: How it was distilled, besides the number of steps; empty where it was not.
        agreement_with: Id of the release whose float32 network ``agreement_db`` compares with; empty for the whole one.
    """

    technique: Technique
    words: Words
    share: Share
    parameters: Count
    sparsity: Share
    sparsity_qkv: Share
    iterations: Count
    heads: Count
    hidden: Count
    weights_bytes: Bytes
    package_bytes: Bytes | None
    metrics: tuple[Metric, ...]
    speed: SpeedRecord | None
    agreement_db: float | None
    release: str | None = None
    measure: Measure | Literal["milliseconds"] = "parameters"
    recipe: str = ""
    agreement_with: str = ""

    def metric(self, dataset: str, channels: Literal["y", "rgb"] = "y") -> Metric | None:
        """Returns the score on a data set, or None when it was not measured."""
        return next((m for m in self.metrics if m.dataset == dataset and m.channels == channels), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """All points that were measured of one whole network.

    Attributes:
        family: The family of the network, such as ``swinir-light``.
        scale: Output pixels per input pixel along each axis.
        date: The day on which the last point was added.
        calibration: On which pictures it was measured what a weight is worth, in words.
        whole: Id of the release that is the whole network; it tells studies apart.
        points: What was measured.
    """

    family: Words
    scale: Annotated[int, Field(ge=1)]
    date: Day
    calibration: str
    whole: Words
    points: tuple[StudyPoint, ...]


_STUDIES: Final = TypeAdapter(tuple[Study, ...], config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))


def load_study(path: Path = STUDY_PATH) -> tuple[Study, ...]:
    """Returns the studies of a file; none where there is no file.

    Raises:
        ModelError: The file is damaged, has another schema number, or a record in it is not sound.
    """
    try:
        return _parse(path.read_text(encoding="utf-8"), path.name)
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"The study {path.name} cannot be read.") from error


def save_study(study: Study, path: Path = STUDY_PATH) -> None:
    """Writes a study into the file, in the place of the one of the same whole network.

    Raises:
        ModelError: The file that is there is damaged, or the study is not sound; then nothing is written.
    """
    change_studies(path, lambda studies: _put(studies, study))


def add_points(study: Study, points: Iterable[StudyPoint], path: Path = STUDY_PATH) -> Study:
    """Returns a study with more points, as it is in the file then: what others added meanwhile stays.

    Raises:
        ModelError: The file that is there is damaged, or a point is not sound; then nothing is written.
    """

    def change(studies: tuple[Study, ...]) -> tuple[Study, ...]:
        now = next((one for one in studies if one.whole == study.whole), study)
        return _put(studies, put_points(replace(now, date=study.date), points))

    return next(one for one in change_studies(path, change) if one.whole == study.whole)


def change_studies(path: Path, change: Callable[[tuple[Study, ...]], tuple[Study, ...]]) -> tuple[Study, ...]:
    """Changes the studies of a file and returns them; whoever else changes it meanwhile, waits.

    Args:
        path: The file, which may be missing; it is replaced only when the new one is complete.
        change: Given the studies as they stand, returns what they are to be.

    Raises:
        ModelError: The file that is there is damaged, or a study is not sound; then nothing is written.
    """
    with FileLock(path.with_name(f".{path.name}.lock")):
        studies = change(load_study(path))
        document = {"schema": STUDY_SCHEMA, "studies": [asdict(study) for study in studies]}
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        _parse(text, path.name)  # what cannot be read again must not take the place of what can
        part = path.with_name(path.name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    return studies


def put_points(study: Study, points: Iterable[StudyPoint]) -> Study:
    """Returns the study with these points, in the place of those of the same technique and words, or at the end."""
    placed = {(point.technique, point.words): point for point in study.points}
    placed |= {(point.technique, point.words): point for point in points}
    return replace(study, points=tuple(placed.values()))


def _put(studies: tuple[Study, ...], study: Study) -> tuple[Study, ...]:
    return tuple({one.whole: one for one in (*studies, study)}.values())


def _parse(text: str, name: str) -> tuple[Study, ...]:
    """Returns the studies that the text of a file holds."""
    try:
        document = cast(dict[str, Any], json.loads(text))
        schema = document["schema"]
        if schema != STUDY_SCHEMA:
            raise ModelError(f"The study {name} has the schema number {schema}; only {STUDY_SCHEMA} is read here.")
        if document.keys() != {"schema", "studies"}:
            raise ModelError(f"The study {name} must hold its schema number and its studies, and nothing else.")
        studies = _STUDIES.validate_json(json.dumps(document["studies"]))
    except ValidationError as error:
        raise ModelError(f"The study {name} is damaged: {_first(error)}.") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"The study {name} is damaged: {error}.") from error
    _check(studies, name)
    return studies


def _check(studies: tuple[Study, ...], name: str) -> None:
    """Refuses what no type can tell: two records of one thing."""
    wholes = [study.whole for study in studies]
    if len(set(wholes)) < len(wholes):
        raise ModelError(f"The study {name} has two studies of one network.")
    for study in studies:
        keys = [(point.technique, point.words) for point in study.points]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice:
            raise ModelError(f"The study {name} has two points {twice[0]} {twice[1]!r} of {study.whole}.")
        releases = [point.release for point in study.points if point.release is not None]
        if len(set(releases)) < len(releases):
            raise ModelError(f"The study {name} has two points of {study.whole} that are the same release.")
        if [technique for technique, _ in keys].count("whole") > 1:
            raise ModelError(f"The study {name} has two points of the whole network of {study.whole}.")


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    return f"{first['msg']} (at studies.{'.'.join(map(str, first['loc']))})"
