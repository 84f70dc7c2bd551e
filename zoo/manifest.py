"""The releases that ship: records read from ``manifest.json``, checked when they are read.

What stands on screen, on a model card or in a table comes from here.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from sr_core.errors import ModelError, OptionError, UnknownModelError
from sr_core.infer.tiles import Tiling
from sr_core.spec import Precision, SwinIRSpec, Task, Variant, spec_from_json

__all__ = [
    "BUILTIN",
    "HOME",
    "MANIFEST_PATH",
    "SCHEMA",
    "FileRecord",
    "Manifest",
    "Metric",
    "Release",
    "SpeedRecord",
    "TilingRecord",
    "TrainingRecord",
    "load_manifest",
    "save_manifest",
]

SCHEMA = 1
HOME = Path(__file__).parent
MANIFEST_PATH = HOME / "manifest.json"
BUILTIN = HOME / "builtin"

FileFormat: TypeAlias = Literal["safetensors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """A file of a release: its path below the release folder, its length and its sha256."""

    path: str
    bytes: int
    sha256: str
    format: FileFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class TilingRecord:
    """How the release is tiled, in input pixels, and the largest seam difference measured with that.

    ``seam_max`` is in steps of 1/255 between tiled and whole-image output, before rounding; None when not measured.
    """

    tile: int
    overlap: int
    batch: int
    seam_max: float | None
    seam_data: str

    def plain(self) -> Tiling:
        """Returns the tiling without what was measured of it, as upscaling takes it."""
        return Tiling(tile=self.tile, overlap=self.overlap, batch=self.batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One measured score, bicubic enlargement's beside it, and all that is needed to measure it again."""

    dataset: str
    channels: Literal["y", "rgb"]
    border: int
    psnr_db: float
    ssim: float
    bicubic_psnr_db: float
    pictures: int
    tool: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRecord:
    """Measured time for a megapixel of photo, overlaps of tiles included, with the machine it was measured on."""

    seconds_per_megapixel: float
    compute: Literal["float32", "bfloat16"]
    machine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """How the weights came about.

    Attributes:
        data: The training photos and their source.
        steps: Steps of this network; those of a parent it was grown from are not counted in.
        selected_on: The data set whose score chose the weights that are kept; scores on it are a little too good.
        recipe: The options of the run, in words.
    """

    data: str
    steps: int
    selected_on: str
    recipe: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A variant with its files, its origin and what was measured of it.

    ``parent`` is the id of the release whose weights it began from, or None when it began from random ones.
    """

    variant: Variant
    label: str
    recommended_for: str
    parent: str | None
    licence: str
    training: TrainingRecord
    parameters: int
    files: tuple[FileRecord, ...]
    tiling: TilingRecord
    metrics: tuple[Metric, ...]
    speed: SpeedRecord | None

    @property
    def id(self) -> str:
        """The variant's id."""
        return self.variant.id

    @property
    def weights(self) -> FileRecord:
        """The weight file."""
        return next(file for file in self.files if file.format == "safetensors")

    @property
    def size_bytes(self) -> int:
        """Length of the weight file."""
        return self.weights.bytes

    def metric(self, dataset: str, channels: Literal["y", "rgb"] = "y") -> Metric | None:
        """Returns the score on a data set, or None when it was not measured."""
        return next((m for m in self.metrics if m.dataset == dataset and m.channels == channels), None)

    def to_json(self) -> dict[str, Any]:
        """Returns the release as plain JSON values, the variant's fields beside the others."""
        variant = self.variant
        record = {
            "id": self.id,
            "family": variant.family,
            "task": variant.task,
            "trained": variant.trained,
            "precision": variant.precision,
            **asdict(self),
            "spec": variant.spec.to_json(),
        }
        record.pop("variant")
        return record


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All releases, in the order in which they are offered; the first is the default."""

    releases: tuple[Release, ...]

    def release(self, release_id: str) -> Release:
        """Returns the release of an id.

        Raises:
            UnknownModelError: There is none; the sentence lists those there are.
        """
        for release in self.releases:
            if release.id == release_id:
                return release
        known = ", ".join(release.id for release in self.releases)
        raise UnknownModelError(f"There is no model {release_id!r}; the models are {known}.")

    @property
    def default(self) -> Release:
        """The release that is used when none is named."""
        return self.releases[0]


def load_manifest(path: Path = MANIFEST_PATH) -> Manifest:
    """Returns the releases of a manifest file.

    Raises:
        ModelError: The file is missing or damaged, has another schema number, or a record in it is not sound.
    """
    try:
        document = cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
        schema = document["schema"]
        if schema != SCHEMA:
            raise ModelError(f"The manifest has the schema number {schema}; this version reads only {SCHEMA}.")
        releases = tuple(_release(record) for record in document["releases"])
    except OSError as error:
        raise ModelError(f"The manifest {path.name} cannot be read.") from error
    except (KeyError, TypeError, ValueError, OptionError) as error:
        raise ModelError(f"The manifest {path.name} is damaged: {error}.") from error
    ids = [release.id for release in releases]
    if not ids or len(set(ids)) < len(ids):
        raise ModelError(f"The manifest {path.name} needs at least one release and no id twice.")
    return Manifest(releases=releases)


def save_manifest(manifest: Manifest, path: Path = MANIFEST_PATH) -> None:
    """Writes a manifest file; replaced only when the new one is complete."""
    document = {"schema": SCHEMA, "releases": [release.to_json() for release in manifest.releases]}
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def _release(record: Mapping[str, Any]) -> Release:
    fields = dict(record)
    stored_id = fields.pop("id")
    spec: SwinIRSpec = spec_from_json(fields.pop("spec"))
    variant = Variant(
        family=str(fields.pop("family")),
        spec=spec,
        task=_choice(fields.pop("task"), get_args(Task)),
        trained=str(fields.pop("trained")),
        precision=_choice(fields.pop("precision"), get_args(Precision)),
    )
    if variant.id != stored_id:
        raise ModelError(f"The manifest lists {stored_id!r}, but its record describes {variant.id!r}.")
    files = tuple(_file(file) for file in fields.pop("files"))
    if [file.format for file in files].count("safetensors") != 1:
        raise ModelError(f"The manifest must list exactly one weight file for {variant.id}.")
    speed = fields.pop("speed")
    return Release(
        variant=variant,
        files=files,
        training=TrainingRecord(**fields.pop("training")),
        tiling=TilingRecord(**fields.pop("tiling")),
        metrics=tuple(Metric(**metric) for metric in fields.pop("metrics")),
        speed=None if speed is None else SpeedRecord(**speed),
        **fields,
    )


def _file(record: Mapping[str, Any]) -> FileRecord:
    file = FileRecord(**record)
    _choice(file.format, get_args(FileFormat))
    if Path(file.path).is_absolute() or ".." in Path(file.path).parts:
        raise ModelError(f"The manifest names the file {file.path!r}, which is not inside its folder.")
    return file


def _choice(value: object, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ModelError(f"The manifest says {value!r} where one of {', '.join(map(str, allowed))} is expected.")
    return value
