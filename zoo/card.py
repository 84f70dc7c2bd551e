"""Model cards and tables, made from manifest records alone."""

from collections.abc import Sequence

from zoo.manifest import Release, TilingRecord

__all__ = ["markdown_table", "model_card", "release_table"]


def model_card(release: Release) -> str:
    """Returns the model card of a release as Markdown with Hub front matter."""
    spec, tiling = release.variant.spec, release.tiling
    front = [
        "---",
        f"license: {release.licence.lower()}",
        "pipeline_tag: image-to-image",
        "tags:",
        "- super-resolution",
        "- swinir",
        "---",
    ]
    facts = [
        ("Architecture", f"SwinIR, {len(spec.depths)} stages of {', '.join(map(str, spec.depths))} blocks"),
        ("Width, heads", f"{spec.embed_dim} channels, {spec.heads[0][0]} heads of {spec.head_dim}"),
        ("Scale", f"×{spec.scale}"),
        ("Parameters", f"{release.parameters:,}"),
        ("Weights", f"{release.weights.path}, {release.variant.precision}, {release.size_bytes:,} bytes"),
        ("sha256", f"`{release.weights.sha256}`"),
        ("Began from", f"`{release.parent}`" if release.parent else "random weights"),
        ("Training data", release.training.data),
        ("Training", f"{release.training.steps:,} steps; {release.training.recipe}"),
        ("Chosen on", f"{release.training.selected_on}: scores on it are a little too good"),
        ("Speed", _speed(release)),
        ("Licence", release.licence),
        (
            "Tiles",
            f"{tiling.tile} pixels with {tiling.overlap} of overlap; {_seam(tiling)}",
        ),
    ]
    lines = [*front, "", f"# {release.label}", "", f"`{release.id}` — {release.recommended_for}.", ""]
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
    lines += [
        "",
        "## Limits",
        "",
        "Trained on photos that were reduced with a bicubic filter. It sharpens what is there and adds plausible "
        "detail; it cannot know what was lost, does not remove noise or compression marks, and must not be used "
        "to read or identify what the photo does not show.",
        "",
    ]
    return "\n".join(lines)


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
        f"{release.size_bytes / 1e6:.2f}",
        *(f"{score.psnr_db:.2f}" if score else "-" for score in scores),
        release.recommended_for,
    )


_HEADER = ("id", "scale", "parameters", "MB", "Set5 Y dB", "Kodak24 Y dB", "recommended for")
