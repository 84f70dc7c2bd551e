"""The download kit of a release: its Core ML package, what was proven of it, the licences, and Swift code that tiles.

Everything but the package itself is made from the release's record and, for the recipe's check values, by the code
that tiles on the page. Equal records and packages give equal zips, byte for byte, on machines with the same zlib.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from sr_core import __version__
from sr_core.coreml.package import SUFFIX, file_hashes, write_zip
from sr_core.coreml.proof import EXACT_DB, floors_for
from sr_core.errors import PackageError
from sr_core.infer.tiles import WEIGHT_SUM
from zoo.card import compression_text
from zoo.release import AUTHOR, CoreMLRecord, DeviceRecord, Release
from zoo.sample import SWIFT_FILE, filled, packaged, swift_sample, tile_recipe

__all__ = [
    "BLENDING",
    "STATEMENT",
    "SWIFT_FILE",
    "kit_name",
    "proof_markdown",
    "proof_sheet",
    "swift_sample",
    "tile_recipe",
    "write_kit",
]

STATEMENT: Final = "Verified with a reference interpreter of ML programs, not on a device."

BLENDING: Final = (
    "The page blends tiles as floats and rounds once. The package gives tiles of 8 bits, so the Swift file blends "
    "rounded values, exactly, and rounds again. Where one tile alone counts, this is the same; in a ramp it changes a "
    "value by at most 1/255, as long as the tiles that meet there differ by less than 2/255. On photos, with the "
    "models of this project, it was 1/255 on fewer than 1 of 1,000 values."
)

_LICENSE: Final = Path(__file__).parent.parent / "LICENSE"


def kit_name(release: Release) -> str:
    """Returns the file name of a release's kit.

    Raises:
        PackageError: The release has no Core ML package.
    """
    return f"{packaged(release)[0].name}-kit.zip"


def write_kit(release: Release, package_zip: Path, path: Path) -> Path:
    """Writes the kit of a release and returns its path.

    Args:
        release: The release.
        package_zip: Its zipped Core ML package; every file in it is compared with the record.
        path: Where to write; replaced only when the new zip is complete.

    Raises:
        PackageError: The release has no Core ML package, or the zip does not hold the listed one.
    """
    record, _ = packaged(release)
    files = _package_files(record, package_zip)
    texts = {
        "LICENSE": _LICENSE.read_text(encoding="utf-8"),
        "LICENSES.md": _licenses(release),
        "PROOF.json": json.dumps(proof_sheet(release), indent=1, ensure_ascii=False) + "\n",
        "PROOF.md": proof_markdown(release),
        "README.md": _readme(release),
        SWIFT_FILE: swift_sample(release),
    }
    files |= {name: text.encode() for name, text in texts.items()}
    write_zip(path, {name: files[name] for name in sorted(files)})
    return path


def proof_sheet(release: Release) -> dict[str, Any]:
    """Returns everything that was proven of a release's package, as plain JSON values.

    Raises:
        PackageError: The release has no Core ML package.
    """
    record, file = packaged(release)
    proof, floors = record.proof, floors_for(release.variant.precision, record.compute)
    return {
        "statement": STATEMENT,
        "id": release.id,
        "label": release.label,
        "scale": release.variant.spec.scale,
        "author": release.author,
        "license": release.license,
        "date": release.date,
        "weights": {
            "file": release.weights.path,
            "sha256": release.weights.sha256,
            "bytes": release.weights.bytes,
            "precision": release.variant.precision,
            "parent": release.parent,
            "compression": compression_text(release),
        },
        "package": {
            "name": record.name,
            "zip_sha256": file.sha256,
            "zip_bytes": file.bytes,
            "bytes": record.package_bytes,
            "compute": record.compute,
            "compute_units": record.compute_units,
            "min_ios": record.min_ios,
            "specification_version": record.specification_version,
            "is_experimental": record.is_experimental,
            "rescale": record.rescale,
            "input": asdict(record.input),
            "output": asdict(record.output),
        },
        "gates": {
            "a": {"meaning": _GATES["a"], "db": proof.gate_a_db, "floor_db": floors.gate_a_db},
            "b": {
                "meaning": _GATES["b"],
                "reference": proof.reference,
                "natural_db": proof.gate_b_db,
                "saturated_db": proof.gate_b_saturated_db,
                "black_db": proof.gate_b_black_db,
                "floor_natural_db": floors.gate_b_natural_db,
                "floor_extreme_db": floors.gate_b_extreme_db,
            },
            "c": {"meaning": _GATES["c"], "files": [asdict(one) for one in record.contents]},
        },
        "screen": {
            "meaning": _GATES["screen"],
            "db": proof.screen_db,
            "floor_db": floors.screen_db,
            "max_lsb": proof.max_lsb,
            "ceiling_lsb": floors.max_lsb,
        },
        "tiles": proof.tiles,
        "tool": proof.tool,
        "recipe": {**tile_recipe(release), "seam_max": record.seam_max, "seam_data": record.seam_data},
        "blending": BLENDING,
        "devices": [asdict(one) for one in record.devices],
        "commands": {"verify": _verify(release), "bench_device": _bench(release)},
        "kit": f"{AUTHOR} {__version__}",
    }


def proof_markdown(release: Release) -> str:
    """Returns the proof sheet for people, as Markdown.

    Raises:
        PackageError: The release has no Core ML package.
    """
    record, file = packaged(release)
    proof, floors = record.proof, floors_for(release.variant.precision, record.compute)
    exact = "equal" if proof.screen_db is None else f"{proof.screen_db:.1f} dB"
    extreme = f"{_db(proof.gate_b_saturated_db)} saturated, {_db(proof.gate_b_black_db)} black"
    gates = [
        ("A", _GATES["a"], _db(proof.gate_a_db), f"{floors.gate_a_db:.0f} dB"),
        (
            "B",
            f"{_GATES['b']} Reference: `{proof.reference}`.",
            f"{_db(proof.gate_b_db)} natural, {extreme}",
            f"{floors.gate_b_natural_db:.0f} dB natural, {floors.gate_b_extreme_db:.0f} dB others",
        ),
        ("C", _GATES["c"], f"{len(record.contents)} files, below", "equal"),
        (
            "screen",
            _GATES["screen"],
            f"{exact}, at most {proof.max_lsb}/255",
            f"{floors.screen_db:.0f} dB, at most {floors.max_lsb}/255",
        ),
    ]
    facts = [
        ("Release", f"`{release.id}`, {release.date}"),
        ("Weights", f"`{release.weights.path}`, {release.variant.precision}, sha256 `{release.weights.sha256}`"),
        ("Began from", f"`{release.parent}`" if release.parent else "random weights"),
        ("Compression", compression_text(release)),
        ("Package", f"`{record.name}{SUFFIX}`, {record.package_bytes:,} bytes"),
        ("Zip", f"{file.bytes:,} bytes, sha256 `{file.sha256}`"),
        ("Arithmetic", f"{record.compute}{', experimental' if record.is_experimental else ''}"),
        ("Rescale", f"the residual stream is multiplied by 2^-{record.rescale} inside the weights"),
        ("Input, output", f"`{record.input.name}` and `{record.output.name}`, {record.input.kind}"),
        ("Needs", f"iOS {record.min_ios} (Core ML specification {record.specification_version})"),
        ("Measured on", proof.tiles),
        ("Measured with", proof.tool),
    ]
    files = [(f"`{one.path}`", f"{one.bytes:,}", f"`{one.sha256}`") for one in record.contents]
    return "\n".join(
        [
            *(f"# Proof sheet of {release.label}", "", f"**{STATEMENT}** {_devices(record.devices)}", ""),
            *_table(("", ""), facts),
            "",
            *("## Gates", "", *_table(("gate", "what it says", "found", "floor"), gates), ""),
            *("## Tiles", "", *_table(("", ""), _recipe_rows(release)), "", BLENDING, ""),
            *("## Files of the package", "", *_table(("file", "bytes", "sha256"), files), ""),
            *("## Again", "", f"    {_verify(release)}", f"    {_bench(release)}", ""),
        ]
    )


_GATES: Final[Mapping[str, str]] = {
    "a": "The package in ideal arithmetic against the network loaded with the package's own constants: is it the same "
    "network?",
    "b": "The package as typed against the float32 network before quantization: what storage and arithmetic cost.",
    "c": "The sha256 of the zip and of each file in it: is it the package that was proven?",
    "screen": "The package as typed and rounded to 8 bits, against the 8-bit picture that the page makes of a tile.",
}


def _package_files(record: CoreMLRecord, package_zip: Path) -> dict[str, bytes]:
    """Returns the files of the zipped package by their path in the kit."""
    listed = {one.path: one.sha256 for one in record.contents}
    if file_hashes(package_zip) != listed:
        raise PackageError(f"{package_zip.name} is not the package {record.name}{SUFFIX} that the manifest lists.")
    with zipfile.ZipFile(package_zip) as archive:
        names = [f"{record.name}{SUFFIX}/{path}" for path in listed]
        if not set(names) <= set(archive.namelist()):
            raise PackageError(f"{package_zip.name} holds the package under another name than {record.name}{SUFFIX}.")
        return {name: archive.read(name) for name in names}


def _readme(release: Release) -> str:
    record, _ = packaged(release)
    return filled(
        "README.md",
        {
            "author": AUTHOR,
            "label": release.label,
            "name": record.name,
            "tile": record.tile,
            "out": record.tile * release.variant.spec.scale,
            "min_ios": record.min_ios,
            "statement": STATEMENT,
            "devices": _devices(record.devices),
            "recipe": "\n".join(_table(("", ""), _recipe_rows(release))[2:]),
            "blending": BLENDING,
            "issues": "\n".join(f"- {one}" for one in _known_issues(release, record)),
            "verify": _verify(release),
            "bench": _bench(release),
        },
    )


def _recipe_rows(release: Release) -> list[tuple[str, str]]:
    record, recipe = packaged(release)[0], tile_recipe(release)
    seam = "not measured"
    if record.seam_max is not None:
        seam = f"at most {record.seam_max:.3f}/255 between tiled and whole, before rounding, on {record.seam_data}"
    return [
        ("Tile", f"{recipe['tile']} × {recipe['tile']} pixels, always; all begin on multiples of {recipe['margin']}"),
        (
            "Margin",
            f"{recipe['margin']} pixels around the photo, {recipe['padding']}; more where the only tile is larger",
        ),
        ("Overlap", f"at least {recipe['overlap']} pixels; tiles are spread evenly"),
        ("Ramp", f"the middle {recipe['ramp']} pixels of an overlap: 3t² - 2t³, in steps of 1/{WEIGHT_SUM}"),
        ("Rounding", recipe["rounding"]),
        ("Scale", f"×{recipe['scale']}"),
        ("Seams", seam),
    ]


def _known_issues(release: Release, record: CoreMLRecord) -> list[str]:
    """Returns what others found when they ran packages of this kind; numbers are those of coremltools on GitHub."""
    found = [
        "Which of CPU, GPU and Neural Engine runs the package is not known. Shifted windows are slices and "
        "concatenations, which the Neural Engine may hand on; where `.all` is slow, try `.cpuAndGPU`."
    ]
    if record.compute in ("float16", "mixed"):
        found.append(
            "float16 arithmetic can overflow inside an operation (issues 1671, 2110, 2669). Against that, the residual "
            f"stream is multiplied by 2^-{record.rescale} inside the weights, and saturated and black tiles were run."
        )
    if release.variant.precision == "int8":
        found.append(
            "GPU and Neural Engine of some systems gave wrong results with weights of 8 bits (issue 2114, pull request "
            "2675). If colours look wrong, compare with `.cpuOnly`, and use the float16 release."
        )
    if release.variant.precision in ("palette6", "palette4"):
        found.append(
            "Packages with palettes were numerically wrong on some systems (issue 2716) or crashed, those for iOS 18 "
            "(pull request 2688). This one is an experiment: compare it with the float16 release before you ship it."
        )
    return found


def _db(decibels: float) -> str:
    return f"{decibels:.1f} dB" if decibels < EXACT_DB else f"{EXACT_DB:.0f} dB or more"


def _devices(devices: Sequence[DeviceRecord]) -> str:
    if not devices:
        return "Nobody has timed it on a device yet."
    times = (
        f"{one.milliseconds_per_tile:.1f} ms a tile on {one.device}, {one.system}, {one.compute_units}, {one.date}"
        for one in devices
    )
    return f"Timed with Core ML: {'; '.join(times)}."


def _licenses(release: Release) -> str:
    chain = [(one.covers, one.terms, one.source) for one in release.license_chain]
    lines = [
        *("# Licences", "", f"The weights in the package: {release.license}. What they come from:", ""),
        *_table(("covers", "terms", "source"), chain),
        "",
        *(f"`{SWIFT_FILE}` and the texts of this kit: Apache-2.0, in `LICENSE`.", ""),
    ]
    return "\n".join(lines)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows)]


def _verify(release: Release) -> str:
    return f"python -m zoo verify {release.id}"


def _bench(release: Release) -> str:
    return f"python -m zoo bench-device {release.id}"
