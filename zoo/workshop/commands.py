"""The commands of the workshop, as ``python -m zoo`` runs them."""

import argparse
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import fmean
from time import perf_counter

import numpy as np

from sr_core.arch.build import build
from sr_core.arch.weights import load_weights, read_note
from sr_core.image.picture import Picture
from sr_core.infer.upscale import run_to_end, upscale
from zoo.card import model_card
from zoo.catalogue import load_model
from zoo.manifest import Manifest, Release, SpeedRecord, TrainingRecord, load_manifest, save_manifest
from zoo.workshop.evaluate import Score, evaluate, summarize
from zoo.workshop.grow import grow_from
from zoo.workshop.photos import read_photos, validation_pairs
from zoo.workshop.recipes import recipe
from zoo.workshop.records import new_release, put_metrics, put_release, store_weights
from zoo.workshop.seams import choose_overlap
from zoo.workshop.train import TrainOptions, train

__all__ = ["run_evaluate", "run_release", "run_seams", "run_speed", "run_train"]


def run_evaluate(options: argparse.Namespace) -> None:
    """Scores a model on a folder, prints the table, and writes the means into its record and card."""
    manifest = load_manifest(options.home / "manifest.json")
    release = manifest.release(options.id)
    model = load_model(release, "float32", options.home / "builtin")
    name = options.name or options.data.name
    scale = release.variant.spec.scale
    scores: list[Score] = []
    print(f"{'picture':24} ch   PSNR dB    SSIM   over bicubic dB")
    for score in evaluate(model, validation_pairs(options.data, scale=scale)):
        scores.append(score)
        gain = score.psnr_db - score.bicubic_psnr_db
        print(f"{score.name:24} {score.channels:4} {score.psnr_db:7.3f} {score.ssim:7.4f}   {gain:+.3f}", flush=True)
    metrics = tuple(summarize(scores, dataset=name, channels=channels, border=scale) for channels in ("y", "rgb"))
    for metric in metrics:
        gain = fmean(s.psnr_db - s.bicubic_psnr_db for s in scores if s.channels == metric.channels)
        print(f"{'mean of ' + name:24} {metric.channels:4} {metric.psnr_db:7.3f} {metric.ssim:7.4f}   {gain:+.3f}")
    if not options.dry_run:
        _store(options.home, manifest, put_metrics(release, metrics))


def run_seams(options: argparse.Namespace) -> None:
    """Measures seams, and writes the smallest sufficient overlap into a model's record and card."""
    manifest = load_manifest(options.home / "manifest.json")
    release = manifest.release(options.id)
    model = load_model(release, "float32", options.home / "builtin")
    tile = options.tile or release.tiling.tile
    photos = list(islice(read_photos(options.data), options.limit))
    overlaps = options.overlaps or range(model.engine.multiple, tile // 2 + 1, model.engine.multiple)
    record = choose_overlap(
        model, photos, tile=tile, overlaps=overlaps, data=f"{options.data.name} ({len(photos)})", report=print
    )
    _store(options.home, manifest, replace(release, tiling=replace(record, batch=release.tiling.batch)))


def run_speed(options: argparse.Namespace) -> None:
    """Times a model on a square photo of noise, and writes the time into its record and card."""
    manifest = load_manifest(options.home / "manifest.json")
    release = manifest.release(options.id)
    model = load_model(release, "auto", options.home / "builtin")
    pixels = np.random.default_rng(0).integers(0, 256, (options.side, options.side, 3), np.uint8)
    started = perf_counter()
    run_to_end(upscale(Picture(pixels=pixels, bit_depth=8), model.engine, model.tiling))
    seconds = (perf_counter() - started) / (options.side**2 / 1e6)
    record = SpeedRecord(seconds_per_megapixel=round(seconds, 1), compute=model.engine.compute, machine=options.machine)
    print(f"{release.id}: {seconds:.1f} s per megapixel, {record.compute}, {record.machine}")
    _store(options.home, manifest, replace(release, speed=record))


def run_release(options: argparse.Namespace) -> None:
    """Stores trained weights as a release, with its record and card."""
    source = recipe(options.family)
    trained = source.variant(scale=options.scale, trained=options.trained, precision="float32")
    module = load_weights(options.weights, trained)
    training = TrainingRecord(
        data=options.training_data,
        steps=int(read_note(options.weights).get("steps", "0")),
        selected_on=options.selected_on,
        recipe=options.recipe,
    )
    variant = replace(trained, precision=options.precision)
    builtin = options.home / "builtin"
    file = store_weights(module, variant, training, builtin)
    release = new_release(source, module, variant, file, training, options.parent)
    path = options.home / "manifest.json"
    _store(options.home, load_manifest(path) if path.is_file() else None, release)
    print(f"{variant.id}: {file.bytes:,} bytes, {training.steps:,} steps")


def _store(home: Path, manifest: Manifest | None, release: Release) -> None:
    """Writes a release into the manifest, and its model card."""
    save_manifest(put_release(manifest, release), home / "manifest.json")
    (home / "builtin" / f"{release.id}.md").write_text(model_card(release), encoding="utf-8")


def run_train(options: argparse.Namespace) -> None:
    """Trains a recipe, from scratch or from stored weights."""
    variant = recipe(options.family).variant(scale=options.scale, trained=options.trained, precision="float32")
    start = None
    if options.start:
        family = recipe(options.start_family or options.family)
        stored = family.variant(scale=options.scale, trained=options.trained, precision="float32")
        start = load_weights(options.start, stored)
        if stored.spec != variant.spec:
            shallow, start = start, build(variant.spec)
            grow_from(start, shallow)
    fields = {name: getattr(options, name) for name in TrainOptions.__dataclass_fields__}
    best_db = train(variant, TrainOptions(**fields), start)
    print(f"best Y-PSNR on {options.validation.name}: {best_db:.3f} dB")
