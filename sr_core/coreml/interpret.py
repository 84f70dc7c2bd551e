"""An interpreter for Core ML packages: what a package computes, on any machine.

It proves what a package's files say, not what a device makes of them: every operation is computed in float32 and its
result rounded to the type that the program declares for it, while a device may sum in another order or in float16.

Apple does not say how a device turns the numbers of an image output into bytes. Here they are rounded to the nearest.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Self, TypeAlias, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_core.coreml.constexpr import CONSTEXPRS, multiply_out
from sr_core.coreml.ops import FLOATS, OPERATIONS, Operands, Value
from sr_core.coreml.program import Argument, Constant, Operation, Program, TensorType, read_program
from sr_core.errors import OptionError, PackageError

__all__ = ["Mode", "OnOutput", "Package", "to_bytes"]

Mode: TypeAlias = Literal["typed", "ideal"]
"""``typed`` computes in float32 and rounds every result to its declared type; ``ideal`` computes in float64 and rounds
nothing, so that only the constants keep the precision they are stored with."""

OnOutput: TypeAlias = Callable[[str, str, NDArray[Any]], None]
"""Called with the name, the kind of operation and the values of each result; the array is not to be changed."""

DTYPES: Final[Mapping[Mode, torch.dtype]] = MappingProxyType({"typed": torch.float32, "ideal": torch.float64})


class Package:
    """A Core ML package that is ready to run.

    Attributes:
        program: What it does.
    """

    def __init__(self, program: Program) -> None:
        """Prepares a program that was read.

        Raises:
            PackageError: It has an operation that is not known here, or a compressed constant that is not sound.
        """
        self.program = program
        constants = dict(program.constants)
        run: list[Operation] = []
        for operation in program.operations:
            if operation.type in CONSTEXPRS:
                constants[operation.name] = multiply_out(operation, constants)
            elif operation.type in OPERATIONS:
                run.append(operation)
            else:
                raise PackageError(
                    f"The operation {operation.name} of {program.name} is of the kind {operation.type!r}, "
                    f"which is not known here."
                )
        self._constants, self._run = constants, run
        self._last_use = {name: number for number, operation in enumerate(run) for name in _names(operation)}
        self._tensors: dict[Mode, dict[str, Value]] = {}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Returns the package in a directory ``Name.mlpackage``.

        Raises:
            PackageError: A file is missing, damaged or cut short, or holds what is not known here.
        """
        return cls(read_program(path))

    def constants(self) -> Mapping[str, NDArray[np.float32]]:
        """Returns every constant that is made of floats, multiplied out and rounded to its declared type, by name."""
        floats = {name: constant for name, constant in self._constants.items() if constant.type.dtype in FLOATS}
        return {name: np.asarray(constant.value, np.float32) for name, constant in floats.items()}

    def count_operations(self) -> dict[str, int]:
        """Returns how often each kind of operation occurs, those of compressed constants included, most often first."""
        return dict(Counter(operation.type for operation in self.program.operations).most_common())

    def run(self, image: NDArray[Any], mode: Mode = "typed", on_output: OnOutput | None = None) -> NDArray[Any]:
        """Returns the image that the package makes of an image, before it is rounded to 8 bits.

        Args:
            image: (H, W, 3) of the package's size, uint8, or floats from 0 to 255.
            mode: How to compute.
            on_output: Sees every result.

        Returns:
            (H', W', 3) from 0 to 255, float32 if typed and float64 if ideal; :func:`to_bytes` rounds it.

        Raises:
            PackageError: The package does not map one image to one image, or does not compute what it declares.
            OptionError: The image is of another size.
        """
        inputs, outputs = self.program.inputs, self.program.outputs
        if len(inputs) != 1 or len(outputs) != 1 or {inputs[0][0].kind, outputs[0].kind} != {"image"}:
            raise PackageError(f"{self.program.name} does not map one image to one image.")
        _, _, height, width = inputs[0][0].shape
        if image.shape != (height, width, 3):
            raise OptionError(
                f"{self.program.name} takes images of {height} x {width} pixels in RGB, not of {image.shape}."
            )
        planes = image.transpose(2, 0, 1)[None]  # (1, 3, H, W)
        results = self.run_features({inputs[0][0].name: planes}, mode, on_output)
        return results[outputs[0].name][0].transpose(1, 2, 0)  # (H', W', 3)

    def run_features(
        self, features: Mapping[str, NDArray[Any]], mode: Mode = "typed", on_output: OnOutput | None = None
    ) -> dict[str, NDArray[Any]]:
        """Returns the outputs by name for inputs by name, both as arrays of the shapes that the program declares.

        Args:
            features: The inputs; an image is (1, 3, H, W) in RGB from 0 to 255.
            mode: How to compute.
            on_output: Sees every result.

        Raises:
            PackageError: An operation cannot be computed, or does not give what it declares.
            OptionError: An input is missing, unknown, or of another shape.
        """
        if set(features) != {feature.name for feature, _ in self.program.inputs}:
            raise OptionError(f"{self.program.name} takes {[feature.name for feature, _ in self.program.inputs]}.")
        tensors = self._constant_tensors(mode)
        values: dict[str, Value] = {}
        for feature, declared in self.program.inputs:
            if features[feature.name].shape != declared.shape or declared.dtype not in FLOATS:
                raise OptionError(f"The input {feature.name} of {self.program.name} must be {declared}.")
            given = torch.from_numpy(np.ascontiguousarray(features[feature.name], np.float64))
            values[feature.name] = _settled(given.to(DTYPES[mode]), declared, mode)

        def look_up(argument: Argument) -> Value | Constant:
            if isinstance(argument, Constant):
                return _tensor(argument, mode)
            return values.get(argument) or tensors.get(argument) or self._constants[argument]

        wanted = tuple(feature.name for feature in self.program.outputs)
        with torch.inference_mode():
            for number, operation in enumerate(self._run):
                for name, value in _compute(operation, look_up, mode).items():
                    values[name] = value
                    if on_output is not None:
                        on_output(name, operation.type, value.data.numpy())
                for name in _names(operation):
                    if self._last_use[name] == number and name not in wanted:
                        values.pop(name, None)
            return {name: values[name].data.numpy() for name in wanted}

    def _constant_tensors(self, mode: Mode) -> dict[str, Value]:
        if mode not in self._tensors:
            ready = {name: _tensor(constant, mode) for name, constant in self._constants.items()}
            self._tensors[mode] = {name: value for name, value in ready.items() if isinstance(value, Value)}
        return self._tensors[mode]


