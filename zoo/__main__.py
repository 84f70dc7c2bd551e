"""The command line of the zoo: list what ships; train, release and evaluate (the workshop).

The workshop is imported only by the commands that need it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from sr_core.errors import SRError
from sr_core.spec import Precision
from zoo.card import markdown_table, release_table
from zoo.manifest import HOME, load_manifest


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status: 0 done, 1 refused with a sentence."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except SRError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m zoo", description="The model zoo.")
    parser.add_argument("--home", type=Path, default=HOME, help="folder of manifest.json and builtin/")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="list the models that ship")
    listing.add_argument("--json", action="store_true", help="print the records as JSON")
    listing.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    listing.set_defaults(run=_list)

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

    speed = commands.add_parser("speed", help="time a model on this machine")
    speed.add_argument("id", help="a model id, as listed")
    speed.add_argument("--machine", required=True, help="one phrase that names this machine")
    speed.add_argument("--side", type=int, default=512, help="side of the photo that is timed")
    speed.set_defaults(run=_workshop, command="run_speed")

    release = commands.add_parser("release", help="store trained weights as a release")
    release.add_argument("family", help="a recipe, such as swinir-light")
    release.add_argument("--weights", type=Path, required=True, help="best.safetensors of a training run")
    release.add_argument("--scale", type=int, default=2)
    release.add_argument("--trained", required=True, help="name of the training run, such as photos39")
    release.add_argument("--precision", choices=get_args(Precision), default="float16")
    release.add_argument("--parent", help="id of the release that it was grown from")
    release.add_argument("--selected-on", required=True, help="data set whose score chose the weights")
    release.add_argument("--recipe", required=True, help="the options of the run, in one phrase")
    release.add_argument("--training-data", required=True, help="one phrase that names the data and its source")
    release.set_defaults(run=_workshop, command="run_release")

    _add_training(commands.add_parser("train", help="train a model on a folder of photos"))
    return parser


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
    releases = load_manifest(options.home / "manifest.json").releases
    if options.json:
        print(json.dumps([release.to_json() for release in releases], indent=2))
    else:
        print(markdown_table(releases) if options.markdown else release_table(releases))


def _workshop(options: argparse.Namespace) -> None:
    from zoo.workshop import commands  # noqa: PLC0415  listing needs no torch, and the demo no workshop

    getattr(commands, options.command)(options)


if __name__ == "__main__":
    sys.exit(main())
