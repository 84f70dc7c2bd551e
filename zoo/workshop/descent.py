"""Gradient descent as every training here does it: optimizers, schedule, averaged weights, and their state on disk."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import Tensor, nn

from sr_core.arch.swinir import SwinIR
from sr_core.infer.window_engine import fast_compute

__all__ = [
    "Descent",
    "Optimizer",
    "Schedule",
    "charbonnier",
    "fast_products",
    "has_fast_products",
    "read_state",
    "write_state",
]

Optimizer: TypeAlias = Literal["adam", "muon"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How far each step goes.

    Attributes:
        steps: Length of the run; the cosine ends here.
        learning_rate: At the top.
        warmup: Steps over which the learning rate rises from zero.
        final_rate: The learning rate at the end, as a part of ``learning_rate``.
        ema: Decay of the averaged weights.
        optimizer: ``adam`` for all weights, or ``muon`` for the matrices and Adam for the rest.
    """

    steps: int
    learning_rate: float
    warmup: int
    final_rate: float
    ema: float
    optimizer: Optimizer

    def rate(self, step: int) -> float:
        """Returns the learning rate of a step: a linear rise, then half a cosine down to ``final_rate``."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        part = (step - self.warmup) / max(self.steps - self.warmup, 1)
        low = self.final_rate
        return self.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * min(part, 1.0))))


class Descent:
    """A network that is trained, the average of its weights, the optimizers, and the number of steps so far.

    Args:
        module: The network; it is trained in place.
        schedule: How far each step goes.
        device: Where.
    """

    def __init__(self, module: SwinIR, schedule: Schedule, device: torch.device) -> None:
        self.module = module.to(device).train()
        self.averaged = deepcopy(self.module).eval()
        self.device, self.step = device, 0
        self._schedule = schedule
        self._optimizers = _optimizers(self.module, schedule.optimizer)

    def advance(self, loss_of: Callable[[SwinIR], Tensor]) -> float:
        """Makes one step down the loss that is given for the network, and returns it."""
        rate = self._schedule.rate(self.step)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["rate_factor"]
        loss = loss_of(self.module)
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        for optimizer in self._optimizers:
            optimizer.step()
        self.step += 1
        decay = min(self._schedule.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for kept, new in zip(self.averaged.parameters(), self.module.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        """Returns everything that is needed to go on."""
        return {
            "step": self.step,
            "module": self.module.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where :meth:`state` was asked."""
        self.step = state["step"]
        self.module.load_state_dict(state["module"])
        self.averaged.load_state_dict(state["averaged"])
        for optimizer, stored in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored)


def charbonnier(difference: Tensor, epsilon: float) -> Tensor:
    """Returns the mean of sqrt(d^2 + epsilon^2), which is plain L1 where ``epsilon`` is 0.

    Source: Charbonnier et al., "Two deterministic half-quadratic regularization algorithms", ICIP 1994.
    """
    return (difference.square() + epsilon**2).sqrt().mean() if epsilon else difference.abs().mean()


def fast_products(device: torch.device) -> AbstractContextManager[object]:
    """Returns a context in which products are bfloat16 where the device multiplies it in hardware.

    Elsewhere it would only be slower.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=has_fast_products(device))


def has_fast_products(device: torch.device) -> bool:
    """Returns whether :func:`fast_products` are bfloat16."""
    return torch.cuda.is_bf16_supported() if device.type == "cuda" else fast_compute() == "bfloat16"


def write_state(state: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint; replaced only when the new one is complete."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def read_state(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Returns what a checkpoint holds, or None where there is none."""
    if not path.is_file():
        return None
    return cast(dict[str, Any], torch.load(path, map_location=device, weights_only=True))


def _optimizers(module: SwinIR, optimizer: Optimizer) -> list[torch.optim.Optimizer]:
    """Returns the optimizers; each parameter group carries its factor on the scheduled learning rate."""
    matrices = [layer.weight for layer in module.modules() if isinstance(layer, nn.Linear)]
    if optimizer == "adam" or not matrices:
        return [torch.optim.Adam([{"params": list(module.parameters()), "rate_factor": 1.0}], betas=(0.9, 0.99))]
    chosen = {id(weight) for weight in matrices}
    others = [parameter for parameter in module.parameters() if id(parameter) not in chosen]
    muon = torch.optim.Muon(
        [{"params": matrices, "rate_factor": 1.0}], weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, torch.optim.Adam([{"params": others, "rate_factor": 1.0}], betas=(0.9, 0.99))]
