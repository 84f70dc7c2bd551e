"""The list of releases: read from ``manifest.json``, checked when it is read, written in one form.

A record in the file holds the fields of :class:`zoo.release.Release` and, worked out from them, its id and the fields
of an OpenModelDB model, so that either can be read without knowing the other. ``manifest.schema.json`` describes the
file as JSON Schema; it is made from the records (``json_schema``), and a test holds the two together.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final, cast
from urllib.parse import quote

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sr_core.coreml.proof import check_figures, floors_for
from sr_core.errors import ModelError, OptionError, PackageError, UnknownModelError
from sr_core.spec import PerBlock
from zoo.release import CompressionRecord, CoreMLRecord, FileRecord, NumbersPerBlock, Release

__all__ = [
    "BUILTIN",
    "HOME",
    "MANIFEST_PATH",
    "SCHEMA",
    "Manifest",
    "json_schema",
    "load_manifest",
    "release_json",
    "save_manifest",
]

SCHEMA: Final = 4
HOME: Final = Path(__file__).parent
MANIFEST_PATH: Final = HOME / "manifest.json"
BUILTIN: Final = HOME / "builtin"

_RELEASES: Final = TypeAdapter(tuple[Release, ...], config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All releases, in the order in which they are offered.

    Attributes:
        releases: The releases, whole networks first in each family.
        default_id: Id of the release that is used when none is named; where it is not given, the first one's.
    """

    releases: tuple[Release, ...]
    default_id: str = ""

    def __post_init__(self) -> None:
        """Makes the default explicit.

        Raises:
            ModelError: The default is not one of the releases.
        """
        ids = [release.id for release in self.releases]
        if not self.default_id and ids:
            object.__setattr__(self, "default_id", ids[0])
        if ids and self.default_id not in ids:
            raise ModelError(f"The default model {self.default_id!r} is not one of those that the manifest lists.")

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
        return self.release(self.default_id)

    def whole(self, release: Release) -> Release | None:
        """Returns the whole network that a release was compressed from, or itself; None where that is not listed.

        That is its nearest ancestor whose weights were trained and are stored as they were.
        """
        known = {one.id: one for one in self.releases}
        one: Release | None = release
        for _ in known:  # as many steps as a chain can have, should a wrong one be a circle
            if one is None or one.compression is None:
                return one
            one = known.get(one.parent or "")
        return None

    @property
    def references(self) -> dict[str, str]:
        """The whole network of each compressed release, both by id; whole networks have no entry."""
        wholes = {release.id: self.whole(release) for release in self.releases}
        return {name: whole.id for name, whole in wholes.items() if whole is not None and whole.id != name}


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
        if document.keys() > {"schema", "default", "releases"}:
            raise ModelError(f"The manifest {path.name} holds more than its schema number, default and releases.")
        default = document["default"]
        records = cast(list[dict[str, Any]], document["releases"])
        own = [{key: value for key, value in record.items() if key not in _DERIVED} for record in records]
        releases = _RELEASES.validate_json(json.dumps(own))
    except OSError as error:
        raise ModelError(f"The manifest {path.name} cannot be read.") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ModelError(f"The manifest {path.name} is damaged: {first['msg']} (at releases.{place}).") from error
    except (AttributeError, KeyError, TypeError, ValueError, OptionError) as error:
        raise ModelError(f"The manifest {path.name} is damaged: {error}.") from error
    for record, release in zip(records, releases, strict=True):
        _check(record, release)
    known = {release.id: release for release in releases}
    if not known or len(known) < len(releases):
        raise ModelError(f"The manifest {path.name} needs at least one release and no id twice.")
    for release in releases:
        parent = known.get(release.parent or "")
        # A parent that was made again since is another network: it can explain nothing, and a build will tell.
        if release.compression and parent and parent.weights.sha256 == release.compression.parent_sha256:
            _check_removal(release, release.compression, parent)
    if not isinstance(default, str) or default not in known:
        raise ModelError(f"The manifest {path.name} names {default!r} as its default, but does not list that.")
    return Manifest(releases=releases, default_id=default)


