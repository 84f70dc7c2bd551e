"""From a release's weights to its Core ML package: exported, proven, zipped and described."""

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from sr_core import __version__
from sr_core.arch.swinir import SwinIR
from sr_core.arch.weights import sha256_of
from sr_core.coreml.audit import rescale_exponent
from sr_core.coreml.constants import folds_query_scale
from sr_core.coreml.export import EXPORTER, ExportedPackage, PackagePlan, PackageText, export_package
from sr_core.coreml.interpret import Package
from sr_core.coreml.package import INPUT, OUTPUT, SUFFIX, CoreMLCompute, package_bytes, unzip_package, zip_package
from sr_core.coreml.proof import INTERPRETER, Proof, check, floors_for
from sr_core.coreml.reference import Rewriting
from sr_core.coreml.verify import Subject, Tiles, gate_c, proof_tiles, prove
from sr_core.errors import PackageError
from sr_core.spec import Variant
from zoo.release import CoreMLRecord, FeatureRecord, FileRecord, HashRecord, ProofRecord, Release

__all__ = [
    "FOLDER",
    "TOOL",
    "Networks",
    "PackageOptions",
    "cut_tiles",
    "exporter",
    "has_compact_bias",
    "make_package",
    "package_text",
    "plan_package",
    "prove_again",
    "prove_package",
    "tiles_sha256",
]

FOLDER: Final = "coreml"
"""Where packages lie below the folder of files."""

NATURAL_TILES: Final = 10

TOOL: Final = f"{INTERPRETER}, pocket-super-resolution {__version__}"
"""What measures proofs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOptions:
    """How packages are made.

    Attributes:
        tile: Side of a package's tile in pixels.
        overlap: Overlap of neighbouring tiles in an app, in input pixels. With tiles of 64 pixels and the quick model
            of 6,000 steps, 24 kept the first six photos of Kodak24 within 0.18/255 of the untiled result; with 16 the
            largest difference was 2.4/255.
        budget: Most bytes of the unzipped package; 0 for any number.
    """

    tile: int = 64
    overlap: int = 24
    budget: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """What a package is compared with.

    Attributes:
        own: The release's network, with the weights as they are stored.
        original: The network before quantization; the same one where there was none.
        original_id: The release that has its weights.
    """

    own: SwinIR
    original: SwinIR
    original_id: str


def cut_tiles(photos: Sequence[NDArray[np.uint8]], tile: int, name: str) -> Tiles:
    """Returns tiles to prove packages on: natural ones from the photos in turn, and extreme ones.

    Args:
        photos: (H, W, 3) each, at least as large as a tile.
        tile: Side of a tile in pixels.
        name: Where the photos are from, in words.
    """
    tiles: list[NDArray[np.uint8]] = []
    rounds = -(-NATURAL_TILES // len(photos))
    for i in range(NATURAL_TILES):
        photo, step = photos[i % len(photos)], i // len(photos)
        # Down the rows in order, across the columns in strides, so that the tiles of a photo do not lie on a diagonal.
        places = (step, 2 * step % rounds if rounds % 2 else rounds - 1 - step)
        top, left = (
            (side - tile) * (2 * place + 1) // (2 * rounds) for side, place in zip(photo.shape[:2], places, strict=True)
        )
        tiles.append(photo[top : top + tile, left : left + tile])
    return proof_tiles(np.stack(tiles), name)


def tiles_sha256(tiles: Tiles) -> str:
    """Returns which tiles these are: the sha256 of all their values."""
    digest = hashlib.sha256()
    for group in tiles.classes:
        digest.update(np.ascontiguousarray(group).tobytes())
    return digest.hexdigest()


def exporter() -> str:
    """Returns what writes packages here, with its versions."""
    return f"{EXPORTER}, coremltools {version('coremltools')}"


def has_compact_bias(variant: Variant) -> bool:
    """Returns whether a variant's package has each position bias once, as its table: where every byte counts."""
    return variant.precision == "mixed-bit"


def make_package(
    release: Release,
    networks: Networks,
    tiles: Tiles,
    *,
    compute: CoreMLCompute,
    options: PackageOptions,
    folder: Path,
) -> tuple[FileRecord, CoreMLRecord]:
    """Returns the records of a release's package, which is in ``folder/coreml`` when it has passed its gates.

    Args:
        release: What it is a package of.
        networks: Its network, and what the package is compared with.
        tiles: What it is proven on.
        compute: Number format of its arithmetic.
        options: Its tile, overlap and budget.
        folder: The folder of files.

    Raises:
        PackageError: It does not pass a gate, or takes more bytes than it may; nothing is left of it.
        OptionError: It cannot be exported here.
    """
    text = package_text(release, options.overlap)
    plan = plan_package(release.variant, networks.own, tiles, compute, options.tile)
    with tempfile.TemporaryDirectory(prefix="psr-package-") as work:
        exported = export_package(networks.own, plan, text, Path(work))
        size_bytes = package_bytes(exported.path)
        if options.budget and size_bytes > options.budget:
            raise PackageError(
                f"The package of {release.id} takes {size_bytes:,} bytes, more than the {options.budget:,} that were "
                f"planned."
            )
        zipped = Path(work) / f"{exported.path.name}.zip"
        zip_package(exported.path, zipped)
        again = Path(work) / "again"
        again.mkdir()
        proof = prove_package(unzip_package(zipped, again), release.variant, plan.rescale, networks, tiles)
        check(proof, floors_for(release.variant.precision, compute))
        file = FileRecord(
            path=f"{FOLDER}/{zipped.name}",
            bytes=zipped.stat().st_size,
            sha256=sha256_of(zipped),
            format="mlpackage.zip",
        )
        record = _record(exported, _proof_record(proof, networks.original_id, tiles), options, text.margin)
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        part = folder / f"{file.path}.part"
        shutil.copyfile(zipped, part)
        part.replace(folder / file.path)
    return file, record


