"""The command line: upscale files and folders.

    python -m sr_core upscale PHOTO... -o OUT

A photo that fails does not stop the others. A result that exists already is left alone, so a run that was broken off
goes on where it stopped; results are complete or not there. Exit status: 0 all done, 1 some failed, 2 wrong usage.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from tqdm import tqdm

from sr_core.errors import OptionError, OutputError, SRError, UnknownModelError
from sr_core.image.decode import Limits, decode, read_header
from sr_core.image.encode import check_output, encode, extension_of
from sr_core.image.picture import PhotoFormat
from sr_core.infer.engine import ComputeChoice
from sr_core.infer.model import LoadedModel, open_model
from sr_core.infer.tiles import Tiling, plan_tiles
from sr_core.infer.upscale import TileProgress, run_to_end, upscale

__all__ = ["Outcome", "ResolveModel", "State", "main"]

ResolveModel: TypeAlias = Callable[[str | None, ComputeChoice], LoadedModel]
"""From a model id (None for the default model) and a number format to a model."""

State: TypeAlias = Literal["done", "skipped", "failed"]

_FORMATS: Mapping[str, PhotoFormat] = MappingProxyType(
    {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp", ".heic": "heic", ".heif": "heic"}
)
_MEGAPIXEL: Final = 1_000_000
_RESULT_MARK: Final = re.compile(r"_x\d+$")


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
    """What holds for all photos of a run; ``out`` is a folder, or the result of the only photo."""

    model: LoadedModel
    tiling: Tiling
    limits: Limits
    out: Path
    out_is_file: bool
    photo_format: PhotoFormat | None
    overwrite: bool


def main(arguments: Sequence[str] | None, resolve_model: ResolveModel) -> int:
    """Runs one command and returns its exit status.

    Args:
        arguments: The words after the program's name, or None for those of this process.
        resolve_model: How a model id becomes a model.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    photos = list(_photos(options.photos, options.out, recursive=options.recursive))
    try:
        job = _job(options, photos, resolve_model)
    except (OptionError, UnknownModelError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except SRError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    outcomes: list[Outcome] = []
    try:
        for photo, inner in photos:
            outcomes.append(_attempt(photo, inner, job, {outcome.result for outcome in outcomes}))
            if not options.json:
                tqdm.write(outcomes[-1].line(), file=sys.stdout)
    except KeyboardInterrupt:
        _summarize(outcomes, as_json=options.json)
        return 130
    _summarize(outcomes, as_json=options.json)
    return int(any(outcome.state == "failed" for outcome in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sr_core", description="Sharper, bigger photos.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("upscale", help="upscale photos, or all photos of folders")
    add = command.add_argument
    add("photos", nargs="+", type=Path, metavar="IN", help="photos (JPEG, PNG, WebP, HEIC) or folders of photos")
    add("-o", "--out", required=True, type=Path, help="a folder, or for a single photo a file with its extension")
    add("--model", metavar="ID", help="a model id, or a .safetensors file; by default the first of the zoo")
    add("--tile", type=int, help="longest side of a tile in pixels; by default the model's")
    add("--overlap", type=int, help="least overlap of tiles in pixels; by default the model's")
    add("--batch", type=int, help="tiles at a time; by default the model's")
    add("--precision", choices=get_args(ComputeChoice), default="auto", help="number format of the products")
    add("--format", choices=get_args(PhotoFormat), help="family of the results; by default that of each photo")
    add("--max-megapixels", type=float, default=50.0, help="larger photos are refused; default: %(default)g")
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
    return file.suffix.lower() in _FORMATS and file.is_file() and not is_hidden


def _job(options: argparse.Namespace, photos: Sequence[tuple[Path, Path]], resolve_model: ResolveModel) -> _Job:
    """Returns what holds for all photos.

    Raises:
        OptionError: Options contradict each other or are outside their range.
        ModelError: The model cannot be used.
    """
    if not photos:
        raise OptionError("There are no photos in what was given (JPEG, PNG, WebP or HEIC).")
    out_format = None if options.out.is_dir() else _FORMATS.get(options.out.suffix.lower())
    if out_format and (len(options.photos) > 1 or options.photos[0].is_dir()):
        raise OptionError(f"{options.out} is a file, but several photos or a folder were given; please name a folder.")
    if out_format and options.format and out_format != options.format:
        raise OptionError(f"{options.out} is not the name of a {options.format} file.")
    if not options.max_megapixels > 0:
        raise OptionError(f"The largest number of megapixels must be positive, not {options.max_megapixels:g}.")
    model = _model(options.model, options.precision, resolve_model)
    asked = {name: getattr(options, name) for name in ("tile", "overlap", "batch")}
    tiling = replace(model.tiling, **{name: value for name, value in asked.items() if value is not None})
    plan_tiles(1, 1, model.engine.multiple, tiling)  # refuses now what no photo could use
    return _Job(
        model=model,
        tiling=tiling,
        limits=Limits(max_pixels=int(options.max_megapixels * _MEGAPIXEL)),
        out=options.out,
        out_is_file=out_format is not None,
        photo_format=options.format or out_format,
        overwrite=options.overwrite,
    )


def _model(name: str | None, compute: ComputeChoice, resolve_model: ResolveModel) -> LoadedModel:
    if name is not None and name.endswith(".safetensors"):
        return open_model(Path(name), compute)
    return resolve_model(name, compute)


def _attempt(photo: Path, inner: Path, job: _Job, taken: set[Path | None]) -> Outcome:
    """Returns what became of a photo; a mistake in it or in its file is an outcome, not an error."""
    try:
        return _upscale_file(photo, inner, job, taken)
    except SRError as error:
        return Outcome(photo=photo, state="failed", result=None, message=str(error))
    except OSError as error:
        return Outcome(photo=photo, state="failed", result=None, message=f"{error.strerror or error}.")


def _upscale_file(photo: Path, inner: Path, job: _Job, taken: set[Path | None]) -> Outcome:
    """Upscales one photo into its result file.

    Raises:
        SRError: The photo cannot be used, or the result cannot be written.
        OSError: A file cannot be read or written.
    """
    started = perf_counter()
    engine = job.model.engine
    header = read_header(photo, job.limits)
    photo_format = job.photo_format or header.format
    target = job.out if job.out_is_file else job.out / inner / _result_name(photo, engine.scale, photo_format)
    if target in taken:
        raise OutputError(f"{target} is already the result of another photo; please use another folder or format.")
    if target.resolve() == photo.resolve():
        raise OutputError("The result would replace the photo itself; please choose another name.")
    if target.exists() and not job.overwrite:
        return Outcome(photo=photo, state="skipped", result=target, message="it exists already")
    height, width = header.height * engine.scale, header.width * engine.scale
    check_output(photo_format, height, width, has_alpha=header.has_alpha)
    target.parent.mkdir(parents=True, exist_ok=True)
    picture = decode(photo, job.limits)
    with tqdm(desc=photo.name, unit="tile", leave=False, disable=None) as bar:

        def show(progress: TileProgress) -> None:
            bar.total = progress.total
            bar.update(progress.done - bar.n)

        larger = run_to_end(upscale(picture, engine, job.tiling), show)
    written = encode(larger, target, photo_format=photo_format)
    seconds, notices = perf_counter() - started, larger.notices + written.notices
    return Outcome(photo=photo, state="done", result=target, seconds=seconds, notices=notices)


def _result_name(photo: Path, scale: int, photo_format: PhotoFormat) -> str:
    return f"{photo.stem}_x{scale}{extension_of(photo_format)}"


def _summarize(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """Writes how many photos were done, skipped and failed, or all outcomes as JSON."""
    if as_json:
        sys.stdout.write(json.dumps([asdict(outcome) for outcome in outcomes], indent=2, default=str) + "\n")
        return
    counts = Counter(outcome.state for outcome in outcomes)
    sys.stdout.write(", ".join(f"{counts[state]} {state}" for state in get_args(State)) + "\n")
