"""Distillation: the whole network teaches a pruned one on unlabeled photos.

Low-resolution crops go through both networks, and the loss is between the two pictures that they make. The original of
a photo is never looked at: crops are cut from reduced photos, and where the most detailed ones are chosen, detail is
what a crop itself loses when it is reduced and enlarged again.

A crop is the same whenever it is drawn, by the seed and its number, so that what the teacher made of it can be kept.

Source: the idea is Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015; for enlargement the
loss is between pictures, as in He et al., "FAKD: Feature-affinity based knowledge distillation for efficient image
super-resolution", ICIP 2020, equation 1, with the Charbonnier loss in place of L1.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from sr_core.arch.swinir import SwinIR
from sr_core.compress.blocks import copy_network
from sr_core.errors import OptionError
from sr_core.infer.window_engine import WindowEngine, fast_compute
from zoo.release import FinetuneRecord
from zoo.workshop.descent import (
    Descent,
    Optimizer,
    Schedule,
    charbonnier,
    fast_products,
    has_fast_products,
    read_state,
    write_state,
)
from zoo.workshop.photos import PairBatches, PhotoPair, hash_photos, load_pairs, reduce_photo

__all__ = ["DistillOptions", "distill", "finetune_record"]

CHECKPOINT: Final = "distill.pt"

DETAIL: Final = 2
"""How much smaller a crop is made to see how much detail it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillOptions:
    """How to distill.

    Attributes:
        photos: Folder of unlabeled photos.
        cell: Side of a square in contact strips, or None for plain photos.
        steps: Length of the run; the cosine schedule ends here.
        batch: Crops in a step.
        patch: Side of a low-resolution crop; a multiple of the window saves padding. Must be even.
        learning_rate: At the top of the schedule.
        optimizer: ``adam`` for all weights, or ``muon`` for the matrices and Adam for the rest.
        warmup: Steps over which the learning rate rises from zero.
        final_rate: The learning rate at the end, as a part of ``learning_rate``.
        ema: Decay of the averaged weights, which are the result.
        charbonnier: Epsilon of the loss sqrt(d^2 + eps^2), in units of full intensity; 0 is plain L1.
        pool: Different batches; what the teacher makes of them is kept in memory as float16 when they come again.
            None for never the same batch twice.
        lessons: Folder in which what the teacher makes of each batch is kept instead, for other students and runs too;
            about 7 bytes for a pixel of its pictures. None for none.
        candidates: Crops drawn for each place in a batch, of which the most detailed is taken.
        seed: Of the crops.
        every: Steps between checkpoints and reports.
        threads: Processor threads, or None for torch's own choice.
        words: What the photos are and where they are from; by default the folder's name.
    """

    photos: Path
    cell: int | None = None
    steps: int = 4000
    batch: int = 8
    patch: int = 48
    learning_rate: float = 1e-3
    optimizer: Optimizer = "muon"
    warmup: int = 100
    final_rate: float = 0.0
    ema: float = 0.998
    charbonnier: float = 1e-3
    pool: int | None = None
    lessons: Path | None = None
    candidates: int = 4
    seed: int = 0
    every: int = 250
    threads: int | None = None
    words: str = ""

    def __post_init__(self) -> None:
        """Refuses a run that cannot be made, in one sentence."""
        if min(self.steps, self.batch, self.every, self.candidates) < 1 or (self.pool is not None and self.pool < 1):
            raise OptionError("A distillation needs at least one step, one crop in a batch and one batch.")
        if self.patch < DETAIL or self.patch % DETAIL:
            raise OptionError(f"The side of a crop must be an even number of pixels, not {self.patch}.")

    @property
    def photos_words(self) -> str:
        """What the photos are, in words."""
        return self.words or f"photos in {self.photos.name}"

    @property
    def recipe(self) -> str:
        """The options that shape the result beside steps, photos and seed, in one phrase."""
        crops = f"{self.batch} crops of {self.patch} × {self.patch} a step, the most detailed of {self.candidates}"
        pool = "" if self.pool is None else f", {self.pool} different steps"
        rate = f"{self.optimizer} up to {self.learning_rate:g} with {self.warmup} steps of warm-up and a cosine"
        end = f" to {self.final_rate:g} of that" if self.final_rate else ""
        return (
            f"{crops}{pool}; {rate}{end}; weights averaged with {self.ema:g}; Charbonnier loss of {self.charbonnier:g}"
        )


