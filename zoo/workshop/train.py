"""Training: any registered architecture, on a folder of photos, on a CPU or a GPU.

One run writes ``checkpoint.pt`` (everything needed to go on), ``best.safetensors`` (the averaged weights that
scored best so far) and ``log.jsonl`` into its folder.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from sr_core.arch.build import build, parameter_count
from sr_core.arch.swinir import SwinIR
from sr_core.arch.weights import save_weights
from sr_core.errors import OptionError
from sr_core.metrics.fidelity import psnr_db
from sr_core.spec import Variant
from zoo.workshop.descent import (
    Descent,
    Optimizer,
    Schedule,
    charbonnier,
    fast_products,
    read_state,
    write_state,
)
from zoo.workshop.grow import start_as_interpolation, start_local
from zoo.workshop.photos import PairBatches, PhotoPair, load_pairs, validation_pairs

__all__ = ["TrainOptions", "train", "validate"]

CHECKPOINT: Final = "checkpoint.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How to train.

    Attributes:
        photos: Folder of training photos.
        validation: Benchmark folder; its Y-PSNR decides which weights are kept.
        out: Folder of the run.
        steps: Length of the run; the cosine schedule ends here.
        batch: Crops in a step.
        patch: Side of a crop on the low-resolution side; a multiple of the window saves padding.
        learning_rate: At the top of the schedule.
        optimizer: ``adam`` for all weights, or ``muon`` for the matrices and Adam for the rest.
        warmup: Steps over which the learning rate rises from zero.
        final_rate: The learning rate at the end, as a part of ``learning_rate``.
        ema: Decay of the averaged weights, which are what is validated and kept.
        charbonnier: Epsilon of the loss sqrt(d^2 + eps^2), in units of full intensity; 0 is plain L1.
        cell: Side of a square in contact strips, or None for plain photos.
        candidates: Crops drawn for each place in a batch, of which the most detailed is taken.
        seed: Of the weights and of the crops.
        every: Steps between validations and checkpoints.
        threads: Processor threads, or None for torch's own choice.
    """

    photos: Path
    validation: Path
    out: Path
    steps: int
    batch: int = 16
    patch: int = 64
    learning_rate: float = 5e-4
    optimizer: Optimizer = "adam"
    warmup: int = 200
    final_rate: float = 0.0
    ema: float = 0.999
    charbonnier: float = 1e-3
    cell: int | None = None
    candidates: int = 1
    seed: int = 0
    every: int = 500
    threads: int | None = None


def train(
    variant: Variant,
    options: TrainOptions,
    start: SwinIR | None = None,
    on_event: Callable[[str, dict[str, object]], None] = lambda _event, _record: None,
) -> float:
    """Trains a variant, going on from the checkpoint in ``options.out`` when there is one.

    Args:
        variant: What is trained; ``best.safetensors`` is written under its id.
        options: How.
        start: Weights to begin from; by default attention begins locally, and the network as a
            bicubic enlargement where it can.
        on_event: Called with each record after it was logged: ``start``, then a ``score`` per validation.

    Returns:
        The best Y-PSNR on the validation folder, in dB.

    Raises:
        OptionError: A folder holds no photos, or the checkpoint is of another variant.
    """
    torch.manual_seed(options.seed)
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    options.out.mkdir(parents=True, exist_ok=True)
    scale = variant.spec.scale
    pairs = load_pairs(options.photos, scale=scale, cell=options.cell)
    batches = PairBatches(
        pairs,
        scale=scale,
        patch=options.patch,
        batch=options.batch,
        seed=options.seed,
        candidates=options.candidates,
    )
    truth = validation_pairs(options.validation, scale=scale)
    run = _Run.begin(variant, options, start, batches, device)

    def log(event: str, record: dict[str, object]) -> None:
        with (options.out / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, "step": run.descent.step, **record}) + "\n")
        on_event(event, record)

    log("start", {"id": variant.id, "device": device.type, "parameters": parameter_count(run.descent.module),
                  **{key: str(value) for key, value in asdict(options).items()}})  # fmt: skip
    started, losses = time.monotonic(), list[float]()
    with tqdm(total=options.steps, initial=run.descent.step, unit="step", smoothing=0.05, mininterval=1.0) as bar:
        while run.descent.step < options.steps:
            losses.append(run.advance())
            bar.update()
            if run.descent.step % options.every == 0 or run.descent.step == options.steps:
                score = validate(run.descent.averaged, truth, device)
                improved = run.keep(score)
                log("score", {"loss": round(float(np.mean(losses)), 6), "psnr_y_db": round(score, 4),
                              "best_db": round(run.best_db, 4),
                              "seconds": round(time.monotonic() - started, 1)})  # fmt: skip
                bar.set_postfix(loss=f"{np.mean(losses):.5f}", psnr_y=f"{score:.3f}", best=improved)
                losses.clear()
    return run.best_db


