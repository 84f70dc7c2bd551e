"""The commands of the workshop, as ``python -m zoo`` runs them."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Final

from tqdm import tqdm

from sr_core.arch.build import build as build_network
from sr_core.arch.weights import load_official, load_weights, read_note
from sr_core.compress.cost import count_bytes
from sr_core.errors import OptionError
from sr_core.infer.window_engine import fast_compute, resolve_compute
from sr_core.spec import Variant
from zoo.card import release_table
from zoo.catalogue import load_model
from zoo.files import EmbeddedFiles
from zoo.manifest import BUILTIN, HOME, load_manifest
from zoo.release import ProofRecord, Release, SpeedRecord, TrainingRecord
from zoo.workshop.build import BuildOptions, build, whole_releases
from zoo.workshop.calibration import CalibrationOptions
from zoo.workshop.candidates import Amounts
from zoo.workshop.device import run_bench_device
from zoo.workshop.distill import DistillOptions
from zoo.workshop.evaluate import Score, evaluate, summarize
from zoo.workshop.grow import grow_from
from zoo.workshop.official import AUTHOR, download, official, official_of_file
from zoo.workshop.packages import PackageOptions
from zoo.workshop.photos import read_photos, validation_pairs
from zoo.workshop.proving import ProvingOptions, export_again, verify
from zoo.workshop.publish import run_publish
from zoo.workshop.recipes import recipe
from zoo.workshop.records import new_release, put_metrics, store_release, store_weights
from zoo.workshop.seams import choose_overlap
from zoo.workshop.speed import name_run, time_models
from zoo.workshop.sweep import SweepOptions, sweep, time_points
from zoo.workshop.train import TrainOptions, train

__all__ = [
    "run_bench_device",
    "run_build",
    "run_evaluate",
    "run_export",
    "run_import",
    "run_publish",
    "run_release",
    "run_seams",
    "run_speed",
    "run_study",
    "run_train",
    "run_verify",
]

EMBEDDED_FILE_BYTES: Final = 10_000_000
"""The largest weight file that may come with the project."""


def run_evaluate(options: argparse.Namespace) -> None:
    """Scores a model on a folder, prints the table, and writes the means into its record and card."""
    manifest = load_manifest(options.home / "manifest.json")
    release = manifest.release(options.id)
    model = load_model(release, "float32", EmbeddedFiles(options.home / BUILTIN.name))
    name = options.name or options.data.name
    scale = release.variant.spec.scale
    scores: list[Score] = []
    print(f"{'picture':24} ch   PSNR dB    SSIM   over bicubic dB")
    for score in evaluate(model, validation_pairs(options.data, scale=scale)):
        scores.append(score)
        gain = score.psnr_db - score.bicubic_psnr_db
        print(f"{score.name:24} {score.channels:4} {score.psnr_db:7.3f} {score.ssim:7.4f}   {gain:+.3f}", flush=True)
    metrics = summarize(scores, dataset=name, border=scale)
    for metric in metrics:
        gain = fmean(s.psnr_db - s.bicubic_psnr_db for s in scores if s.channels == metric.channels)
        print(f"{'mean of ' + name:24} {metric.channels:4} {metric.psnr_db:7.3f} {metric.ssim:7.4f}   {gain:+.3f}")
    if not options.dry_run:
        store_release(options.home, release.id, lambda now: put_metrics(now or release, metrics))


def run_seams(options: argparse.Namespace) -> None:
    """Measures seams, and writes the smallest sufficient overlap into a model's record and card."""
    manifest = load_manifest(options.home / "manifest.json")
    release = manifest.release(options.id)
    model = load_model(release, "float32", EmbeddedFiles(options.home / BUILTIN.name))
    tile = options.tile or release.tiling.tile
    photos = list(islice(read_photos(options.data), options.limit))
    overlaps = options.overlaps or range(model.engine.multiple, tile // 2 + 1, model.engine.multiple)
    record = choose_overlap(
        model, photos, tile=tile, overlaps=overlaps, data=f"{options.data.name} ({len(photos)})", report=print
    )
    tiling = replace(record, batch=release.tiling.batch)
    store_release(options.home, release.id, lambda now: replace(now or release, tiling=tiling))


def run_speed(options: argparse.Namespace) -> None:
    """Times models in one interleaved run, prints the ratios, and writes the times into their records and cards."""
    manifest = load_manifest(options.home / "manifest.json")
    releases = [manifest.release(one) for one in options.ids] if options.ids else list(manifest.releases)
    files = EmbeddedFiles(options.home / BUILTIN.name)
    compute = fast_compute()
    loads = [partial(load_model, release, "auto", files) for release in releases]
    print(f"{'model':48} s/MP     speed against {releases[0].id}")
    run = name_run()
    timings = time_models(loads, side=options.side, rounds=options.rounds)
    for release, timing in zip(releases, timings, strict=True):
        print(
            f"{timing.id:48} {timing.seconds_per_megapixel:6.1f}   "
            f"{timing.ratio:.2f} [{timing.lowest:.2f}-{timing.highest:.2f}]"
        )
        record = SpeedRecord(
            seconds_per_megapixel=round(timing.seconds_per_megapixel, 1),
            compute=compute,
            machine=options.machine,
            run=run,
        )
        if not options.dry_run:
            store_release(options.home, release.id, partial(_timed, release, record))


def _timed(release: Release, speed: SpeedRecord, now: Release | None) -> Release:
    return replace(now or release, speed=speed)


def run_release(options: argparse.Namespace) -> None:
    """Stores trained weights as a release, with its record and card."""
    source = recipe(options.family)
    trained = source.variant(scale=options.scale, trained=options.trained, precision="float32")
    module = load_weights(options.weights, trained)
    training = TrainingRecord(
        data=options.training_data,
        steps=options.earlier_steps + int(read_note(options.weights).get("steps", "0")),
        selected_on=options.selected_on,
        recipe=options.recipe,
    )
    variant = replace(trained, precision=options.precision)
    file = store_weights(module, variant, training, options.home / BUILTIN.name)
    release = new_release(source, variant, file, training, parent=options.parent)
    store_release(options.home, release.id, lambda _: release)
    print(f"{variant.id}: {file.bytes:,} bytes, {training.steps:,} steps")


def run_import(options: argparse.Namespace) -> None:
    """Makes a release of a published checkpoint, from a file or fetched."""
    _, is_published, name = options.source.partition("official:")
    path = Path(options.source)
    known = name if is_published else options.network
    network = official(known) if known else official_of_file(path)
    variant = Variant(
        family=network.family, spec=network.spec, task=network.task, trained=options.trained, precision="float16"
    )
    size_bytes = count_bytes(network.spec, "float16").total
    if options.home.resolve() == HOME.resolve() and size_bytes > EMBEDDED_FILE_BYTES:
        raise OptionError(
            f"The network {network.name} takes {size_bytes / 1e6:.0f} MB, too much to come with the project; "
            f"name another folder with --home."
        )
    module = load_official(download(network, options.downloads) if is_published else path, network.spec)
    file = store_weights(module, variant, network.training, options.home / BUILTIN.name)
    published = (AUTHOR, network.license_chain)
    release = new_release(network.recipe, variant, file, network.training, parent=None, published=published)
    store_release(options.home, release.id, lambda _: release)
    print(f"{variant.id}: {file.bytes:,} bytes, sha256 {file.sha256}")


def run_build(options: argparse.Namespace) -> None:
    """Builds every variant of a family, or of all."""
    ways = BuildOptions(
        home=options.home,
        photos=options.photos,
        datasets=tuple(options.data),
        heads=None if options.heads is None else tuple(options.heads),
        package=PackageOptions(tile=options.tile),
        calibration=_calibration_options(options),
        finetune=_distill_options(options),
        runs=options.runs,
        is_fresh=options.fresh,
    )
    with tqdm(unit="stage") as bar:

        def report(release_id: str, words: str, *, done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.refresh()
            bar.write(f"{release_id}: {words}")

        manifest = build(ways, options.family, report)
    print(release_table([one for one in manifest.releases if options.family in (None, one.variant.family)]))


def run_study(options: argparse.Namespace) -> None:
    """Measures what each technique makes of a family's whole network, and writes it into the study."""
    if options.machine and options.keep is None:
        raise OptionError("Only networks that were kept are timed; name a folder for them with --keep.")
    [whole, *_] = whole_releases(load_manifest(options.home / "manifest.json"), options.family)
    amounts = Amounts(
        techniques=tuple(options.techniques),
        shares=tuple(percent / 100 for percent in options.shares),
        measure=options.measure,
        megabytes=tuple(options.megabytes),
        finetune=_distill_options(options),
    )
    plan = SweepOptions(
        home=options.home,
        datasets=tuple(options.data),
        calibration=_calibration_options(options) or CalibrationOptions(photos=options.photos),
        amounts=amounts,
        photos=options.photos if options.packages else None,
        runs=options.runs,
        keep=options.keep,
        compute=resolve_compute(options.compute),
        is_fresh=options.fresh,
    )
    study = sweep(plan, whole, lambda words: print(words, flush=True))
    if options.machine:
        study = time_points(plan, whole, options.machine, side=options.side, rounds=options.rounds)
        for point in study.points:
            if point.speed is not None:
                print(f"{point.technique:20} {point.words:40} {point.speed.seconds_per_megapixel:6.2f} s/MP")
    print(f"{len(study.points)} points of {study.whole} are in {plan.study_path}")


def _calibration_options(options: argparse.Namespace) -> CalibrationOptions | None:
    """Returns on what is calibrated, or None where nothing is named.

    Raises:
        OptionError: An option would do nothing.
    """
    if options.calibration is None:
        _refuse_given(options, ("calibration_tiles", "calibration_words"), "--calibration")
        if not options.finetune:
            _refuse_given(options, ("cell",), "--calibration or --finetune")
        return None
    plain = CalibrationOptions(photos=options.calibration, cell=options.cell, words=options.calibration_words)
    return plain if options.calibration_tiles is None else replace(plain, tiles=options.calibration_tiles)


def _refuse_given(options: argparse.Namespace, names: Sequence[str], needed: str) -> None:
    """Refuses options that would be ignored, because the one that they belong to is not given."""
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name) not in (None, "")]
    if given:
        raise OptionError(f"{' and '.join(given)} would do nothing without {needed}.")


