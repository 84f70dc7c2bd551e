"""Model cards and tables, made from manifest records alone."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, assert_never

from sr_core.spec import LayerFormat, PerBlock, Precision, SwinIRSpec, Task, Variant
from zoo.release import CompressionRecord, FeatureRecord, NumbersPerBlock, Release, TilingRecord

__all__ = [
    "began_text",
    "calibration_text",
    "chosen_text",
    "compression_text",
    "finetune_text",
    "heads_text",
    "markdown_table",
    "model_card",
    "release_table",
    "steps_text",
]


def model_card(release: Release) -> str:
    """Returns the model card of a release as Markdown with Hub front matter."""
    spec, tiling, cost = release.variant.spec, release.tiling, release.cost
    front = [
        "---",
        f"license: {release.license.lower()}",
        "pipeline_tag: image-to-image",
        "tags:",
        *(f"- {tag}" for tag in release.tags),
        "---",
    ]
    facts = [
        ("Architecture", f"SwinIR, {len(spec.depths)} stages of {', '.join(map(str, spec.depths))} blocks"),
        ("Width, heads", f"{spec.embed_dim} channels, {heads_text(spec)} heads of {spec.head_dim}"),
        ("Scale", f"×{spec.scale}"),
        ("Task", release.variant.task),
        (
            "Parameters",
            f"{release.parameters:,}, of them {cost.attention_parameters:,} in attention and "
            f"{cost.mlp_parameters:,} in MLPs",
        ),
        ("Sparsity", f"{cost.sparsity:.1%} of the family's whole network is removed or zero"),
        ("Multiplications", f"{cost.macs_per_megapixel / 1e9:,.0f} billion for a megapixel of photo"),
        ("Weights", f"{release.weights.path}, {release.variant.precision}, {release.size_bytes:,} bytes"),
        ("sha256", f"`{release.weights.sha256}`"),
        ("Began from", began_text(release)),
        ("Compression", compression_text(release)),
        *_compression_facts(release),
        ("Training data", release.training.data),
        ("Training", f"{steps_text(release)}; {release.training.recipe}"),
        ("Chosen on", chosen_text(release)),
        ("Speed", _speed(release)),
        ("Licence", release.license),
        ("Tiles", f"{tiling.tile} pixels with {tiling.overlap} of overlap; {_seam(tiling)}"),
    ]
    lines = [*front, "", f"# {release.label}", "", f"`{release.id}`: {release.recommended_for}.", ""]
    lines += [release.description, ""]
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts), ""]
    lines += ["## Scores", "", "8-bit output against the original; the border is left out on every side.", ""]
    lines += [
        "| data set | pictures | channels | border | PSNR dB | bicubic dB | SSIM | tool |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {m.dataset} | {m.pictures} | {m.channels} | {m.border} "
        f"| {m.psnr_db:.2f} | {m.bicubic_psnr_db:.2f} | {m.ssim:.4f} | {m.tool} |"
        for m in release.metrics
    ]
    lines += ["", *_core_ml(release), *_licenses(release)]
    lines += [
        "## Limits",
        "",
        f"{_LIMITS[release.variant.task]} {_NEVER}",
        "",
    ]
    return "\n".join(lines)


_BICUBIC: Final = (
    "Trained on photos that were reduced with a bicubic filter. It sharpens what is there and adds plausible detail; "
    "it does not remove noise or compression marks."
)
_DEGRADED: Final = (
    "Trained on photos that were blurred, reduced, made noisy and compressed at random. It removes such traces and "
    "invents plausible detail in their place."
)
_LIMITS: Final[Mapping[Task, str]] = MappingProxyType(
    {"classical": _BICUBIC, "lightweight": _BICUBIC, "real-world": _DEGRADED}
)
_NEVER: Final = "It cannot know what was lost, and must not be used to read or identify what the photo does not show."


def began_text(release: Release) -> str:
    """Returns what the weights began from."""
    if release.parent:
        return f"`{release.parent}`"
    return "not stated" if release.training.steps is None else "random weights"


def steps_text(release: Release) -> str:
    """Returns how long the training was."""
    return "steps not stated" if release.training.steps is None else f"{release.training.steps:,} steps"


def chosen_text(release: Release) -> str:
    """Returns on what the weights were chosen, and what that means for the scores."""
    chosen = release.training.selected_on
    return "not stated" if chosen is None else f"{chosen}: scores on it are a little too good"


def heads_text(spec: SwinIRSpec) -> str:
    """Returns the heads of the blocks: one number where all have as many, otherwise the smallest and the largest."""
    counts = {heads for stage in spec.heads for heads in stage}
    return str(counts.pop()) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"


def compression_text(release: Release) -> str:
    """Returns what was done to the parent's weights, in words."""
    done = release.compression
    if done is None:
        return "none"
    match done.method:
        case "heads-l1":
            return f"{done.amount:.0f} of the heads of each block removed, those of least L1 norm; not trained again"
        case "magnitude-l1":
            return f"the smallest {done.amount:.0%} of the weights of each linear layer set to zero; not trained again"
        case "selective":
            return _selective(release, done)
        case "quantize":
            return _STORED[release.variant.precision]
        case "mixed-bit":
            budget = f"for a package of at most {done.amount / 1e6:.2f} MB"
            return f"{_STORED['mixed-bit']}, {budget}: {_mixture(release.variant)}"
        case _:
            assert_never(done.method)


