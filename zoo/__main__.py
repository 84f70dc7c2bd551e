"""The command line of the zoo: list what ships; train, build, prove and publish (the workshop).

The workshop is imported only by the commands that need it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from sr_core.commands import Commands, run_command
from sr_core.coreml.package import CoreMLCompute
from sr_core.infer.engine import ComputeChoice
from zoo.card import markdown_table, model_card, release_table
from zoo.manifest import HOME, json_schema, load_manifest, release_json
from zoo.report.command import add_report
from zoo.study import Technique

EXAMPLES = HOME.parent / "ui" / "examples"
"""Public-domain photos that ship with the project."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status: 0 done, 1 refused with a sentence."""
    return run_command(_parser(), arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m zoo", description="The model zoo.")
    parser.add_argument("--home", type=Path, default=HOME, help="folder of manifest.json and builtin/")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="list the models that ship")
    listing.add_argument("--json", action="store_true", help="print the records as JSON")
    listing.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    listing.add_argument("--schema", action="store_true", help="print the JSON Schema of the manifest")
    listing.set_defaults(run=_list)

    _add_making(commands)
    _add_measuring(commands)
    _add_proving(commands)
    add_report(commands)
    _add_training(commands.add_parser("train", help="train a model on a folder of photos"))
    return parser


def _add_making(commands: Commands) -> None:
    release = commands.add_parser("release", help="store trained weights as a release")
    release.add_argument("family", help="a recipe, such as swinir-light")
    release.add_argument("--weights", type=Path, required=True, help="best.safetensors of a training run")
    release.add_argument("--scale", type=int, default=2)
    release.add_argument("--trained", required=True, help="name of the training run, such as photos39")
    release.add_argument("--precision", choices=("float32", "float16"), default="float16")
    release.add_argument("--parent", help="id of the release that it was grown from")
    release.add_argument("--earlier-steps", type=int, default=0, help="steps of the runs that this one went on from")
    release.add_argument("--selected-on", required=True, help="data set whose score chose the weights")
    release.add_argument("--recipe", required=True, help="the options of the run, in one phrase")
    release.add_argument("--training-data", required=True, help="one phrase that names the data and its source")
    release.set_defaults(run=_workshop, command="run_release")

    importing = commands.add_parser("import", help="make a release of a published SwinIR checkpoint")
    importing.add_argument("source", help="a checkpoint file, or official:NAME to fetch a published one")
    importing.add_argument("--as", dest="network", help="name of the published network that a file holds")
    importing.add_argument("--downloads", type=Path, default=Path("downloads"), help="folder for fetched checkpoints")
    importing.add_argument("--trained", default="official", help="name of the training run in the id")
    importing.set_defaults(run=_workshop, command="run_import")

    build = commands.add_parser("build", help="make every variant of a family, with packages, proofs and records")
    build.add_argument("--family", help="a family, such as swinir-light; by default all")
    build.add_argument("--photos", type=Path, default=EXAMPLES, help="photos that prove packages and show seams")
    build.add_argument("--data", type=Path, nargs="*", default=[], help="benchmark folders to score on")
    build.add_argument("--heads", type=int, nargs="*", help="numbers of heads to remove; by default the family's plan")
    build.add_argument("--tile", type=int, choices=(64, 128), default=64, help="tile of the packages")
    build.add_argument("--fresh", action="store_true", help="make again what is there")
    _add_means(build)
    build.set_defaults(run=_workshop, command="run_build")

    export = commands.add_parser("export", help="make and prove one Core ML package in another arithmetic or tile")
    export.add_argument("id", help="a model id, as listed")
    export.add_argument("--out", type=Path, required=True, help="folder for the package")
    export.add_argument("--compute", choices=get_args(CoreMLCompute), default="float16")
    export.add_argument("--tile", type=int, choices=(64, 128), default=64)
    export.add_argument("--photos", type=Path, default=EXAMPLES, help="photos that prove it")
    export.set_defaults(run=_workshop, command="run_export")

    publish = commands.add_parser("publish", help="put a family on the Hugging Face Hub in one commit")
    publish.add_argument("--family", required=True, help="a family, such as swinir-light")
    publish.add_argument("--repo", help="owner/name on the Hub; by default ZOO_REPO")
    publish.add_argument("--base-model", help="owner/name of the family that this one was grown from, for the card")
    publish.add_argument("--private", action="store_true", help="make the repository private when it is created")
    publish.add_argument("--dry-run", action="store_true", help="show the plan and send nothing")
    publish.set_defaults(run=_workshop, command="run_publish")


