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
    "prove_again",
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
    """

    tile: int = 64
    overlap: int = 24


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
        options: Its tile and overlap.
        folder: The folder of files.

    Raises:
        PackageError: It does not pass a gate; nothing is left of it.
        OptionError: It cannot be exported here.
    """
    window = release.variant.spec.window
    natural = torch.from_numpy(tiles.natural).permute(0, 3, 1, 2).float() / 255.0
    plan = PackagePlan(
        variant=release.variant,
        compute=compute,
        tile=options.tile,
        rescale=rescale_exponent(networks.own, natural),
        compact_bias=has_compact_bias(release.variant),
    )
    text = PackageText(
        author=release.author, license=release.license, version=__version__, overlap=options.overlap, margin=window
    )
    with tempfile.TemporaryDirectory(prefix="psr-package-") as work:
        exported = export_package(networks.own, plan, text, Path(work))
        zipped = Path(work) / f"{exported.path.name}.zip"
        zip_package(exported.path, zipped)
        again = Path(work) / "again"
        again.mkdir()
        proof = prove(Package.open(unzip_package(zipped, again)), _subject(release, plan.rescale, networks), tiles)
        check(proof, floors_for(release.variant.precision, compute))
        file = FileRecord(
            path=f"{FOLDER}/{zipped.name}",
            bytes=zipped.stat().st_size,
            sha256=sha256_of(zipped),
            format="mlpackage.zip",
        )
        record = _record(exported, _proof_record(proof, networks.original_id, tiles), options, window)
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        part = folder / f"{file.path}.part"
        shutil.copyfile(zipped, part)
        part.replace(folder / file.path)
    return file, record


def prove_again(release: Release, record: CoreMLRecord, zipped: Path, networks: Networks, tiles: Tiles) -> ProofRecord:
    """Returns what is found when a listed package is run again.

    Raises:
        PackageError: The file is not the listed one, or does not pass a gate.
    """
    package = release.package
    gate_c(zipped, package.sha256 if package else "", {one.path: one.sha256 for one in record.contents})
    subject = _subject(release, record.rescale, networks)
    with tempfile.TemporaryDirectory(prefix="psr-package-") as work:
        proof = prove(Package.open(unzip_package(zipped, Path(work))), subject, tiles)
    check(proof, floors_for(release.variant.precision, record.compute))
    return _proof_record(proof, networks.original_id, tiles)


def _subject(release: Release, rescale: int, networks: Networks) -> Subject:
    rewriting = Rewriting(
        spec=release.variant.spec,
        rescale=rescale,
        folds_query_scale=folds_query_scale(release.variant.precision),
    )
    return Subject(rewriting=rewriting, own=networks.own, original=networks.original)


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