def plan_package(variant: Variant, own: SwinIR, tiles: Tiles, compute: CoreMLCompute, tile: int) -> PackagePlan:
    """Returns how a network is exported, with the rescale that its values on natural tiles ask for.

    Args:
        variant: What the network is, and how its weights are stored.
        own: The network.
        tiles: Those to prove it on.
        compute: Number format of the package's arithmetic.
        tile: Side of its tile in pixels.
    """
    natural = torch.from_numpy(tiles.natural).permute(0, 3, 1, 2).float() / 255.0
    return PackagePlan(
        variant=variant,
        compute=compute,
        tile=tile,
        rescale=rescale_exponent(own, natural),
        compact_bias=has_compact_bias(variant),
    )


def package_text(release: Release, overlap: int) -> PackageText:
    """Returns what a package of a release, or of a network of its making, says of itself.

    Args:
        release: The release.
        overlap: Overlap of neighbouring tiles in an app, in input pixels.
    """
    return PackageText(
        author=release.author,
        license=release.license,
        version=__version__,
        overlap=overlap,
        margin=release.variant.spec.window,
    )


def prove_package(package: Path, variant: Variant, rescale: int, networks: Networks, tiles: Tiles) -> Proof:
    """Returns what is found when an unzipped package is run; whether that is enough is for the caller to check.

    Args:
        package: The folder of the package.
        variant: What it is a package of.
        rescale: By how many powers of two its stream is scaled down.
        networks: What it is compared with.
        tiles: What it is run on.
    """
    rewriting = Rewriting(spec=variant.spec, rescale=rescale, folds_query_scale=folds_query_scale(variant.precision))
    subject = Subject(rewriting=rewriting, own=networks.own, original=networks.original)
    return prove(Package.open(package), subject, tiles)


def prove_again(release: Release, record: CoreMLRecord, zipped: Path, networks: Networks, tiles: Tiles) -> ProofRecord:
    """Returns what is found when a listed package is run again.

    Raises:
        PackageError: The file is not the listed one, or does not pass a gate.
    """
    package = release.package
    gate_c(zipped, package.sha256 if package else "", {one.path: one.sha256 for one in record.contents})
    with tempfile.TemporaryDirectory(prefix="psr-package-") as work:
        proof = prove_package(unzip_package(zipped, Path(work)), release.variant, record.rescale, networks, tiles)
    check(proof, floors_for(release.variant.precision, record.compute))
    return _proof_record(proof, networks.original_id, tiles)


def _proof_record(proof: Proof, reference: str, tiles: Tiles) -> ProofRecord:
    return ProofRecord(
        gate_a_db=round(proof.gate_a_db, 2),
        gate_b_db=round(proof.gate_b_natural_db, 2),
        gate_b_saturated_db=round(proof.gate_b_saturated_db, 2),
        gate_b_black_db=round(proof.gate_b_black_db, 2),
        reference=reference,
        screen_db=None if proof.screen_db is None else round(proof.screen_db, 2),
        max_lsb=proof.max_lsb,
        tiles=proof.tiles,
        tiles_sha256=tiles_sha256(tiles),
        tool=TOOL,
    )


def _record(exported: ExportedPackage, proof: ProofRecord, options: PackageOptions, margin: int) -> CoreMLRecord:
    package = exported.path
    return CoreMLRecord(
        name=package.name.removesuffix(SUFFIX),
        compute=exported.plan.compute,
        min_ios=exported.min_ios,
        specification_version=exported.specification_version,
        compute_units=exported.compute_units,
        tile=exported.plan.tile,
        overlap=options.overlap,
        margin=margin,
        seam_max=None,
        seam_data="",
        input=_feature(INPUT, exported.input_side),
        output=_feature(OUTPUT, exported.output_side),
        rescale=exported.plan.rescale,
        package_bytes=package_bytes(package),
        contents=tuple(
            HashRecord(path=path.relative_to(package).as_posix(), bytes=path.stat().st_size, sha256=sha256_of(path))
            for path in sorted(package.rglob("*"))
            if path.is_file()
        ),
        is_experimental=exported.plan.is_experimental,
        exporter=exporter(),
        proof=proof,
        compact_bias=exported.plan.compact_bias,
    )


def _feature(name: str, side: int) -> FeatureRecord:
    return FeatureRecord(name=name, kind="image RGB 8 bit", height=side, width=side)