def distill(
    teacher: SwinIR,
    student: SwinIR,
    options: DistillOptions,
    out: Path | None = None,
    on_event: Callable[[str, dict[str, object]], None] = lambda _event, _record: None,
    *,
    is_fresh: bool = False,
) -> SwinIR:
    """Returns the student's network after it was taught to make the teacher's pictures, on the CPU in float32.

    Args:
        teacher: The whole network; it is not changed.
        student: The network to begin from, of the teacher's scale; it is not changed.
        options: How.
        out: Folder for a checkpoint, from which an interrupted run goes on, and for a log; None for neither.
        on_event: Called with each record: ``start``, then ``loss`` every ``options.every`` steps.
        is_fresh: Whether to begin again and remove the checkpoint that is there. Lessons in ``options.lessons`` stay:
            they are told apart by all that they follow from.

    Raises:
        OptionError: The folder holds no photo as large as a crop, the networks have different scales, or the checkpoint
            is of another run or other photos.
    """
    if teacher.spec.scale != student.spec.scale:
        raise OptionError(f"A network of scale {teacher.spec.scale} cannot teach one of scale {student.spec.scale}.")
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = _device()
    descent = Descent(copy_network(student), _schedule(options), device)
    key = "" if out is None else _key(teacher, student, options)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        if is_fresh:
            (out / CHECKPOINT).unlink(missing_ok=True)
        state = read_state(out / CHECKPOINT, device)
        if state is not None and state["key"] != key:
            raise OptionError(f"The checkpoint in {out} is of another distillation; remove it or name another folder.")
        if state is not None:
            descent.restore(state)

    def log(event: str, record: dict[str, object]) -> None:
        if out is not None:
            with (out / "distill.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"event": event, "step": descent.step, **record}) + "\n")
        on_event(event, record)

    _run(descent, _Lessons(teacher, options, device), options, log, lambda: _keep(descent, key, out))
    return copy_network(descent.averaged.cpu())


def finetune_record(options: DistillOptions) -> FinetuneRecord:
    """Returns what is to be recorded of a network that is distilled so, on this machine.

    Raises:
        OptionError: There are no photos.
    """
    device = _device()
    return FinetuneRecord(
        steps=options.steps,
        photos=options.photos_words,
        recipe=options.recipe,
        seed=options.seed,
        photos_sha256=hash_photos(options.photos),
        cell=options.cell,
        device=f"{device.type}, {'bfloat16' if has_fast_products(device) else 'float32'} products",
    )


def _device() -> torch.device:
    """Returns what distillation runs on."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _run(
    descent: Descent,
    lessons: "_Lessons",
    options: DistillOptions,
    log: Callable[[str, dict[str, object]], None],
    keep: Callable[[], None],
) -> None:
    """Goes on to the last step, and reports and keeps the state on the way."""
    log("start", {"device": descent.device.type, **{key: str(value) for key, value in asdict(options).items()}})
    started, losses = time.monotonic(), list[float]()
    with tqdm(total=options.steps, initial=descent.step, unit="step", smoothing=0.05, mininterval=1.0) as bar:
        while descent.step < options.steps:
            low, wanted = lessons.draw(descent.step)

            def loss_of(module: SwinIR, low: Tensor = low, wanted: Tensor = wanted) -> Tensor:
                with fast_products(descent.device):
                    result = module(low)
                return charbonnier(result.float() - wanted, options.charbonnier)

            losses.append(descent.advance(loss_of))
            bar.update()
            if descent.step % options.every == 0 or descent.step == options.steps:
                keep()
                seconds = round(time.monotonic() - started, 1)
                log("loss", {"loss": round(float(np.mean(losses)), 7), "steps": descent.step, "seconds": seconds})
                bar.set_postfix(loss=f"{np.mean(losses):.6f}")
                losses.clear()


def _keep(descent: Descent, key: str, out: Path | None) -> None:
    if out is not None:
        write_state({"key": key, **descent.state()}, out / CHECKPOINT)


class _Lessons:
    """The crops, and what the teacher makes of them."""

    def __init__(self, teacher: SwinIR, options: DistillOptions, device: torch.device) -> None:
        self._options, self._device = options, device
        self._size = options.pool or options.steps
        self._kept: dict[int, dict[str, Tensor]] = {}
        pairs = _photos(options, teacher.spec.scale)
        self._crops = PairBatches(
            pairs,
            scale=DETAIL,
            patch=options.patch // DETAIL,
            batch=options.batch,
            seed=options.seed,
            candidates=options.candidates,
        )
        self._teacher = _on_device(teacher, device)
        self._folder = None if options.lessons is None else options.lessons / _lessons_key(teacher, pairs, options)

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Returns the crops of a step (B, 3, h, w) in [0, 1], and the teacher's pictures of them, float32."""
        lesson = self._lesson(self._number(step))
        return lesson["low"].to(self._device).float().div(255), lesson["wanted"].to(self._device).float()

    def _lesson(self, number: int) -> dict[str, Tensor]:
        """Returns the crops of a batch as bytes, and the teacher's pictures of them as float16."""
        path = None if self._folder is None else self._folder / f"{number:07}.safetensors"
        if number in self._kept:
            return self._kept[number]
        if path is not None and path.is_file():
            return load_file(path)
        self._crops.random = np.random.default_rng((self._options.seed, number))
        low = self._crops.draw()[1].to(self._device)
        lesson = {"low": low.mul(255).round().byte(), "wanted": self._teacher(low).half()}
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            save_file({name: value.cpu() for name, value in lesson.items()}, part)
            part.replace(path)
        elif self._size < self._options.steps:
            self._kept[number] = lesson
        return lesson

    def _number(self, step: int) -> int:
        """Returns which batch a step has: all in turn, each time in another order."""
        turn, place = divmod(step, self._size)
        if not turn:
            return place
        return int(np.random.default_rng((self._options.seed, 1 << 32, turn)).permutation(self._size)[place])


def _photos(options: DistillOptions, scale: int) -> list[PhotoPair]:
    """Returns the reduced photos that hold a crop as the high side, and what is left of them when reduced again."""
    photos = [pair.low for pair in load_pairs(options.photos, scale=scale, cell=options.cell)]
    pairs: list[PhotoPair] = []
    for photo in photos:
        if min(photo.shape[:2]) >= options.patch:
            low = reduce_photo(photo, DETAIL)
            pairs.append(PhotoPair(name="", low=low, high=photo[: low.shape[0] * DETAIL, : low.shape[1] * DETAIL]))
    if not pairs:
        raise OptionError(f"No photo has {options.patch} x {options.patch} pixels after reduction.")
    return pairs


def _on_device(teacher: SwinIR, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Returns what maps crops to the teacher's pictures, float32 and not clamped."""
    if device.type == "cpu":
        return WindowEngine(teacher, fast_compute()).run
    module = copy_network(teacher).to(device)

    def run(low: Tensor) -> Tensor:
        with torch.inference_mode(), fast_products(device):
            return module(low).float()

    return run


def _lessons_key(teacher: SwinIR, pairs: list[PhotoPair], options: DistillOptions) -> str:
    """Returns what tells the lessons of one teacher, photos and way of cropping from others."""
    ways = (options.batch, options.patch, options.candidates, options.seed)
    return _digest(json.dumps(ways), [teacher], [pair.high for pair in pairs])[:16]


def _schedule(options: DistillOptions) -> Schedule:
    return Schedule(
        steps=options.steps,
        learning_rate=options.learning_rate,
        warmup=options.warmup,
        final_rate=options.final_rate,
        ema=options.ema,
        optimizer=options.optimizer,
    )


def _key(teacher: SwinIR, student: SwinIR, options: DistillOptions) -> str:
    """Returns what tells one run from another: all options that shape it, the photos, and both networks' weights."""
    told = {
        key: str(value)
        for key, value in asdict(options).items()
        if key not in ("photos", "lessons", "every", "threads", "words")
    }
    told["photos_sha256"] = hash_photos(options.photos)
    return _digest(json.dumps(told, sort_keys=True), [teacher, student])


def _digest(told: str, modules: Sequence[SwinIR], photos: Sequence[NDArray[np.uint8]] = ()) -> str:
    digest = hashlib.sha256(told.encode())
    for module in modules:
        for value in module.state_dict().values():
            digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
    for photo in photos:
        digest.update(np.ascontiguousarray(photo).tobytes())
    return digest.hexdigest()
