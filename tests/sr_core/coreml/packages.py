"""Small Core ML packages for tests: written with coremltools, and damaged on purpose."""

import gc
import importlib
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from sr_core.arch.build import build
from sr_core.arch.swinir import SwinIR
from sr_core.coreml.export import PackagePlan, PackageText, export_package
from sr_core.coreml.package import CoreMLCompute
from sr_core.coreml.program import model_path
from sr_core.spec import Precision, SwinIRSpec, Variant
from tests.sr_core.compress.networks import formats_for

__all__ = [
    "SPEC",
    "TILE",
    "change_file",
    "change_program",
    "find_operation",
    "operations_of",
    "quiet",
    "read_model",
    "save_image_package",
    "save_network",
    "save_planned",
    "save_program",
    "strong_network",
    "tools",
    "weights_of",
]

TILE = 16
SPEC = SwinIRSpec(scale=2, embed_dim=16, heads=((3, 3), (3,)), head_dim=6, hidden=((40, 40), (40,)))


@contextmanager
def quiet() -> Iterator[None]:
    """Lets coremltools leave its temporary directories to the collector, and warn of what only a Mac has."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
            gc.collect()
    finally:
        logging.disable(disabled)


@cache
def tools() -> ModuleType:
    """Returns coremltools."""
    with quiet():
        return importlib.import_module("coremltools")


def save_program(
    path: Path,
    shape: tuple[int, ...],
    body: Callable[..., Any],
    *,
    precision: str = "float32",
    target: str = "iOS16",
    change: Callable[[Any], Any] = lambda model: model,
) -> Path:
    """Returns the package of a hand-made program; in float32 no pass changes its operations.

    Args:
        path: Where to write it.
        shape: The shape of the one input, ``x``.
        body: Makes the outputs from coremltools' builder and the input.
        precision: ``float32`` or ``float16``.
        target: The system that it is for.
        change: Changes the converted model before it is written.
    """
    ct = tools()
    mb = importlib.import_module("coremltools.converters.mil").Builder
    system = getattr(ct.target, target)
    with quiet():
        model = ct.convert(
            mb.program(input_specs=[mb.TensorSpec(shape=shape)], opset_version=system)(lambda x: body(mb, x)),
            convert_to="mlprogram",
            minimum_deployment_target=system,
            compute_precision=getattr(ct.precision, precision.upper()),
            pass_pipeline=ct.PassPipeline.EMPTY if precision == "float32" else ct.PassPipeline.DEFAULT,
            skip_model_load=True,
        )
        change(model).save(str(path))
        del model
    return path


def save_image_package(path: Path, module: torch.nn.Module, tile: int) -> Path:
    """Returns the package of a module that maps (1, 3, tile, tile) in [0, 1] to a picture from 0 to 255."""
    ct = tools()
    with quiet():
        traced = torch.jit.trace(module.eval(), torch.rand(1, 3, tile, tile), check_trace=False)
        image = ct.ImageType(name="image", shape=(1, 3, tile, tile), scale=1 / 255, color_layout=ct.colorlayout.RGB)
        model = ct.convert(
            traced,
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS16,
            compute_precision=ct.precision.FLOAT32,
            inputs=[image],
            outputs=[ct.ImageType(name="upscaled", color_layout=ct.colorlayout.RGB)],
            skip_model_load=True,
        )
        model.save(str(path))
        del model
    return path


def change_file(package: Path, copy: Path, file: Path, data: bytes) -> Path:
    """Returns a copy of a package in which a file holds something else; a former copy is replaced."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(package, copy)
    (copy / file).write_bytes(data)
    return copy


def change_program(package: Path, copy: Path, change: Callable[[Any], None]) -> Path:
    """Returns a copy of a package whose operations were changed: ``change`` gets the protobuf's list of them."""
    model = read_model(package)
    change(operations_of(model))
    return change_file(package, copy, model_path(package).relative_to(package), model.SerializeToString())


def read_model(package: Path) -> Any:
    """Returns the protobuf of a package."""
    model = importlib.import_module("coremltools.proto.Model_pb2").Model()
    model.ParseFromString(model_path(package).read_bytes())
    return model


def operations_of(model: Any) -> Any:
    """Returns the protobuf's list of operations."""
    [block] = model.mlProgram.functions["main"].block_specializations.values()
    return block.operations


def find_operation(operations: Any, name: str) -> Any:
    """Returns the operation that gives a name."""
    return next(operation for operation in operations if operation.outputs[0].name == name)


def weights_of(package: Path) -> Path:
    """Returns the weight file of a package."""
    return model_path(package).parent / "weights" / "weight.bin"


def strong_network(spec: SwinIRSpec = SPEC, seed: int = 0) -> SwinIR:
    """Returns a network with noise for weights, so strong that it matters where each one of them goes."""
    generator = torch.Generator().manual_seed(seed)
    module = build(spec).eval().requires_grad_(False)
    for name, value in module.named_parameters():
        spread = torch.randn(value.shape, generator=generator)
        is_scale = name.endswith("weight") and value.ndim == 1
        scale = 1.5 if "qkv" in name else 1.0 if "table" in name else 0.5 * (value[0].numel() ** -0.5)
        value.data.copy_(1.0 + 0.3 * spread if is_scale else scale * spread if value.ndim > 1 else 0.2 * spread)
    return module


def save_network(
    folder: Path,
    module: SwinIR,
    precision: Precision = "float32",
    compute: CoreMLCompute = "float32",
    *,
    rescale: int = 0,
    tile: int = TILE,
    compact_bias: bool = False,
) -> Path:
    """Returns the package of a network, as the project exports it."""
    variant = Variant(
        family="tiny",
        spec=module.spec,
        task="lightweight",
        trained="noise",
        precision=precision,
        compression=compute,
        formats=formats_for(module.spec, precision),
    )
    return save_planned(
        folder,
        module,
        PackagePlan(variant=variant, compute=compute, tile=tile, rescale=rescale, compact_bias=compact_bias),
    )


def save_planned(folder: Path, module: SwinIR, plan: PackagePlan) -> Path:
    """Returns the package of a network, as planned."""
    text = PackageText(author="a test", license="Apache-2.0", version="0", overlap=8, margin=8)
    with quiet():
        return export_package(module, plan, text, folder).path
