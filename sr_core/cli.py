"""The command line: upscale files and folders.

    python -m sr_core upscale PHOTO... -o OUT

A photo that fails does not stop the others. A result that exists already is left alone, so a run that was broken off
goes on where it stopped; results are complete or not there. Photos whose results would have the same name all fail,
whatever is there already. Exit status: 0 all done, 1 some failed, 2 wrong usage.
"""

import argparse
import json
import math
import os
import re
import signal
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

import torch
from tqdm import tqdm

from sr_core.errors import OptionError, OutputError, SRError, UnknownModelError
from sr_core.image.encode import check_output, extension_of, losses
from sr_core.image.extensions import EXTENSIONS, PHOTO_EXTENSIONS
from sr_core.image.header import Limits
from sr_core.image.picture import PhotoFormat, Picture
from sr_core.image.sandbox import Confines, Sandbox
from sr_core.image.sniff import READ_NAMES
from sr_core.infer.engine import ComputeChoice
from sr_core.infer.estimate import Speed, calibrate
from sr_core.infer.model import LoadedModel, open_model
from sr_core.infer.tiles import Tiling, plan_tiles
from sr_core.infer.upscale import TileProgress, run_to_end, upscale

__all__ = ["Outcome", "ResolveModel", "State", "main"]

ResolveModel: TypeAlias = Callable[[str | None, ComputeChoice], LoadedModel]
"""From a model id (None for the default model) and a number format to a model."""

State: TypeAlias = Literal["done", "skipped", "failed"]

_RESULT_EXTENSIONS: Mapping[str, PhotoFormat] = MappingProxyType(
    {name: family for family, names in EXTENSIONS.items() for name in (names[:1] if family == "dng" else names)}
)
_MEGAPIXEL: Final = 1_000_000
_MOST_FILE_BYTES: Final = 2 << 30
# Whoever starts the command line owns the machine: the limits only keep a damaged file from taking all of it.
_CONFINES: Final = Confines(memory_bytes=8 << 30, read_seconds=600.0, write_seconds=3600.0)
_RESULT_MARK: Final = re.compile(r"_x\d+$")
_BAR: Final = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} tiles{postfix}"
_TORCH_OUT_OF_MEMORY: Final = ("not enough memory", "can't allocate memory")  # of the CPU, torch 2.x: a RuntimeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one photo.

    Attributes:
        photo: The photo.
        state: Whether there is a new result, was one already, or is none.
        result: The result, or None when there is none.
        message: Why it was skipped or failed.
        seconds: Time it took.
        notices: Sentences about what the photo held and the result does not.
    """

    photo: Path
    state: State
    result: Path | None
    message: str = ""
    seconds: float = 0.0
    notices: tuple[str, ...] = ()

    def line(self) -> str:
        """Returns the outcome as text."""
        text = f"{self.state:7}  {self.photo}"
        if self.result is not None:
            text += f" -> {self.result}"
        if self.message:
            text += f": {self.message}"
        if self.state == "done":
            text += f" ({self.seconds:.1f} s)"
        return "\n".join((text, *(f"         {notice}" for notice in self.notices)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What holds for all photos of a run.

    Attributes:
        model: The model.
        tiling: How photos are cut up.
        limits: Limits that photos are held to.
        out: A folder, or the result of the only photo.
        out_is_file: Which of these it is.
        photo_format: Family of the results, or None for that of each photo.
        overwrite: Whether results that exist are replaced.
        remove_location: Whether results must not tell where the photos were taken.
        sandbox: What reads and writes the photos.
        speed: Measures the model's speed at the first call, and tells it again at later ones.
    """

    model: LoadedModel
    tiling: Tiling
    limits: Limits
    out: Path
    out_is_file: bool
    photo_format: PhotoFormat | None
    overwrite: bool
    remove_location: bool
    sandbox: Sandbox
    speed: Callable[[], Speed]