def validate(module: SwinIR, pairs: list[PhotoPair], device: torch.device) -> float:
    """Returns the mean Y-PSNR in dB: whole pictures, result rounded to 8 bits, border of ``scale`` pixels."""
    scale, scores = module.spec.scale, list[float]()
    module.eval()
    with torch.inference_mode():
        for pair in pairs:
            low = torch.from_numpy(pair.low.copy()).permute(2, 0, 1)[None].float().div(255).to(device)
            result = module(low)[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
            scores.append(psnr_db(result, pair.high, data_range=255, border=scale, channels="y"))
    return float(np.mean(scores))


class _Run:
    """The state of a run: the descent, the crops and the best score."""

    def __init__(
        self, variant: Variant, options: TrainOptions, module: SwinIR, batches: PairBatches, device: torch.device
    ) -> None:
        schedule = Schedule(
            steps=options.steps,
            learning_rate=options.learning_rate,
            warmup=options.warmup,
            final_rate=options.final_rate,
            ema=options.ema,
            optimizer=options.optimizer,
        )
        self.variant, self.options, self.batches = variant, options, batches
        self.descent = Descent(module, schedule, device)
        self.best_db = -math.inf

    @classmethod
    def begin(
        cls,
        variant: Variant,
        options: TrainOptions,
        start: SwinIR | None,
        batches: PairBatches,
        device: torch.device,
    ) -> "_Run":
        """Returns a fresh run, or the one that the folder's checkpoint holds."""
        module = start
        if module is None:
            module = build(variant.spec)
            start_local(module)
            if variant.spec.upsampler == "pixelshuffledirect" and variant.spec.resi_connection == "1conv":
                start_as_interpolation(module)
        run = cls(variant, options, module, batches, device)
        state = read_state(options.out / CHECKPOINT, device)
        if state is not None:
            run._restore(state)
        return run

    def advance(self) -> float:
        """Makes one step and returns its loss."""
        device = self.descent.device
        low, high = (side.to(device, non_blocking=True) for side in self.batches.draw())

        def loss_of(module: SwinIR) -> Tensor:
            with fast_products(device):
                result = module(low)
            return charbonnier(result.float() - high, self.options.charbonnier)

        return self.descent.advance(loss_of)

    def keep(self, score: float) -> bool:
        """Writes the checkpoint, and the averaged weights when they scored best; returns whether they did."""
        improved = score > self.best_db
        self.best_db = max(self.best_db, score)
        if improved:
            note = {"steps": str(self.descent.step), "training_data": self.options.photos.name}
            save_weights(self.descent.averaged, self.options.out / "best.safetensors", self.variant, note)
        state = {
            "id": self.variant.id,
            "best_db": self.best_db,
            "random": json.dumps(self.batches.random.bit_generator.state),
            **self.descent.state(),
        }
        write_state(state, self.options.out / CHECKPOINT)
        return improved

    def _restore(self, state: dict[str, Any]) -> None:
        if state["id"] != self.variant.id:
            raise OptionError(f"The checkpoint in {self.options.out} belongs to {state['id']}, not {self.variant.id}.")
        self.best_db = state["best_db"]
        self.descent.restore(state)
        self.batches.random.bit_generator.state = json.loads(state["random"])
