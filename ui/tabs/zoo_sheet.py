"""What the zoo says of one variant: a card for a glance, and a sheet with everything that its release records."""

from collections.abc import Iterator
from typing import Final

from sr_core.coreml.proof import EXACT_DB, floors_for
from ui import text, text_zoo
from ui.tabs.zoo_rows import main_dataset
from ui.widgets.sheet import (
    Html,
    code_block,
    code_words,
    facts,
    filled_table,
    folded,
    gates,
    section,
    stacked,
    table,
    variant_links,
    words,
)
from zoo.card import calibration_text, chosen_text, compression_text, finetune_text, steps_text
from zoo.kit import STATEMENT, SWIFT_FILE, proof_sheet, swift_sample
from zoo.manifest import Manifest
from zoo.release import CoreMLRecord, FeatureRecord, HashRecord, Release, TilingRecord

__all__ = ["card_html", "sheet_html"]

_PICTURES: Final = {"y": "luma", "rgb": "RGB"}


def card_html(manifest: Manifest, release: Release) -> Html:
    """Returns the variant's name, what it is for, and the numbers that one compares."""
    dataset = main_dataset(manifest.releases)
    metric, whole, package, speed = release.metric(dataset), manifest.whole(release), release.coreml, release.speed
    numbers = [(f"PSNR, {dataset}", text.NO_TIME if metric is None else f"{metric.psnr_db:.2f} dB")]
    if metric is not None and whole is not None and whole.id != release.id and (score := whole.metric(dataset)):
        numbers.append((f"against {whole.label}", f"{text.change_text(metric.psnr_db - score.psnr_db)} dB"))
    numbers += [
        ("Weight file", f"{text.megabytes_text(release.size_bytes)} MB"),
        ("Core ML package", "none" if package is None else f"{text.megabytes_text(package.package_bytes)} MB"),
        ("Parameters", f"{release.parameters:,}"),
        ("Time for a megapixel", text.NO_TIME if speed is None else f"{speed.seconds_per_megapixel:.1f} s"),
    ]
    if package is not None:
        numbers.append(("Package against float32", f"{package.proof.gate_b_db:.1f} dB"))
    for_whom = release.recommended_for[:1].upper() + release.recommended_for[1:]
    return Html(
        f'<article class="card"><h2 aria-live="polite">{words(release.label)}</h2>{code_words(release.id)}'
        f'<p>{words(release.description)}</p><p class="card-for">{words(for_whom)}.</p>'
        f"{facts((name, words(value)) for name, value in numbers)}</article>"
    )


def sheet_html(manifest: Manifest, release: Release) -> Html:
    """Returns all that the manifest knows of a variant, in sections."""
    parts = [
        *_proof(release), _origin(manifest, release), _cost(release),
        stacked(_scores(release), *_left(manifest, release), _licenses(release)), _files(release), *_swift(release),
    ]  # fmt: skip
    return Html(
        f'<div class="sheet"><h2>{words(text.SHEET_TITLE.format(label=release.label))}</h2>{"".join(parts)}</div>'
    )


def _proof(release: Release) -> Iterator[Html]:
    """Yields the proof sheet and the package, or why there is none."""
    record, file = release.coreml, release.package
    if record is None or file is None:
        yield section(text.PROOF_TITLE, note=text.NO_KIT)
        return
    proof, known = record.proof, proof_sheet(release)
    floors = floors_for(release.variant.precision, record.compute)
    screen = "equal" if proof.screen_db is None else _db(proof.screen_db)
    extreme = f"{_db(proof.gate_b_saturated_db)} on extreme colours, {_db(proof.gate_b_black_db)} on black"
    rows = [
        ("a", known["gates"]["a"]["meaning"], _db(proof.gate_a_db), f"{floors.gate_a_db:.0f} dB"),
        (
            "b",
            known["gates"]["b"]["meaning"],
            f"{_db(proof.gate_b_db)} on photos, {extreme}",
            f"{floors.gate_b_natural_db:.0f} dB, {floors.gate_b_extreme_db:.0f} dB on extreme colours and black",
        ),
        ("c", known["gates"]["c"]["meaning"], f"{len(record.contents)} files, listed below", "equal"),
        (
            "screen",
            known["screen"]["meaning"],
            f"{screen}, at most {proof.max_lsb}/255",
            f"{floors.screen_db:.0f} dB, at most {floors.max_lsb}/255",
        ),
    ]
    yield section(
        text.PROOF_TITLE,
        gates((text.GATES[gate], says, found, text.ASKED_FOR.format(floor=floor)) for gate, says, found, floor in rows),
        facts(
            [
                ("Measured on", words(proof.tiles)),
                ("Measured with", words(proof.tool)),
                ("Float32 network of", code_words(proof.reference)),
            ]
        ),
        note=STATEMENT,
        is_wide=True,
    )
    yield section(text.PACKAGE_TITLE, facts(_package(record, file.bytes)), *_devices(record))