def _add_means(parser: argparse.ArgumentParser) -> None:
    """Adds what selective pruning, mixed-bit storage and distillation are done with."""
    parser.add_argument(
        "--calibration", type=Path, help="photos on which it is measured what a weight is worth; by default --photos"
    )
    parser.add_argument("--calibration-tiles", type=int, default=32, help="tiles of 64 pixels that are cut from them")
    parser.add_argument("--calibration-words", default="", help="one phrase that names these photos and their source")
    parser.add_argument("--cell", type=int, help="side of a square when named photos are contact strips")
    parser.add_argument("--finetune", action="store_true", help="let the whole network teach what is planned so")
    parser.add_argument("--finetune-photos", type=Path, help="unlabeled photos for that")
    parser.add_argument("--finetune-words", default="", help="one phrase that names these photos and their source")
    parser.add_argument("--finetune-steps", type=int)
    parser.add_argument("--finetune-batch", type=int, help="crops in a step")
    parser.add_argument("--finetune-patch", type=int, help="side of a crop in low-resolution pixels")
    parser.add_argument("--finetune-rate", type=float, help="learning rate at the top of the schedule")
    parser.add_argument("--finetune-optimizer", choices=("adam", "muon"))
    parser.add_argument("--finetune-pool", type=int, help="different batches; by default no batch comes twice")
    parser.add_argument("--finetune-seed", type=int, help="of the crops")
    parser.add_argument("--runs", type=Path, help="folder in which an unfinished distillation waits to go on")
    parser.add_argument("--threads", type=int)


def _add_measuring(commands: Commands) -> None:
    evaluation = commands.add_parser("evaluate", help="score a model on a benchmark folder")
    evaluation.add_argument("id", help="a model id, as listed")
    evaluation.add_argument("--data", type=Path, required=True, help="folder with HR and LR_bicubic, or with photos")
    evaluation.add_argument("--name", help="name of the data set; by default the folder's")
    evaluation.add_argument("--dry-run", action="store_true", help="do not write the scores into the manifest")
    evaluation.set_defaults(run=_workshop, command="run_evaluate")

    seams = commands.add_parser("seams", help="choose a model's overlap by the seam metric")
    seams.add_argument("id", help="a model id, as listed")
    seams.add_argument("--data", type=Path, required=True, help="folder of photos, used at their own size")
    seams.add_argument("--tile", type=int, default=None, help="tile in input pixels; by default the recorded one")
    seams.add_argument("--overlaps", type=int, nargs="+", help="overlaps to try; by default every whole window")
    seams.add_argument("--limit", type=int, default=None, help="take only the first photos of the folder")
    seams.set_defaults(run=_workshop, command="run_seams")

    speed = commands.add_parser("speed", help="time models on this machine, in one interleaved run")
    speed.add_argument("ids", nargs="*", help="model ids, as listed; by default all; ratios are to the first")
    speed.add_argument("--machine", required=True, help="one phrase that names this machine")
    speed.add_argument("--side", type=int, default=512, help="side of the photo that is timed")
    speed.add_argument("--rounds", type=int, default=5)
    speed.add_argument("--dry-run", action="store_true", help="do not write the times into the manifest")
    speed.set_defaults(run=_workshop, command="run_speed")

    study = commands.add_parser("study", help="measure what each technique makes of a whole network, at each amount")
    study.add_argument("--family", required=True, help="a family, such as swinir-light")
    study.add_argument("--data", type=Path, nargs="+", required=True, help="benchmark folders to score on")
    study.add_argument("--photos", type=Path, default=EXAMPLES, help="photos to calibrate on where none are named")
    study.add_argument(
        "--shares", type=float, nargs="+", default=[5, 10, 15, 20, 25, 30], help="percent that are to go"
    )
    study.add_argument(
        "--techniques", nargs="+", choices=get_args(Technique), help="by default all that are swept over"
    )
    study.add_argument("--compute", choices=get_args(ComputeChoice), default="float32", help="products when scoring")
    study.add_argument("--keep", type=Path, help="folder for the networks; those that lie there are not made again")
    study.add_argument("--fresh", action="store_true", help="begin the study anew")
    study.add_argument("--machine", help="also time the networks that were kept; one phrase that names this machine")
    study.add_argument("--side", type=int, default=512, help="side of the photo that is timed")
    study.add_argument("--rounds", type=int, default=5)
    _add_means(study)
    study.set_defaults(run=_workshop, command="run_study")

    device = commands.add_parser("bench-device", help="time a Core ML package on this Mac and add it to its record")
    device.add_argument("id", help="a model id, as listed")
    device.add_argument("--units", choices=("all", "cpuAndGPU", "cpuAndNeuralEngine", "cpuOnly"), default="all")
    device.add_argument("--runs", type=int, default=50, help="tiles that are timed")
    device.set_defaults(run=_workshop, command="run_bench_device")


