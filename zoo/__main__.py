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
    parser.add_argument(
        "--home", type=Path, default=HOME, help="folder of manifest.json and builtin/; %(default)s by default"
    )
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
    release.add_argument("--scale", type=int, default=2, help="output pixels per input pixel; %(default)s by default")
    release.add_argument("--trained", required=True, help="name of the training run, such as photos39")
    release.add_argument(
        "--precision",
        choices=("float32", "float16"),
        default="float16",
        help="how the weights are stored; %(default)s by default",
    )
    release.add_argument("--parent", help="id of the release that it was grown from; by default it was from none")
    release.add_argument(
        "--earlier-steps",
        type=int,
        default=0,
        help="steps of the runs that this one went on from; %(default)s by default",
    )
    release.add_argument("--selected-on", required=True, help="data set whose score chose the weights")
    release.add_argument("--recipe", required=True, help="the options of the run, in one phrase")
    release.add_argument("--training-data", required=True, help="one phrase that names the data and its source")
    release.set_defaults(run=_workshop, command="run_release")

    importing = commands.add_parser("import", help="make a release of a published SwinIR checkpoint")
    importing.add_argument("source", help="a checkpoint file, or official:NAME to fetch a published one")
    importing.add_argument(
        "--as", dest="network", help="name of the published network that a file holds; by default the file tells"
    )
    importing.add_argument(
        "--downloads",
        type=Path,
        default=Path("downloads"),
        help="folder for fetched checkpoints; %(default)s by default",
    )
    importing.add_argument(
        "--trained", default="official", help="name of the training run in the id; %(default)s by default"
    )
    importing.set_defaults(run=_workshop, command="run_import")

    build = commands.add_parser("build", help="make every variant of a family, with packages, proofs and records")
    build.add_argument("--family", help="a family, such as swinir-light; by default all")
    build.add_argument(
        "--photos",
        type=Path,
        default=EXAMPLES,
        help="photos that prove packages and show seams; %(default)s by default",
    )
    build.add_argument(
        "--data", type=Path, nargs="*", default=[], help="benchmark folders to score on; by default nothing is scored"
    )
    build.add_argument("--heads", type=int, nargs="*", help="numbers of heads to remove; by default the family's plan")
    build.add_argument(
        "--tile", type=int, choices=(64, 128), default=64, help="tile of the packages; %(default)s by default"
    )
    build.add_argument(
        "--fresh",
        action="store_true",
        help="make again what is there, and measure and teach again what waits in --runs",
    )
    _add_means(build)
    build.set_defaults(run=_workshop, command="run_build")

    export = commands.add_parser("export", help="make and prove one Core ML package in another arithmetic or tile")
    export.add_argument("id", help="a model id, as listed")
    export.add_argument("--out", type=Path, required=True, help="folder for the package")
    export.add_argument(
        "--compute",
        choices=get_args(CoreMLCompute),
        default="float16",
        help="number format of its arithmetic; %(default)s by default",
    )
    export.add_argument(
        "--tile", type=int, choices=(64, 128), default=64, help="side of its tile in pixels; %(default)s by default"
    )
    export.add_argument("--photos", type=Path, default=EXAMPLES, help="photos that prove it; %(default)s by default")
    export.set_defaults(run=_workshop, command="run_export")

    publish = commands.add_parser("publish", help="put a family on the Hugging Face Hub in one commit")
    publish.add_argument("--family", required=True, help="a family, such as swinir-light")
    publish.add_argument("--repo", help="owner/name on the Hub; by default ZOO_REPO")
    publish.add_argument(
        "--base-model", help="owner/name of the family that this one was grown from, for the card; none by default"
    )
    publish.add_argument("--private", action="store_true", help="make the repository private when it is created")
    publish.add_argument("--dry-run", action="store_true", help="show the plan and send nothing")
    publish.set_defaults(run=_workshop, command="run_publish")