def to_bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Returns an image of floats from 0 to 255 as 8-bit values: clamped, and rounded to the nearest."""
    return np.rint(np.clip(image, 0.0, 255.0)).astype(np.uint8)


def _names(operation: Operation) -> set[str]:
    """Returns the names of what an operation takes."""
    return {one for several in operation.inputs.values() for one in several if isinstance(one, str)}


def _compute(operation: Operation, look_up: Callable[[Argument], Value | Constant], mode: Mode) -> dict[str, Value]:
    """Returns the results of an operation by name, after checking that they are what is declared."""
    operands = Operands(operation, look_up)
    try:
        results = OPERATIONS[operation.type](operands)
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError) as error:
        raise operands.refusal("cannot be computed from what it is given") from error
    operands.finish()
    tensors = results if isinstance(results, tuple) else (results,)
    if len(tensors) != len(operation.outputs):
        raise operands.refusal(f"gives {len(tensors)} results, but is declared to give {len(operation.outputs)}")
    values: dict[str, Value] = {}
    for (name, declared), tensor in zip(operation.outputs, tensors, strict=True):
        if (operands.dtype, tuple(tensor.shape)) != (declared.dtype, declared.shape):
            found = f"{operands.dtype} {tuple(tensor.shape)}"
            raise operands.refusal(f"is declared to give {declared} as {name}, but gives {found}")
        values[name] = _settled(tensor, declared, mode)
    return values


def _settled(tensor: Tensor, declared: TensorType, mode: Mode) -> Value:
    """Returns a result, rounded to its declared type unless the arithmetic is ideal."""
    match mode:
        case "ideal":
            rounded = tensor
        case "typed":
            rounded = tensor.half().float() if declared.dtype == "float16" else tensor
        case _:
            assert_never(mode)
    return Value(declared.dtype, rounded)


def _tensor(constant: Constant, mode: Mode) -> Value | Constant:
    """Returns a constant of floats as a tensor, and any other as it is."""
    if constant.type.dtype not in FLOATS:
        return constant
    return Value(constant.type.dtype, torch.from_numpy(np.asarray(constant.value)).to(DTYPES[mode]))