def main(arguments: Sequence[str] | None, resolve_model: ResolveModel) -> int:
    """Runs one command and returns its exit status.

    Args:
        arguments: The words after the program's name, or None for those of this process.
        resolve_model: How a model id becomes a model.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended as by Ctrl-C: what is half done goes
    photos = list(dict.fromkeys(_photos(options.photos, options.out, recursive=options.recursive)))
    with Sandbox(_CONFINES) as sandbox:
        return _run(options, photos, resolve_model, sandbox)


def _run(
    options: argparse.Namespace, photos: Sequence[tuple[Path, Path]], resolve_model: ResolveModel, sandbox: Sandbox
) -> int:
    """Upscales all photos and returns the exit status."""
    try:
        _set_threads(options.threads)
        job = _job(options, photos, resolve_model, sandbox)
        sandbox.warm()
    except (OptionError, UnknownModelError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except SRError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    outcomes: list[Outcome] = []
    try:
        contested = _contested(photos, job) if len(photos) > 1 else frozenset[Path]()
        for photo, inner in photos:
            outcomes.append(_attempt(photo, inner, job, contested))
            if not options.json:
                tqdm.write(outcomes[-1].line(), file=sys.stdout)
    except KeyboardInterrupt:
        return 130
    finally:  # after a bug, too: what was done is done
        _summarize(outcomes, as_json=options.json)
    return int(any(outcome.state == "failed" for outcome in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sr_core", description="Sharper, bigger photos.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("upscale", help="upscale photos, or all photos of folders")
    add = command.add_argument
    add("photos", nargs="+", type=Path, metavar="IN", help=f"photos ({READ_NAMES}) or folders of photos")
    add("-o", "--out", required=True, type=Path, help="a folder, or for a single photo a file with its extension")
    add("--model", metavar="ID", help="a model id, or a .safetensors file; by default that of the zoo")
    add("--tile", type=int, help="longest side of a tile in pixels; by default the model's")
    add("--overlap", type=int, help="least overlap of tiles in pixels; by default the model's")
    add("--batch", type=int, help="tiles at a time; by default the model's")
    add("--precision", choices=get_args(ComputeChoice), default="auto", help="number format of the products")
    add("--format", choices=get_args(PhotoFormat), help="family of the results; by default that of each photo")
    add("--remove-location", action="store_true", help="write nothing into the results of where they were taken")
    add("--max-megapixels", type=float, default=50.0, help="larger photos are refused; default: %(default)g")
    add("--threads", type=int, help="threads of the network; by default torch's choice, at most the free processors")
    add("--recursive", action="store_true", help="take the folders inside folders, too")
    add("--overwrite", action="store_true", help="replace results that exist already")
    add("--json", action="store_true", help="print the outcomes as JSON at the end, nothing else")
    return parser


def _photos(inputs: Sequence[Path], out: Path, *, recursive: bool) -> Iterator[tuple[Path, Path]]:
    """Yields each photo with the folder, relative to the output folder, that its result goes to.

    In a folder, files with the extension of a photo are taken, in order of their names. Hidden ones are not, and
    neither are results of an earlier run: what lies in the output folder when that is inside, and ``a_x2`` beside ``a``
    when it is the folder itself.
    """
    for path in inputs:
        if not path.is_dir():
            yield path, Path()
            continue
        found = [file for file in sorted(path.rglob("*") if recursive else path.iterdir()) if _is_photo(file, path)]
        stems = {file.with_suffix("") for file in found} if out.resolve() == path.resolve() else set[Path]()
        for photo in found:
            bare = _RESULT_MARK.sub("", photo.stem)
            is_beside = bare != photo.stem and photo.with_name(bare) in stems
            is_below = out.resolve() != path.resolve() and out.resolve() in photo.resolve().parents
            if not is_beside and not is_below:
                yield photo, photo.parent.relative_to(path)


def _is_photo(file: Path, folder: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.suffix.lower() in PHOTO_EXTENSIONS and file.is_file() and not is_hidden


def _job(
    options: argparse.Namespace, photos: Sequence[tuple[Path, Path]], resolve_model: ResolveModel, sandbox: Sandbox
) -> _Job:
    """Returns what holds for all photos.

    Raises:
        OptionError: Options contradict each other or are outside their range.
        ModelError: The model cannot be used.
    """
    if not photos:
        raise OptionError(f"There are no photos in what was given ({READ_NAMES}).")
    out_format = _out_format(options.out)
    if out_format and (len(options.photos) > 1 or options.photos[0].is_dir()):
        raise OptionError(f"{options.out} is a file, but several photos or a folder were given; please name a folder.")
    if out_format and options.format and out_format != options.format:
        raise OptionError(f"{options.out} is not the name of a {options.format} file.")
    max_pixels = options.max_megapixels * _MEGAPIXEL
    if not 0 < max_pixels < math.inf:
        raise OptionError(
            f"The largest number of megapixels must be positive and finite, not {options.max_megapixels:g}."
        )
    model = _model(options.model, options.precision, resolve_model)
    asked = {name: getattr(options, name) for name in ("tile", "overlap", "batch")}
    tiling = replace(model.tiling, **{name: value for name, value in asked.items() if value is not None})
    plan_tiles(1, 1, model.engine.multiple, tiling)  # refuses now what no photo could use
    return _Job(
        model=model,
        tiling=tiling,
        limits=Limits(max_pixels=int(max_pixels), max_file_bytes=_MOST_FILE_BYTES),
        out=options.out,
        out_is_file=out_format is not None,
        photo_format=options.format or out_format,
        overwrite=options.overwrite,
        remove_location=options.remove_location,
        sandbox=sandbox,
        speed=cache(partial(calibrate, model.engine, tiling)),
    )


def _out_format(out: Path) -> PhotoFormat | None:
    """Returns the family of a result file, or None where the output is a folder.

    Raises:
        OptionError: It is neither: there is a file without the extension of a photo, or nothing and another extension.
    """
    if out.is_dir():
        return None
    out_format = _RESULT_EXTENSIONS.get(out.suffix.lower())
    if out_format is None and (out.suffix or out.exists()):
        names = ", ".join(_RESULT_EXTENSIONS)
        raise OptionError(f"{out} is neither a folder nor the name of a result, which can end in {names}.")
    return out_format


def _set_threads(asked: int | None) -> None:
    """Sets how many threads torch uses: as asked, or its own choice where the process may use as many processors.

    Raises:
        OptionError: Fewer than one was asked for.
    """
    if asked is not None and asked < 1:
        raise OptionError(f"The number of threads must be at least 1, not {asked}.")
    torch.set_num_threads(asked or min(torch.get_num_threads(), _processors()))


def _processors() -> int:
    """Returns how many processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _model(name: str | None, compute: ComputeChoice, resolve_model: ResolveModel) -> LoadedModel:
    if name is not None and name.endswith(".safetensors"):
        return open_model(Path(name), compute)
    return resolve_model(name, compute)