def _add_means(parser: argparse.ArgumentParser) -> None:
    """Adds what selective pruning, mixed-bit storage and distillation are done with."""
    parser.add_argument(
        "--calibration",
        type=Path,
        help="photos, none of which are scored, on which it is measured what a weight is worth; by default --photos",
    )
    parser.add_argument(
        "--calibration-tiles", type=int, help="tiles of 64 pixels that are cut from --calibration; 32 by default"
    )
    parser.add_argument(
        "--calibration-words",
        default="",
        help="one phrase that names these photos and their source; by default their number and their folder",
    )
    parser.add_argument(
        "--cell",
        type=int,
        help="side of a square when the photos of --calibration and --finetune are contact strips; by default they are "
        "plain photos",
    )
    parser.add_argument("--finetune", action="store_true", help="let the whole network teach what is planned so")
    parser.add_argument(
        "--finetune-photos",
        type=Path,
        help="unlabeled photos for that, none of which should be scored; they must be named",
    )
    parser.add_argument(
        "--finetune-words",
        default="",
        help="one phrase that names these photos and their source; by default their folder",
    )
    parser.add_argument("--finetune-steps", type=int, help="length of the run; 4000 by default")
    parser.add_argument("--finetune-batch", type=int, help="crops in a step; 8 by default")
    parser.add_argument("--finetune-patch", type=int, help="side of a crop in low-resolution pixels; 48 by default")
    parser.add_argument(
        "--finetune-rate", type=float, help="learning rate at the top of the schedule; 0.001 by default"
    )
    parser.add_argument(
        "--finetune-optimizer", choices=("adam", "muon"), help="for the matrices; muon by default, Adam for the rest"
    )
    parser.add_argument("--finetune-pool", type=int, help="different batches; by default no batch comes twice")
    parser.add_argument("--finetune-seed", type=int, help="of the crops; 0 by default")
    parser.add_argument(
        "--runs",
        type=Path,
        help="folder in which unfinished distillations and what was measured wait; by default nothing waits",
    )
    parser.add_argument("--threads", type=int, help="processor threads of --finetune; by default torch's own choice")


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
    seams.add_argument(
        "--limit", type=int, default=None, help="take only the first photos of the folder; by default all"
    )
    seams.set_defaults(run=_workshop, command="run_seams")

    speed = commands.add_parser("speed", help="time models on this machine, in one interleaved run")
    speed.add_argument("ids", nargs="*", help="model ids, as listed, by default all; ratios are to the first")
    speed.add_argument("--machine", required=True, help="one phrase that names this machine")
    speed.add_argument("--side", type=int, default=512, help="side of the photo that is timed; %(default)s by default")
    speed.add_argument("--rounds", type=int, default=5, help="rounds that count; %(default)s by default")
    speed.add_argument("--dry-run", action="store_true", help="do not write the times into the manifest")
    speed.set_defaults(run=_workshop, command="run_speed")

    study = commands.add_parser("study", help="measure what each technique makes of a whole network, at each amount")
    study.add_argument("--family", required=True, help="a family, such as swinir-light")
    study.add_argument("--data", type=Path, nargs="+", required=True, help="benchmark folders to score on")
    study.add_argument(
        "--photos",
        type=Path,
        default=EXAMPLES,
        help="photos to calibrate on where none are named, and to prove packages on; %(default)s by default",
    )
    study.add_argument(
        "--shares",
        type=float,
        nargs="+",
        default=[5, 10, 15, 20, 25, 30],
        help="percent that are to go; 5 10 15 20 25 30 by default",
    )
    study.add_argument(
        "--measure",
        choices=("parameters", "macs", "milliseconds"),
        default="parameters",
        help="what they are percent of; %(default)s by default",
    )
    study.add_argument(
        "--techniques",
        nargs="+",
        choices=get_args(Technique),
        default=["whole", "heads-l1", "magnitude-l1", "selective", "selective-repair"],
        help="whole heads-l1 magnitude-l1 selective selective-repair by default",
    )
    study.add_argument(
        "--megabytes",
        type=float,
        nargs="+",
        default=[],
        help="sizes of packages, for techniques with mixed-bit; none by default",
    )
    study.add_argument("--packages", action="store_true", help="also make and prove Core ML packages, on --photos")
    study.add_argument(
        "--compute",
        choices=get_args(ComputeChoice),
        default="float32",
        help="products when scoring; %(default)s by default",
    )
    study.add_argument(
        "--keep",
        type=Path,
        help="folder for the networks, where those that lie there are not made again; none by default",
    )
    study.add_argument("--fresh", action="store_true", help="begin the study anew")
    study.add_argument(
        "--machine",
        help="also time the networks that were kept; one phrase that names this machine, by default nothing is timed",
    )
    study.add_argument("--side", type=int, default=512, help="side of the photo that is timed; %(default)s by default")
    study.add_argument("--rounds", type=int, default=5, help="rounds that count; %(default)s by default")
    _add_means(study)
    study.set_defaults(run=_workshop, command="run_study")

    device = commands.add_parser("bench-device", help="time a Core ML package on this Mac and add it to its record")
    device.add_argument("id", help="a model id, as listed")
    device.add_argument(
        "--units",
        choices=("all", "cpuAndGPU", "cpuAndNeuralEngine", "cpuOnly"),
        default="all",
        help="where it may run; %(default)s by default",
    )
    device.add_argument("--runs", type=int, default=50, help="tiles that are timed; %(default)s by default")
    device.set_defaults(run=_workshop, command="run_bench_device")