def calibration_text(release: Release) -> str:
    """Returns on which pictures it was measured what a weight is worth; empty where nothing was measured."""
    record = release.compression.calibration if release.compression else None
    if record is None:
        return ""
    return f"{record.tiles} tiles of {record.side} × {record.side} pixels from {record.photos}{_cut(record.cell)}"


def finetune_text(release: Release) -> str:
    """Returns how the whole network taught a pruned one; empty where it did not."""
    record = release.compression.finetune if release.compression else None
    if record is None:
        return ""
    photos = f"{record.photos}{_cut(record.cell)}, without their originals"
    device = f"; {record.device}" if record.device else ""
    return f"{record.steps:,} steps on {photos}; {record.recipe}, seed {record.seed}{device}"


def _cut(cell: int | None) -> str:
    """Returns into what contact strips were cut; empty for plain photos."""
    return "" if cell is None else f", cut into squares of {cell}"


def _compression_facts(release: Release) -> list[tuple[str, str]]:
    facts = [("Calibrated on", calibration_text(release)), ("Taught by the whole network", finetune_text(release))]
    return [(name, value) for name, value in facts if value]


def _selective(release: Release, done: CompressionRecord) -> str:
    spec = release.variant.spec
    what = "multiplications" if done.measure == "macs" else "parameters"
    gone = (
        f"{done.amount:.0%} of the {what} removed, those that calibration pictures miss least: "
        f"{_share(done.removed_heads, spec.heads)} heads and {_share(done.removed_units, spec.hidden)} hidden units"
    )
    if done.removed_stages:
        count = len(done.removed_stages)
        gone += f", with them {count} {'stage' if count == 1 else 'stages'} altogether"
    repaired = "; what is left was solved for again by least squares" if done.is_repaired else ""
    trained = (
        "not trained again"
        if done.finetune is None
        else f"taught by the whole network for {done.finetune.steps:,} steps"
    )
    return f"{gone}{repaired}; {trained}"


def _share(removed: NumbersPerBlock, left: PerBlock) -> str:
    """Returns how many of how many are gone."""
    gone = sum(len(block) for stage in removed for block in stage)
    return f"{gone:,} of {gone + sum(map(sum, left)):,}"


def _mixture(variant: Variant) -> str:
    """Returns how many layers have each format, the finest first."""
    formats = [form for _, form in variant.formats]
    return ", ".join(f"{formats.count(form)} {words}" for form, words in _FORMATS.items() if form in formats)


_FORMATS: Final[Mapping[LayerFormat, str]] = MappingProxyType(
    {"float16": "as float16", "int8": "as int8", "palette6": "in 6 bits", "palette4": "in 4 bits"}
)