def _contested(photos: Sequence[tuple[Path, Path]], job: _Job) -> frozenset[Path]:
    """Returns the results that several photos would have, known before any work and whatever exists already.

    Of each photo only the header is read, and nothing when the family of the results is given.
    """
    sources: dict[Path, set[Path]] = defaultdict(set)
    for photo, inner in photos:
        photo_format = job.photo_format or _family_of(photo, job)
        if photo_format is not None:
            sources[_target(photo, inner, job, photo_format)].add(photo.resolve())
    return frozenset(target for target, rivals in sources.items() if len(rivals) > 1)


def _family_of(photo: Path, job: _Job) -> PhotoFormat | None:
    """Returns the family of a photo, or None where it cannot be read; why is told when its turn comes."""
    try:
        return job.sandbox.read_header(photo, job.limits).format
    except (OSError, SRError):
        return None


def _target(photo: Path, inner: Path, job: _Job, photo_format: PhotoFormat) -> Path:
    """Returns where the result of a photo goes."""
    name = f"{photo.stem}_x{job.model.engine.scale}{extension_of(photo_format)}"
    return job.out if job.out_is_file else job.out / inner / name


def _attempt(photo: Path, inner: Path, job: _Job, contested: frozenset[Path]) -> Outcome:
    """Returns what became of a photo; a mistake in it or in its file and too little memory are outcomes, not errors."""
    try:
        return _upscale_file(photo, inner, job, contested)
    except SRError as error:
        message = str(error)
    except OSError as error:
        message = f"{error.strerror or error}."
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in _TORCH_OUT_OF_MEMORY):
            raise
        message = (
            "There was not enough memory for this photo; "
            "please close other programs, or use a smaller --tile or --batch."
        )
    return Outcome(photo=photo, state="failed", result=None, message=message)