def _add_proving(commands: Commands) -> None:
    verify = commands.add_parser("verify", help="run the gates again on packages that are listed")
    verify.add_argument("id", nargs="?", help="a model id; by default all")
    verify.add_argument(
        "--photos", type=Path, default=EXAMPLES, help="photos whose squares are run; %(default)s by default"
    )
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
    parser.add_argument(
        "--start", type=Path, help="weights to begin from: of this network, or of a shallower one; random by default"
    )
    parser.add_argument("--start-family", help="recipe of the weights to begin from; by default the same one")
    parser.add_argument("--scale", type=int, default=2, help="output pixels per input pixel; %(default)s by default")
    parser.add_argument("--steps", type=int, required=True, help="length of the run")
    parser.add_argument("--batch", type=int, default=16, help="crops in a step; %(default)s by default")
    parser.add_argument(
        "--patch", type=int, default=64, help="side of a crop in low-resolution pixels; %(default)s by default"
    )
    parser.add_argument(
        "--learning-rate", type=float, default=5e-4, help="at the top of the schedule; %(default)s by default"
    )
    parser.add_argument(
        "--final-rate",
        type=float,
        default=0.0,
        help="learning rate at the end, as a part of that; %(default)s by default",
    )
    parser.add_argument(
        "--warmup", type=int, default=200, help="steps over which the learning rate rises; %(default)s by default"
    )
    parser.add_argument(
        "--ema", type=float, default=0.999, help="decay of the averaged weights; %(default)s by default"
    )
    parser.add_argument(
        "--charbonnier", type=float, default=1e-3, help="epsilon of the loss, 0 is plain L1; %(default)s by default"
    )
    parser.add_argument(
        "--optimizer", choices=("adam", "muon"), default="adam", help="of the matrices; %(default)s by default"
    )
    parser.add_argument(
        "--cell", type=int, help="side of a square when the files are contact strips; by default they are plain photos"
    )
    parser.add_argument(
        "--candidates",
        type=int,
        default=1,
        help="crops drawn for each taken, the most detailed; %(default)s by default",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the crops; %(default)s by default")
    parser.add_argument(
        "--every", type=int, default=500, help="steps between validations and checkpoints; %(default)s by default"
    )
    parser.add_argument("--threads", type=int, help="processor threads; by default torch's own choice")
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