def save_manifest(manifest: Manifest, path: Path = MANIFEST_PATH) -> None:
    """Writes a manifest file; replaced only when the new one is complete."""
    document = {
        "schema": SCHEMA,
        "default": manifest.default_id,
        "releases": [release_json(release) for release in manifest.releases],
    }
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def release_json(release: Release) -> dict[str, Any]:
    """Returns the record of a release as plain JSON values."""
    [own] = _RELEASES.dump_python((release,), mode="json")
    return {**_derived(release), **own}


def json_schema() -> dict[str, Any]:
    """Returns what a manifest file must look like, as JSON Schema (draft 2020-12)."""
    schema = _RELEASES.json_schema()
    definitions = schema.pop("$defs")
    record = definitions["Release"]
    record["properties"] = {**_DERIVED, **record["properties"]}
    record["required"] = sorted({*record["required"], *_DERIVED} - {"trainingIterations"})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Manifest of a pocket super-resolution zoo",
        "type": "object",
        "properties": {
            "schema": {"const": SCHEMA},
            "default": _DERIVED["id"],
            "releases": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Release"}},
        },
        "required": ["schema", "default", "releases"],
        "additionalProperties": False,
        "$defs": definitions,
    }


_RESOURCE: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "platform": {"enum": ["pytorch", "coreml"]},
        "type": {"enum": ["safetensors", "mlpackage"]},
        "size": {"type": "integer", "minimum": 1},
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "urls": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "uri-reference"}},
    },
    "required": ["platform", "type", "size", "sha256", "urls"],
    "additionalProperties": False,
}
_DERIVED: Final[Mapping[str, Any]] = {
    "id": {"type": "string", "pattern": "^[a-z0-9._-]{1,64}$"},
    "name": {"type": "string"},
    "architecture": {"const": "swinir"},
    "size": {"type": "array", "items": {"type": "string"}},
    "scale": {"type": "integer", "minimum": 1},
    "inputChannels": {"type": "integer", "minimum": 1},
    "outputChannels": {"type": "integer", "minimum": 1},
    "resources": {"type": "array", "minItems": 1, "items": _RESOURCE},
    "images": {"type": "array", "maxItems": 0},
    "trainingIterations": {"type": "integer", "minimum": 1},
    "dataset": {"type": "string"},
    "pretrainedModelG": {"type": ["string", "null"]},
}
"""The fields that are worked out from the others. Addresses are relative to the folder of the files, which on the
Hub is that of the list.

Source: OpenModelDB, src/lib/schema.ts (github.com/OpenModelDB/open-model-database), to whose
platforms ``coreml`` is added.
"""


def _derived(release: Release) -> dict[str, Any]:
    spec = release.variant.spec
    return {
        "id": release.id,
        "name": release.label,
        "architecture": "swinir",
        "size": [f"{spec.embed_dim}dim", f"{sum(spec.depths)}blocks", f"{max(map(max, spec.heads))}heads"],
        "scale": spec.scale,
        "inputChannels": spec.channels,
        "outputChannels": spec.channels,
        "resources": [_resource(file) for file in release.files],
        "images": [],
        **({"trainingIterations": release.training.steps} if release.training.steps else {}),
        "dataset": release.training.data,
        "pretrainedModelG": release.parent,
    }


def _resource(file: FileRecord) -> dict[str, Any]:
    platform, kind = {"safetensors": ("pytorch", "safetensors"), "mlpackage.zip": ("coreml", "mlpackage")}[file.format]
    return {"platform": platform, "type": kind, "size": file.bytes, "sha256": file.sha256, "urls": [quote(file.path)]}


def _check(record: Mapping[str, Any], release: Release) -> None:
    """Refuses what no type can tell: fields that contradict each other, and files outside their folder."""
    for file in release.files:
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts:
            raise ModelError(f"The manifest names the file {file.path!r}, which is not inside its folder.")
    derived = _derived(release)
    for key in _DERIVED:
        if record.get(key) != derived.get(key):
            raise ModelError(
                f"The manifest says {record.get(key)!r} as the {key} of a release, "
                f"but its record describes {derived.get(key)!r}."
            )
    formats = [file.format for file in release.files]
    if formats.count("safetensors") != 1:
        raise ModelError(f"The manifest must list exactly one weight file for {release.id}.")
    if formats.count("mlpackage.zip") != (release.coreml is not None):
        raise ModelError(f"The manifest must list a Core ML package for {release.id} just where it describes one.")
    if release.compression is not None:
        _check_compression(release, release.compression)
    if release.coreml is not None:
        _check_proof(release, release.coreml)