_STORED: Final[Mapping[Precision, str]] = MappingProxyType(
    {
        "float32": "stored as float32",
        "float16": "stored as float16",
        "int8": "weights stored as one byte each with a step for each output channel",
        "palette6": "weights stored as 6 bits each that point into a table of 64 values (experimental)",
        "palette4": "weights stored as 4 bits each that point into a table of 16 values (experimental)",
        "mixed-bit": "each layer stored as coarsely as it bears (experimental)",
    }
)


def _core_ml(release: Release) -> list[str]:
    record, file = release.coreml, release.package
    if record is None or file is None:
        return []
    proof = record.proof
    compact = "; position biases as tables" if record.compact_bias else ""
    exact = "equal" if proof.screen_db is None else f"{proof.screen_db:.1f} dB"
    facts = [
        ("Package", f"{record.name}.mlpackage, {record.package_bytes:,} bytes ({file.bytes:,} zipped){compact}"),
        ("sha256 of the zip", f"`{file.sha256}`"),
        ("Runs on", f"iOS {record.min_ios} or later, compute units {record.compute_units}"),
        ("Arithmetic", f"{record.compute}{', experimental' if record.is_experimental else ''}"),
        ("Input", _feature(record.input)),
        ("Output", _feature(record.output)),
        ("Tiles", f"{record.tile} pixels with {record.overlap} of overlap and a margin of {record.margin}"),
        ("Gate A, the graph", f"{proof.gate_a_db:.1f} dB"),
        (
            "Gate B, against float32",
            f"{proof.gate_b_db:.1f} dB natural, {proof.gate_b_saturated_db:.1f} dB saturated, "
            f"{proof.gate_b_black_db:.1f} dB black",
        ),
        ("Against the page's picture", f"{exact}, at most {proof.max_lsb}/255"),
        ("Measured", f"{proof.tiles}, {proof.tool}"),
    ]
    facts += [
        (f"On {one.device}", f"{one.milliseconds_per_tile:.1f} ms a tile, {one.compute_units}, {one.system}")
        for one in record.devices
    ]
    said = "Proven with a reference interpreter of ML programs, not on a device."
    return ["## Core ML", "", said, "", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts), ""]


def _feature(feature: FeatureRecord) -> str:
    return f"`{feature.name}`, {feature.kind}, {feature.height} × {feature.width}"


def _licenses(release: Release) -> list[str]:
    rows = [f"| {one.covers} | {one.terms} | {one.source} |" for one in release.license_chain]
    return ["## Licences", "", "| covers | terms | source |", "|---|---|---|", *rows, ""]


def _speed(release: Release) -> str:
    speed = release.speed
    if speed is None:
        return "not measured"
    return f"{speed.seconds_per_megapixel:.1f} s for a megapixel of photo, {speed.compute}, {speed.machine}"


def _seam(tiling: TilingRecord) -> str:
    if tiling.seam_max is None:
        return "seams not measured"
    return f"largest seam difference {tiling.seam_max:.3f}/255 on {tiling.seam_data}"


def release_table(releases: Sequence[Release]) -> str:
    """Returns the releases as a text table in columns of equal width."""
    rows = [_HEADER, *map(_row, releases)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def markdown_table(releases: Sequence[Release]) -> str:
    """Returns the releases as a Markdown table."""
    rows = [_HEADER, ("---",) * len(_HEADER), *map(_row, releases)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(release: Release) -> tuple[str, ...]:
    scores = (release.metric(dataset) for dataset in ("Set5", "Kodak24"))
    return (
        release.id,
        f"x{release.variant.spec.scale}",
        f"{release.parameters:,}",
        f"{release.cost.sparsity:.0%}",
        f"{release.size_bytes / 1e6:.2f}",
        "-" if release.coreml is None else f"{release.coreml.package_bytes / 1e6:.2f}",
        *(f"{score.psnr_db:.2f}" if score else "-" for score in scores),
        "-" if release.speed is None else f"{release.speed.seconds_per_megapixel:.1f}",
        release.recommended_for,
    )


_HEADER = (
    "id", "scale", "parameters", "sparsity", "MB", "package MB", "Set5 Y dB", "Kodak24 Y dB", "s/MP", "recommended for"
)  # fmt: skip