def _package(record: CoreMLRecord, zip_bytes: int) -> list[tuple[str, Html]]:
    """Returns what an app needs to know, the recipe of its tiles included."""
    arithmetic = f"{record.compute}{', experimental' if record.is_experimental else ''}"
    return [
        ("Package", code_words(f"{record.name}.mlpackage")),
        ("Size", words(f"{record.package_bytes:,} bytes, {zip_bytes:,} zipped")),
        ("Needs", words(f"iOS {record.min_ios} (Core ML specification {record.specification_version})")),
        ("Compute units", words(record.compute_units)),
        ("Arithmetic", words(arithmetic)),
        ("Residual stream", words(_residual(record))),
        ("Input", _feature(record.input)),
        ("Output", _feature(record.output)),
        ("Tiles", words(f"{record.tile} pixels, {record.overlap} of overlap, a mirrored margin of {record.margin}")),
        ("Seams", words(_seam(record))),
        *([(text_zoo.COMPACT_BIAS, words(text_zoo.COMPACT_BIAS_WORDS))] if record.compact_bias else []),
    ]


def _residual(record: CoreMLRecord) -> str:
    power = str(-record.rescale).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"multiplied by 2{power} inside the weights" if record.rescale else "not scaled"


def _db(decibels: float) -> str:
    return f"{decibels:.1f} dB" if decibels < EXACT_DB else f"{EXACT_DB:.0f} dB or more"


def _devices(record: CoreMLRecord) -> Iterator[Html]:
    if record.devices:
        rows = [
            [one.device, one.system, one.compute_units, one.date, f"{one.milliseconds_per_tile:.1f}"]
            for one in record.devices
        ]
        yield table(text.DEVICE_HEADINGS, rows, numbers_from=4)


def _origin(manifest: Manifest, release: Release) -> Html:
    """Returns how the weights came about, from the first network on."""
    known = {one.id: one for one in manifest.releases}
    line = [(release.id, release.label)]
    parent = known.get(release.parent or "")
    while parent is not None and parent.id not in dict(line):
        line.insert(0, (parent.id, parent.label))
        parent = known.get(parent.parent or "")
    done = release.compression
    made = [
        ("Lineage", variant_links(line)),
        ("Compression", words(compression_text(release))),
        *_compressed(release),
        ("Weights stored as", words(release.variant.precision)),
        ("Made by", words(f"{release.author}, {release.date}")),
        ("Training data", words(release.training.data)),
        ("Training", words(f"{steps_text(release)}; {release.training.recipe}")),
        ("Chosen on", words(chosen_text(release))),
    ]
    parts = [facts(made)]
    if done is not None:
        hashes = [("Parent's sha256", code_words(done.parent_sha256))]
        if done.calibration is not None:
            hashes.append((text_zoo.CALIBRATION_SHA, code_words(done.calibration.sha256)))
        parts.append(facts(hashes))
    if done is not None and done.removed_heads:
        rows = [
            [f"{stage + 1}.{block + 1}", ", ".join(map(str, heads)) or text.NO_TIME]
            for stage, blocks in enumerate(done.removed_heads)
            for block, heads in enumerate(blocks)
        ]
        parts.append(folded(text.REMOVED_TITLE, table(text.REMOVED_HEADINGS, rows, numbers_from=2)))
    return section(text.ORIGIN_TITLE, *parts)


def _compressed(release: Release) -> Iterator[tuple[str, Html]]:
    """Yields what was done after something was removed, and on which pictures it was measured."""
    done = release.compression
    if done is not None and done.is_repaired:
        yield text_zoo.REPAIR, words(text_zoo.REPAIRED)
    for name, said in ((text_zoo.DISTILLED, finetune_text(release)), (text_zoo.CALIBRATED, calibration_text(release))):
        if said:
            yield name, words(said)