def _add_proving(commands: Commands) -> None:
    verify = commands.add_parser("verify", help="run the gates again on packages that are listed")
    verify.add_argument("id", nargs="?", help="a model id; by default all")
    verify.add_argument("--photos", type=Path, default=EXAMPLES, help="photos whose squares are run")
    verify.set_defaults(run=_workshop, command="run_verify")

    card = commands.add_parser("card", help="print a model's card")
    card.add_argument("id", help="a model id, as listed")
    card.set_defaults(run=_card)


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("family", help="a recipe, such as swinir-light")
    parser.add_argument("--photos", type=Path, required=True, help="folder of training photos")
    parser.add_argument("--validation", type=Path, required=True, help="benchmark folder that decides what is kept")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; an unfinished run goes on")
    parser.add_argument("--trained", required=True, help="name of the training run, such as photos39")
    parser.add_argument("--start", type=Path, help="weights to begin from: of this network, or of a shallower one")
    parser.add_argument("--start-family", help="recipe of the weights to begin from, when it is another one")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--final-rate", type=float, default=0.0)
    parser.add_argument("--warmup", type=int, default=200)
    parser.add_argument("--ema", type=float, default=0.999)
    parser.add_argument("--charbonnier", type=float, default=1e-3, help="epsilon of the loss; 0 is plain L1")
    parser.add_argument("--optimizer", choices=("adam", "muon"), default="adam")
    parser.add_argument("--cell", type=int, help="side of a square when the files are contact strips")
    parser.add_argument("--candidates", type=int, default=1, help="crops drawn for each taken, the most detailed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=500, help="steps between validations and checkpoints")
    parser.add_argument("--threads", type=int)
    parser.set_defaults(run=_workshop, command="run_train")


def _list(options: argparse.Namespace) -> None:
    if options.schema:
        print(json.dumps(json_schema(), indent=1, ensure_ascii=False))
        return
    releases = load_manifest(options.home / "manifest.json").releases
    if options.json:
        print(json.dumps([release_json(release) for release in releases], indent=2, ensure_ascii=False))
    else:
        print(markdown_table(releases) if options.markdown else release_table(releases))


def _card(options: argparse.Namespace) -> None:
    print(model_card(load_manifest(options.home / "manifest.json").release(options.id)))


def _workshop(options: argparse.Namespace) -> None:
    from zoo.workshop import commands  # noqa: PLC0415  listing needs no torch, and the demo no workshop

    getattr(commands, options.command)(options)


if __name__ == "__main__":
    sys.exit(main())