def _distill_options(options: argparse.Namespace) -> DistillOptions | None:
    """Returns how networks are distilled, or None where that is not asked for.

    Raises:
        OptionError: An option would do nothing, or the photos are missing.
    """
    if not options.finetune:
        ways = ("photos", "words", "steps", "batch", "patch", "rate", "optimizer", "pool", "seed")
        _refuse_given(options, (*(f"finetune_{way}" for way in ways), "threads"), "--finetune")
        return None
    if options.finetune_photos is None:
        raise OptionError("--finetune needs photos: name their folder with --finetune-photos.")
    named = {
        "steps": options.finetune_steps,
        "batch": options.finetune_batch,
        "patch": options.finetune_patch,
        "learning_rate": options.finetune_rate,
        "optimizer": options.finetune_optimizer,
        "pool": options.finetune_pool,
        "seed": options.finetune_seed,
    }
    plain = DistillOptions(
        photos=options.finetune_photos, cell=options.cell, words=options.finetune_words, threads=options.threads
    )
    return replace(plain, **{name: value for name, value in named.items() if value is not None})


def run_export(options: argparse.Namespace) -> None:
    """Makes one package of a model in any arithmetic and tile, proves it, and prints what was found."""
    maker = ProvingOptions(home=options.home, photos=options.photos, package=PackageOptions(tile=options.tile))
    release = load_manifest(options.home / "manifest.json").release(options.id)
    file, record = export_again(maker, release, options.compute, options.out)
    print(f"{options.out / file.path}: {record.package_bytes:,} bytes, {file.bytes:,} zipped, sha256 {file.sha256}")
    _print_proof(record.name, record.proof)