def _left(manifest: Manifest, release: Release) -> Iterator[Html]:
    """Yields how many heads and hidden units each block has, where some are gone."""
    whole, spec = manifest.whole(release), release.variant.spec
    if whole is None or whole.variant.spec.depths != spec.depths:
        return
    of_whole = (whole.variant.spec.heads, whole.variant.spec.hidden)
    if of_whole == (spec.heads, spec.hidden):
        return
    parts: list[Html] = []
    columns = [text_zoo.LEFT_BLOCK.format(number=at + 1) for at in range(max(spec.depths))]
    for caption, counts, most in zip(text_zoo.LEFT_CAPTIONS, (spec.heads, spec.hidden), of_whole, strict=True):
        rows = (
            [(str(one), one / all_of_it if all_of_it else 0.0) for one, all_of_it in zip(stage, full, strict=True)]
            for stage, full in zip(counts, most, strict=True)
        )
        said = caption.format(whole=text_zoo.counts_text(most))
        parts.append(filled_table(said, text_zoo.LEFT_STAGE, columns, rows))
    yield section(text_zoo.LEFT_TITLE, *parts, note=text_zoo.left_text(spec.heads, spec.hidden, of_whole))


def _cost(release: Release) -> Html:
    cost, spec, tiling = release.cost, release.variant.spec, release.tiling
    blocks = "".join(f"{depth} " for depth in spec.depths).strip().replace(" ", ", ")
    pairs = [
        ("Network", f"SwinIR ×{spec.scale}, {len(spec.depths)} stages of {blocks} blocks"),
        ("Width, heads", f"{spec.embed_dim} channels, {text_zoo.counts_text(spec.heads)} heads of {spec.head_dim}"),
        ("Hidden units", f"{text_zoo.counts_text(spec.hidden)} in each block"),
        ("Parameters", f"{cost.parameters:,}"),
        ("of these in attention", f"{cost.attention_parameters:,}"),
        ("of these in MLPs", f"{cost.mlp_parameters:,}"),
        ("Sparsity", f"{text.percent_text(cost.sparsity)} % of the whole network removed or zero"),
        ("Multiplications", f"{cost.macs_per_megapixel / 1e9:,.0f} billion for a megapixel"),
        ("of these in attention", f"{cost.attention_macs / 1e9:,.0f} billion"),
        ("of these in MLPs", f"{cost.mlp_macs / 1e9:,.0f} billion"),
        ("Time", _speed(release)),
        ("Tiles on this page", f"{tiling.tile} pixels, {tiling.overlap} of overlap; seams: {_seam(tiling)}"),
    ]
    return section(text.COST_TITLE, facts((name, words(value)) for name, value in pairs))


def _speed(release: Release) -> str:
    speed = release.speed
    if speed is None:
        return "not measured"
    return f"{speed.seconds_per_megapixel:.1f} s for a megapixel in {speed.compute}, on {speed.machine}"


def _seam(tiling: TilingRecord | CoreMLRecord) -> str:
    if tiling.seam_max is None:
        return "not measured"
    return f"at most {tiling.seam_max:.3f}/255 on {tiling.seam_data}"


def _scores(release: Release) -> Html:
    rows = [
        [
            f"{one.dataset} ({one.pictures})", _PICTURES[one.channels], str(one.border), f"{one.psnr_db:.2f}",
            f"{one.bicubic_psnr_db:.2f}", f"{one.ssim:.4f}",
        ]
        for one in release.metrics
    ]  # fmt: skip
    tools = ", ".join(dict.fromkeys(one.tool for one in release.metrics))
    return section(text.SCORES_TITLE, table(text.SCORE_HEADINGS, rows, numbers_from=2), note=tools)


def _licenses(release: Release) -> Html:
    rows = [[one.covers, one.terms, one.source] for one in release.license_chain]
    return section(f"{text.LICENSES_TITLE}: {release.license}", table(text.LICENSE_HEADINGS, rows, numbers_from=3))


def _files(release: Release) -> Html:
    parts = [_hashes([HashRecord(path=one.path, bytes=one.bytes, sha256=one.sha256) for one in release.files])]
    if release.coreml is not None:
        parts.append(folded(text.CONTENTS_TITLE, _hashes(list(release.coreml.contents))))
    return section(text.FILES_TITLE, *parts, is_wide=True)


def _hashes(files: list[HashRecord]) -> Html:
    return facts((one.path, Html(f"{words(f'{one.bytes:,} bytes, sha256')} {code_words(one.sha256)}")) for one in files)


def _swift(release: Release) -> Iterator[Html]:
    if release.coreml is not None:
        yield section(
            text.SWIFT_TITLE, code_block(SWIFT_FILE, swift_sample(release)), note=text.SWIFT_HELP, is_wide=True
        )


def _feature(feature: FeatureRecord) -> Html:
    return Html(f"{code_words(feature.name)} {words(f'{feature.kind}, {feature.height} × {feature.width}')}")