def _upscale_file(photo: Path, inner: Path, job: _Job, contested: frozenset[Path]) -> Outcome:
    """Upscales one photo into its result file.

    Raises:
        SRError: The photo cannot be used, or the result cannot be written.
        OSError: A file cannot be read or written.
    """
    engine = job.model.engine
    header = job.sandbox.read_header(photo, job.limits)
    photo_format = job.photo_format or header.format
    target = _target(photo, inner, job, photo_format)
    if target in contested:
        raise OutputError(f"{target} would be the result of another photo, too; please use another folder or format.")
    if target.resolve() == photo.resolve():
        raise OutputError("The result would replace the photo itself; please choose another name.")
    if target.exists() and not job.overwrite:
        return Outcome(photo=photo, state="skipped", result=target, message="it exists already")
    height, width = header.height * engine.scale, header.width * engine.scale
    check_output(photo_format, height, width, source_format=header.format, has_alpha=header.has_alpha)
    target.parent.mkdir(parents=True, exist_ok=True)
    for sentence in losses(header, photo_format, remove_location=job.remove_location):
        tqdm.write(f"{photo}: {sentence}", file=sys.stderr)
    started = perf_counter()
    larger = _larger(photo, job)
    written = job.sandbox.encode(larger, target, photo_format=photo_format, remove_location=job.remove_location)
    seconds, notices = perf_counter() - started, larger.notices + written.notices
    return Outcome(photo=photo, state="done", result=target, seconds=seconds, notices=notices)


def _larger(photo: Path, job: _Job) -> Picture:
    """Returns a photo upscaled, and shows how far it is."""
    speed = job.speed() if sys.stderr.isatty() else None  # only who watches is told how long it will take
    picture = job.sandbox.decode(photo, job.limits)
    with tqdm(desc=photo.name, bar_format=_BAR, miniters=1, leave=False, disable=None) as bar:

        def show(progress: TileProgress) -> None:
            bar.total = progress.total
            bar.set_postfix_str(_time_left(progress), refresh=progress.done == 0)
            bar.update(progress.done - bar.n)

        return run_to_end(upscale(picture, job.model.engine, job.tiling, speed=speed), show)


def _time_left(progress: TileProgress) -> str:
    """Returns the guess of the time left as text, empty where there is none; rounded, as it is a guess."""
    seconds = progress.seconds_left
    if not seconds:
        return ""
    if seconds < 10:
        return f"about {math.ceil(seconds)} s left"
    if seconds < 90:
        return f"about {5 * round(seconds / 5)} s left"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"


def _summarize(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """Writes how many photos were done, skipped and failed, or all outcomes as JSON."""
    if as_json:
        sys.stdout.write(json.dumps([asdict(outcome) for outcome in outcomes], indent=2, default=str) + "\n")
        return
    counts = Counter(outcome.state for outcome in outcomes)
    sys.stdout.write(", ".join(f"{counts[state]} {state}" for state in get_args(State)) + "\n")
