"""Independent implementations that are used for comparison only.

spandrel (MIT, chaiNNer-org/spandrel) carries the official SwinIR code. Importing it imports all its architectures,
two of which want torchvision, which is not needed here otherwise: a stub of the few names that are imported stands in
for the time of the import. Calling one of them is an error.
"""

import importlib
import importlib.machinery
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum
from functools import partial
from itertools import pairwise
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn

from sr_core.arch.swinir import SwinIR
from sr_core.errors import OptionError
from sr_core.spec import SwinIRSpec

__all__ = ["official_weights", "peer_swinir", "randomize"]


def peer_swinir(spec: SwinIRSpec) -> nn.Module:
    """Returns spandrel's SwinIR of an unpruned spec, with fresh random weights, in evaluation mode.

    Raises:
        OptionError: The spec is pruned, or has sizes that the official code does not have.
    """
    heads = {count for stage in spec.heads for count in stage}
    hidden = {count for stage in spec.hidden for count in stage}
    if len(heads) != 1 or len(hidden) != 1 or heads != {spec.embed_dim // spec.head_dim} or spec.features != 64:
        raise OptionError("The official SwinIR code has one number of heads and hidden units for all blocks.")
    with _torchvision_stub():
        arch = cast(Any, importlib.import_module("spandrel.architectures.SwinIR.__arch.SwinIR"))
    build = partial(
        arch.SwinIR,
        img_size=64,
        in_chans=spec.channels,
        embed_dim=spec.embed_dim,
        depths=list(spec.depths),
        num_heads=[heads.pop()] * len(spec.depths),
        window_size=spec.window,
        mlp_ratio=hidden.pop() / spec.embed_dim,
        upscale=spec.scale,
        upsampler=spec.upsampler,
        resi_connection=spec.resi_connection,
    )
    with warnings.catch_warnings():
        # spandrel 0.4.2 calls torch.meshgrid without its indexing.
        warnings.filterwarnings("ignore", message="torch.meshgrid", category=UserWarning)
        return cast(nn.Module, build()).eval()


def official_weights(module: SwinIR) -> dict[str, Tensor]:
    """Returns the weights of an unpruned network under the names of the published checkpoints, for the peer."""
    spec = module.spec
    steps = {2: 1, 3: 1, 4: 2, 8: 3}[spec.scale]
    match spec.upsampler:
        case "pixelshuffledirect":
            tail = ["upsample.0", ""]
        case "pixelshuffle":
            tail = ["conv_before_upsample.0", "", *(name for i in range(steps) for name in (f"upsample.{2 * i}", ""))]
            tail += ["conv_last"]
        case "nearest+conv":
            tail = ["conv_before_upsample.0", "", *(name for i in range(steps) for name in ("", f"conv_up{i + 1}", ""))]
            tail += ["conv_hr", "", "conv_last"]
    weights: dict[str, Tensor] = {}
    for key, value in module.state_dict().items():
        head, _, rest = key.partition(".")
        if head == "reconstruction":
            place, _, leaf = rest.partition(".")
            weights[f"{tail[int(place)]}.{leaf}"] = value
        else:
            weights[f"patch_embed.norm.{rest}" if head == "patch_norm" else key] = value
    return weights


def randomize(network: nn.Module, seed: int) -> None:
    """Fills every parameter with random values that keep the signal's size and leave no bias or affine trivial."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            if "bias_table" in name:
                value.copy_(noise)
            elif value.ndim > 1:
                value.copy_(noise * (0.7 / value[0].numel() ** 0.5))
            else:
                value.copy_(noise * 0.1 + ("norm" in name and name.endswith("weight")))


@contextmanager
def _torchvision_stub() -> Generator[None]:
    """Lets ``import torchvision.transforms.functional`` find stubs while it lasts, whatever is installed.

    pip installs some torchvision together with spandrel; beside a torch without CUDA it cannot even be imported.
    """
    stubs = [_package(name) for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")]
    functional = cast(Any, stubs[-1])
    functional.InterpolationMode = Enum("InterpolationMode", ["NEAREST", "BILINEAR", "BICUBIC"])
    functional.rotate = functional.normalize = _absent
    for parent, child in pairwise(stubs):
        setattr(parent, child.__name__.rpartition(".")[2], child)
    hidden = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "torchvision"}
    for name in hidden:
        del sys.modules[name]
    sys.modules |= {stub.__name__: stub for stub in stubs}
    try:
        yield
    finally:
        for stub in stubs:
            sys.modules.pop(stub.__name__, None)
        sys.modules |= hidden


def _package(name: str) -> ModuleType:
    module = ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, loader=None, is_package=True)
    module.__path__ = []
    return module


def _absent(*_: object, **__: object) -> None:
    raise NotImplementedError("this is a stub for importing spandrel")