def run_verify(options: argparse.Namespace) -> None:
    """Runs the gates again on one package, or on all that are listed."""
    maker = ProvingOptions(home=options.home, photos=options.photos)
    manifest = load_manifest(options.home / "manifest.json")
    releases = [manifest.release(options.id)] if options.id else list(manifest.releases)
    for release in releases:
        if release.coreml is None:
            print(f"{release.id}: no package")
        else:
            proof, is_same = verify(maker, release, release.coreml)
            _print_proof(release.coreml.name, proof)
            if not is_same:
                print("    on other photos than the recorded figures are from, which were not compared")


def _print_proof(name: str, proof: ProofRecord) -> None:
    natural, saturated, black = proof.gate_b_db, proof.gate_b_saturated_db, proof.gate_b_black_db
    print(
        f"{name}: gate A {proof.gate_a_db:.1f} dB; gate B {natural:.1f} natural, {saturated:.1f} saturated, "
        f"{black:.1f} black; at most {proof.max_lsb}/255 from the page's picture; gate C passed"
    )


def run_train(options: argparse.Namespace) -> None:
    """Trains a recipe, from scratch or from stored weights."""
    variant = recipe(options.family).variant(scale=options.scale, trained=options.trained, precision="float32")
    start = None
    if options.start:
        family = recipe(options.start_family or options.family)
        stored = family.variant(scale=options.scale, trained=options.trained, precision="float32")
        start = load_weights(options.start, stored)
        if stored.spec != variant.spec:
            shallow, start = start, build_network(variant.spec)
            grow_from(start, shallow)
    fields = {name: getattr(options, name) for name in TrainOptions.__dataclass_fields__}
    best_db = train(variant, TrainOptions(**fields), start)
    print(f"best Y-PSNR on {options.validation.name}: {best_db:.3f} dB")
