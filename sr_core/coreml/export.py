"""From a network to a Core ML package: a directory that Xcode takes as it is.

Picture in, picture out, 8-bit RGB, one fixed tile size, iOS 16 or later. The same network and plan give the same bytes:
no date, no random identifier and no file mode of this machine gets into a package.
"""

import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from sr_core.arch.swinir import SwinIR
from sr_core.coreml.constants import Storage, folds_query_scale, plan_constants
from sr_core.coreml.converter import ConvertedProgram, convert
from sr_core.coreml.network import ChannelFirstSwinIR
from sr_core.coreml.package import SUFFIX, CoreMLCompute, package_name
from sr_core.errors import OptionError, WeightsError
from sr_core.spec import Variant

__all__ = ["EXPORTER", "MIN_IOS", "ExportedPackage", "PackagePlan", "PackageText", "export_package", "rewrite"]

EXPORTER: Final = "sr_core.coreml.export 1"
"""The name and the version of the export; the version changes with what it writes."""

MIN_IOS: Final = "16.0"
NAMESPACE: Final = uuid.UUID("6f1d0f1e-9f0c-5d0f-8e53-7a1f0c7f5a64")
COREML: Final = "com.apple.CoreML"
VERSION_KEY: Final = "com.github.apple.coremltools.version"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePlan:
    """What a package is to be.

    Attributes:
        variant: Which network, and how its weights are stored.
        compute: Number format of the arithmetic.
        tile: Side of the square pictures that it takes, in pixels: a multiple of the network's window.
        rescale: From ``sr_core.coreml.audit.rescale_exponent``; needed where float16 is computed with.
        compact_bias: Whether position biases stand as one table that the program spreads when it starts, and equal
            settings of operations only once; otherwise each block has the bias of every pair of tokens.
    """

    variant: Variant
    compute: CoreMLCompute
    tile: int = 64
    rescale: int = 0
    compact_bias: bool = False

    @property
    def name(self) -> str:
        """The package's file name without suffix."""
        return package_name(self.variant.id, self.tile)

    @property
    def is_experimental(self) -> bool:
        """Whether devices are known to fail with this way of storing weights, or none is known to have tried it."""
        return self.has_palettes or self.compute == "float32-stored-float16" or self.compact_bias

    @property
    def has_palettes(self) -> bool:
        """Whether a weight is stored as places in a palette."""
        words = {self.variant.precision, *dict(self.variant.formats).values()}
        return not words.isdisjoint(("palette6", "palette4"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageText:
    """What a package says of itself where the network does not.

    Attributes:
        author: Who made the weights.
        license: SPDX name of their licence.
        version: The version of the project.
        overlap: Pixels by which neighbouring tiles should overlap.
        margin: Mirrored pixels that should surround the photo.
    """

    author: str
    license: str
    version: str
    overlap: int
    margin: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedPackage:
    """A package that was written.

    Attributes:
        path: The directory ``Name.mlpackage``.
        plan: What it was made from.
        specification_version: Core ML's number for the first iOS that reads it.
        min_ios: That iOS.
        compute_units: Where it may run.
        input_side: Side of the picture that goes in, in pixels.
        output_side: Side of the picture that comes out.
        operations: How often each kind of operation occurs, plain constants apart.
    """

    path: Path
    plan: PackagePlan
    specification_version: int
    min_ios: str
    compute_units: Literal["all"]
    input_side: int
    output_side: int
    operations: Mapping[str, int]


def rewrite(module: SwinIR, plan: PackagePlan) -> ChannelFirstSwinIR:
    """Returns the network that a package of this plan computes, in float32.

    Raises:
        OptionError: The tile is no multiple of the window, or the rescale is out of range.
    """
    return ChannelFirstSwinIR(
        module,
        tile=plan.tile,
        rescale=plan.rescale,
        folds_query_scale=folds_query_scale(plan.variant.precision),
    ).eval()


def export_package(module: SwinIR, plan: PackagePlan, text: PackageText, folder: Path) -> ExportedPackage:
    """Writes the Core ML package of a network.

    Args:
        module: The variant's network; its weights lie on the grid of the variant's precision.
        plan: What the package is to be.
        text: What it says of itself.
        folder: Where the directory goes; one of the same name is replaced when the new one is complete.

    Raises:
        WeightsError: The network is not of the variant's spec, or its weights do not lie on their grid.
        OptionError: coremltools is missing or does not work with the installed numpy; the network does not take RGB
            pictures; the tile does not fit the window; or a weight is too large for float16.
    """
    spec = plan.variant.spec
    if module.spec != spec:
        raise WeightsError(f"The network is not of the spec of {plan.variant.id}.")
    if spec.channels != 3:
        raise OptionError(f"A Core ML package takes RGB pictures, but {plan.variant.id} has {spec.channels} channels.")
    network = rewrite(module, plan)
    storage = Storage(
        precision=plan.variant.precision,
        formats=plan.variant.formats,
        compute=plan.compute,
        compact_bias=plan.compact_bias,
    )
    stored = plan_constants(network, module, storage)
    program = convert(network, stored, plan.compute)
    _describe(program.model.description, plan, text)
    return ExportedPackage(
        path=_write(program, folder / f"{plan.name}{SUFFIX}"),
        plan=plan,
        specification_version=program.model.specificationVersion,
        min_ios=MIN_IOS,
        compute_units="all",
        input_side=plan.tile,
        output_side=plan.tile * spec.scale,
        operations=program.operations,
    )


def _describe(description: Any, plan: PackagePlan, text: PackageText) -> None:
    """Fills in what Xcode shows; takes out the date that coremltools left."""
    variant, tile, scale = plan.variant, plan.tile, plan.variant.spec.scale
    about = description.metadata
    about.author, about.license, about.versionString = text.author, text.license, text.version
    about.shortDescription = (
        f"{variant.id}: enlarges a tile of {tile} x {tile} pixels {scale} times with SwinIR. "
        f"Weights: {variant.precision}. Arithmetic: {plan.compute}.{_warning(plan)}"
    )
    tool = about.userDefined[VERSION_KEY]
    about.userDefined.clear()
    about.userDefined.update(
        {
            VERSION_KEY: tool,
            "variant": variant.id,
            "precision": variant.precision,
            "compute": plan.compute,
            "scale": str(scale),
            "tile": str(tile),
            "overlap": str(text.overlap),
            "margin": str(text.margin),
            "rescale": str(plan.rescale),
            "tiling": (
                f"Surround the photo with at least {text.margin} mirrored pixels, cut it into tiles of {tile} x {tile} "
                f"pixels that overlap by at least {text.overlap}, and blend the results where they overlap."
            ),
        }
    )
    if plan.compact_bias:
        about.userDefined["compact_bias"] = "true"
    (picture,), (result,) = description.input, description.output
    picture.shortDescription = f"A tile of an sRGB photo, {tile} x {tile} pixels."
    result.shortDescription = f"The same tile, {tile * scale} x {tile * scale} pixels."


def _warning(plan: PackagePlan) -> str:
    if plan.has_palettes:
        return " Experimental: some devices are known to compute wrongly with palettes."
    return " Experimental: this way of storing weights was not tried on a device." if plan.is_experimental else ""


def _write(program: ConvertedProgram, path: Path) -> Path:
    """Returns the path after writing the package there."""
    files = {
        f"{COREML}/model.mlmodel": program.model.SerializeToString(deterministic=True),
        f"{COREML}/weights/weight.bin": program.weights,
    }
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as half_done:
        package = Path(half_done) / path.name
        for name, data in files.items():
            file = package / "Data" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        (package / "Manifest.json").write_bytes(_manifest(files))
        for part in (package, *package.rglob("*")):
            part.chmod(0o755 if part.is_dir() else 0o644)
        if path.exists():
            shutil.rmtree(path)
        shutil.move(package, path)
    return path


def _manifest(files: Mapping[str, bytes]) -> bytes:
    """Returns the list of the package's two items, with identifiers that are made from their content."""
    items = {
        f"{COREML}/model.mlmodel": ("model.mlmodel", "CoreML Model Specification"),
        f"{COREML}/weights": ("weights", "CoreML Model Weights"),
    }
    ids = {
        path: str(uuid.uuid5(NAMESPACE, f"{path} {hashlib.sha256(data).hexdigest()}"))
        for path, data in zip(items, files.values(), strict=True)
    }
    entries = {
        ids[path]: {"author": COREML, "description": description, "name": name, "path": path}
        for path, (name, description) in items.items()
    }
    root = ids[f"{COREML}/model.mlmodel"]
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": entries, "rootModelIdentifier": root}
    return (json.dumps(manifest, indent=4, sort_keys=True) + "\n").encode()