def _check_compression(release: Release, done: CompressionRecord) -> None:
    """Refuses a record of compression that cannot be followed, or that tells of another way of storing the weights."""
    is_selective = done.method == "selective"
    needs_pictures = done.method in ("selective", "mixed-bit")
    if (done.measure is not None) != is_selective or (done.calibration is not None) != needs_pictures:
        raise ModelError(
            f"The manifest must say for {release.id} what was measured and on which pictures, just where its method "
            f"{done.method} needs that."
        )
    if (done.is_repaired or done.finetune is not None) and not is_selective:
        raise ModelError(f"The manifest says that {release.id} was repaired or taught, but not that it was pruned.")
    if (done.method == "mixed-bit") != (release.variant.precision == "mixed-bit"):
        raise ModelError(f"The manifest says {done.method} of {release.id}, which is {release.variant.precision}.")
    is_smaller = done.method in ("heads-l1", "selective")
    if not is_smaller and (done.removed_heads or done.removed_units or done.removed_stages):
        raise ModelError(
            f"The manifest lists what was removed from {release.id}, but its method {done.method} removes nothing."
        )


def _check_removal(release: Release, done: CompressionRecord, parent: Release) -> None:
    """Refuses a record of removal that the parent does not bear, or that does not lead to the release's network."""
    before, own = parent.variant.spec, release.variant.spec
    if done.finetune is not None:  # it repeats what was removed from its parent, and removes nothing itself
        repeated = parent.compression
        if repeated is None or _removed(done) != _removed(repeated):
            raise ModelError(f"The manifest must repeat for {release.id} what was removed from its parent {parent.id}.")
        heads, hidden = before.heads, before.hidden
    else:
        heads, hidden = _left(before.heads, done.removed_heads), _left(before.hidden, done.removed_units)
        stages = done.removed_stages
        is_sound = len(set(stages)) == len(stages) and set(stages) <= set(range(len(before.heads)))
        if heads is None or hidden is None or not is_sound or any(sum(heads[i]) + sum(hidden[i]) for i in stages):
            raise ModelError(
                f"The manifest says that {release.id} lost heads, hidden units or stages that its parent {parent.id} "
                f"does not have, or not altogether."
            )
        heads, hidden = (tuple(stage for i, stage in enumerate(left) if i not in stages) for left in (heads, hidden))
    if (heads, hidden) != (own.heads, own.hidden) or replace(own, heads=before.heads, hidden=before.hidden) != before:
        raise ModelError(f"What the manifest says was removed from {parent.id} does not lead to {release.id}.")


def _removed(done: CompressionRecord) -> tuple[NumbersPerBlock, NumbersPerBlock, tuple[int, ...]]:
    return done.removed_heads, done.removed_units, done.removed_stages


def _left(counts: PerBlock, removed: NumbersPerBlock) -> PerBlock | None:
    """Returns how many are left in each block; None where one is named that is not there, or twice."""
    if not removed:
        return counts
    if [len(stage) for stage in removed] != [len(stage) for stage in counts]:
        return None
    pairs = [list(zip(*stages, strict=True)) for stages in zip(counts, removed, strict=True)]
    if any(len(set(gone)) < len(gone) or max(gone, default=-1) >= count for stage in pairs for count, gone in stage):
        return None
    return tuple(tuple(count - len(gone) for count, gone in stage) for stage in pairs)


def _check_proof(release: Release, record: CoreMLRecord) -> None:
    """Refuses a package whose recorded proof is below the floors, so that none is ever offered."""
    try:
        check_figures(record.proof, floors_for(release.variant.precision, record.compute))
    except PackageError as error:
        raise ModelError(
            f"The manifest lists a Core ML package of {release.id} that did not pass its gates."
        ) from error
