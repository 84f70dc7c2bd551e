"""The ML program of a Core ML package as frozen records: read from the manifest, the protobuf and the weight files.

coremltools serves only for the generated protobuf classes; its own reader of programs is not used, so that what is
read here does not share a mistake with what was written there.

Source: coremltools 9.0, mlmodel/format/Model.proto, FeatureTypes.proto and MIL.proto.
"""

import importlib
import importlib.util
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from math import prod
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from sr_core.coreml.blob import WeightFile, bits_of, open_weights, unpack_bits
from sr_core.errors import OptionError, PackageError

__all__ = ["Argument", "Constant", "Feature", "Operation", "Program", "TensorType", "model_path", "read_program"]

OPSETS: Final = ("CoreML5", "CoreML6", "CoreML7", "CoreML8")
"""The sets of operations that are read: those of iOS 15 to 18."""

DTYPES: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "bool",
        2: "string",
        10: "float16",
        11: "float32",
        21: "int8",
        22: "int16",
        23: "int32",
        25: "int4",
        31: "uint8",
        32: "uint16",
        33: "uint32",
        35: "uint4",
        36: "uint2",
        37: "uint1",
        38: "uint6",
        39: "uint3",
    }
)
"""What the protobuf's numbers for types mean."""

RGB: Final = 20
MAX_VALUES: Final = 2**28
ROOT_FOLDER: Final = "@model_path/"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorType:
    """What a value is declared to be: a type such as ``float16`` and a shape, empty for a single value."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        """Returns the words for sentences, such as ``float16 (1, 3, 64, 64)``."""
        return f"{self.dtype} {self.shape}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A value that stands in the package: an array of the declared type and shape, or a string."""

    type: TensorType
    value: NDArray[Any] | str


Argument: TypeAlias = str | Constant
"""What an operation takes: the name of an earlier value, or a value that stands in place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of the program.

    Attributes:
        type: What it does, such as ``conv``.
        inputs: What it takes, by the name of the parameter; several for a list.
        outputs: What it gives: names and declared types.
    """

    type: str
    inputs: Mapping[str, tuple[Argument, ...]]
    outputs: tuple[tuple[str, TensorType], ...]

    @property
    def name(self) -> str:
        """The name of its first output."""
        return self.outputs[0][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """An input or output of the network as an app sees it.

    Attributes:
        name: What it is called.
        kind: An 8-bit RGB image, or an array of numbers.
        shape: (1, 3, H, W) of an image; the described shape of an array, empty where none is described.
    """

    name: str
    kind: Literal["image", "array"]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A network as a list of operations, each after all that it takes.

    Attributes:
        name: The package's file name.
        specification_version: Core ML's number for the format.
        opset: The set of operations, such as ``CoreML6``.
        inputs: What goes in, with the type that the program declares for it.
        outputs: What comes out.
        constants: Values by name; those that are stored compressed are results of operations instead.
        operations: What is done.
    """

    name: str
    specification_version: int
    opset: str
    inputs: tuple[tuple[Feature, TensorType], ...]
    outputs: tuple[Feature, ...]
    constants: Mapping[str, Constant]
    operations: tuple[Operation, ...]


def model_path(package: Path) -> Path:
    """Returns the protobuf file of an unzipped package, as its manifest names it.

    Raises:
        PackageError: The manifest is missing, damaged or names files outside of the package.
    """
    return _manifest(package)[0]


def read_program(package: Path) -> Program:
    """Returns the program of an unzipped package.

    Raises:
        PackageError: A file is missing or damaged, or the network is no ML program of one function that can be read.
        OptionError: coremltools is missing.
    """
    path, items = _manifest(package)
    model = _messages().Model()
    try:
        model.ParseFromString(path.read_bytes())
    except OSError as error:
        raise PackageError(f"The network of {package.name} is missing: there is no {path.name}.") from error
    except _decode_error() as error:
        raise PackageError(f"The network of {package.name} is damaged: {path.name} cannot be read.") from error
    functions = model.mlProgram.functions
    if set(functions) != {"main"} or set(functions["main"].block_specializations) != {functions["main"].opset}:
        raise PackageError(f"The network of {package.name} is no ML program of one function.")
    main = functions["main"]
    if main.opset not in OPSETS:
        raise PackageError(f"{package.name} has operations of {main.opset!r}, but only {', '.join(OPSETS)} are known.")
    block = main.block_specializations[main.opset]
    reader = _Reader(folder=path.parent, items=items)
    types = {value.name: _type(value.type, value.name) for value in main.inputs}
    constants, operations = reader.body(block.operations, set(types))
    inputs = [_feature(feature) for feature in model.description.input]
    outputs = [_feature(feature) for feature in model.description.output]
    if {feature.name for feature in inputs} != set(types) or [f.name for f in outputs] != list(block.outputs):
        raise PackageError(f"The inputs and outputs that {package.name} describes are not those of its program.")
    types |= {name: declared for operation in operations for name, declared in operation.outputs}
    for feature in (*inputs, *outputs):
        if feature.name not in types or feature.shape not in ((), types[feature.name].shape):
            raise PackageError(f"{package.name} describes {feature.name} with another shape than its program gives it.")
    return Program(
        name=package.name,
        specification_version=model.specificationVersion,
        opset=main.opset,
        inputs=tuple((feature, types[feature.name]) for feature in inputs),
        outputs=tuple(outputs),
        constants=MappingProxyType(constants),
        operations=tuple(operations),
    )


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Reads the values of a program.

    Attributes:
        folder: The folder of the protobuf file, which weight files are named from.
        items: The files and folders that the manifest lists.
        files: Weight files that are open.
    """

    folder: Path
    items: frozenset[Path]
    files: dict[str, WeightFile] = field(default_factory=dict[str, WeightFile])

    def body(self, messages: Any, known: set[str]) -> tuple[dict[str, Constant], list[Operation]]:
        """Returns the constants and the other operations; every name must be made once, and before it is taken."""
        constants: dict[str, Constant] = {}
        operations: list[Operation] = []
        for message in messages:
            operation = self.operation(message)
            for argument in (one for several in operation.inputs.values() for one in several):
                if isinstance(argument, str) and argument not in known:
                    raise PackageError(
                        f"The operation {operation.name} takes {argument}, which nothing before it gives."
                    )
            for name, _ in operation.outputs:
                if name in known:
                    raise PackageError(f"The program gives the name {name} twice.")
                known.add(name)
            if operation.type == "const":
                constants[operation.name] = _const(operation)
            else:
                operations.append(operation)
        return constants, operations

    def operation(self, message: Any) -> Operation:
        """Returns an operation; its attributes count as inputs, except its name, which says nothing."""
        if not message.outputs or message.blocks:
            raise PackageError(
                f"The operation {message.type!r} has no output, or a body of its own, which is not read."
            )
        name = message.outputs[0].name
        inputs: dict[str, tuple[Argument, ...]] = {}
        for key, argument in message.inputs.items():
            inputs[key] = tuple(
                one.name if one.WhichOneof("binding") == "name" else self.constant(one.value, name)
                for one in argument.arguments
            )
        for key, value in message.attributes.items():
            if key in inputs:
                raise PackageError(f"The operation {name} is given {key} twice.")
            if key != "name":
                inputs[key] = (self.constant(value, name),)
        outputs = tuple((output.name, _type(output.type, output.name)) for output in message.outputs)
        return Operation(type=message.type, inputs=MappingProxyType(inputs), outputs=outputs)

    def constant(self, value: Any, owner: str) -> Constant:
        """Returns a value that stands in the protobuf or in a weight file."""
        declared = _type(value.type, owner)
        match value.WhichOneof("value"):
            case "immediateValue":
                return Constant(type=declared, value=_immediate(value.immediateValue, declared, owner))
            case "blobFileValue":
                blob = value.blobFileValue
                flat = self._file(blob.fileName, owner).read(blob.offset, declared.dtype, prod(declared.shape))
                return Constant(type=declared, value=flat.reshape(declared.shape))
            case _:
                raise PackageError(f"A value of {owner} is empty.")

    def _file(self, name: str, owner: str) -> WeightFile:
        """Returns a weight file, which must be listed in the manifest or lie in a folder that is."""
        if name not in self.files:
            below = PurePosixPath(name.removeprefix(ROOT_FOLDER))
            path = self.folder / below
            listed = not self.items.isdisjoint((path, *path.parents))
            if not name.startswith(ROOT_FOLDER) or ".." in below.parts or below.is_absolute() or not listed:
                raise PackageError(f"A value of {owner} lies in {name!r}, which the package's manifest does not list.")
            self.files[name] = open_weights(path)
        return self.files[name]


def _manifest(package: Path) -> tuple[Path, frozenset[Path]]:
    """Returns the protobuf file of a package, and all files and folders that its manifest lists."""
    try:
        document = json.loads((package / "Manifest.json").read_text(encoding="utf-8"))
        entries = cast(dict[str, dict[str, str]], document["itemInfoEntries"])
        paths = {key: PurePosixPath(entry["path"]) for key, entry in entries.items()}
        root = paths[document["rootModelIdentifier"]]
    except FileNotFoundError as error:
        raise PackageError(f"{package.name} is no Core ML package: it has no Manifest.json.") from error
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise PackageError(f"The manifest of {package.name} is damaged.") from error
    if any(path.is_absolute() or ".." in path.parts for path in paths.values()):
        raise PackageError(f"The manifest of {package.name} names files outside of the package.")
    return package / "Data" / root, frozenset(package / "Data" / path for path in paths.values())


@cache
def _messages() -> Any:
    """Returns the module with the protobuf class of a network.

    Importing it imports all of coremltools, which warns of torch versions and of libraries that only a Mac has.

    Raises:
        OptionError: coremltools is missing.
    """
    if importlib.util.find_spec("coremltools") is None:
        raise OptionError("Reading Core ML packages needs coremltools, which is not installed.")
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        return importlib.import_module("coremltools.proto.Model_pb2")
    finally:
        logging.disable(disabled)


@cache
def _decode_error() -> type[Exception]:
    """Returns what reading a damaged protobuf raises."""
    return importlib.import_module("google.protobuf.message").DecodeError


def _feature(message: Any) -> Feature:
    """Returns an input or output that the network describes."""
    match message.type.WhichOneof("Type"):
        case "imageType":
            image = message.type.imageType
            if image.colorSpace != RGB or image.WhichOneof("SizeFlexibility"):
                raise PackageError(f"The image {message.name} must be RGB and of one size.")
            return Feature(name=message.name, kind="image", shape=(1, 3, image.height, image.width))
        case "multiArrayType":
            array = message.type.multiArrayType
            if array.WhichOneof("ShapeFlexibility"):
                raise PackageError(f"The array {message.name} must be of one size.")
            return Feature(name=message.name, kind="array", shape=tuple(array.shape))
        case other:
            raise PackageError(f"{message.name} is {other}, but only images and arrays are read here.")


def _type(message: Any, owner: str) -> TensorType:
    """Returns the declared type of a value."""
    tensor = message.tensorType
    dtype = DTYPES.get(tensor.dataType)
    if message.WhichOneof("type") != "tensorType" or dtype is None or tensor.rank != len(tensor.dimensions):
        raise PackageError(f"A value of {owner} is declared to be of a kind that is not read here.")
    if any(dimension.WhichOneof("dimension") != "constant" for dimension in tensor.dimensions):
        raise PackageError(f"A value of {owner} is declared without a fixed size.")
    shape = tuple(int(dimension.constant.size) for dimension in tensor.dimensions)
    if prod(shape) > MAX_VALUES:
        raise PackageError(f"A value of {owner} is declared to be {shape}, which is more than any network here needs.")
    return TensorType(dtype=dtype, shape=shape)


def _const(operation: Operation) -> Constant:
    """Returns the value of a ``const``, which must be what its output is declared to be."""
    value = operation.inputs.get("val", ())
    if len(value) != 1 or len(operation.inputs) != 1 or len(operation.outputs) != 1:
        raise PackageError(f"The constant {operation.name} does not have exactly one value.")
    [constant], [(name, declared)] = value, operation.outputs
    if isinstance(constant, str) or constant.type != declared:
        raise PackageError(f"The constant {name} is declared to be {declared}, but its value is another.")
    return constant


def _immediate(value: Any, declared: TensorType, owner: str) -> NDArray[Any] | str:
    """Returns a value that stands in the protobuf itself."""
    kind = value.tensor.WhichOneof("value") if value.WhichOneof("value") == "tensor" else None
    if kind is None:
        raise PackageError(f"A value of {owner} is of a kind that is not read here.")
    values = getattr(value.tensor, kind).values
    allowed = {"floats": ("float32",), "ints": ("int32",), "bools": ("bool",), "strings": ("string",)}
    if kind == "bytes":
        return _from_bytes(values, declared, owner)
    if declared.dtype not in allowed.get(kind, ()) or len(values) != prod(declared.shape):
        raise PackageError(f"A value of {owner} is declared to be {declared}, but {len(values)} {kind} stand there.")
    if kind == "strings":
        if declared.shape:
            raise PackageError(f"A value of {owner} is a list of words, which is not read here.")
        return str(values[0])
    return np.array(values, declared.dtype).reshape(declared.shape)


def _from_bytes(values: bytes, declared: TensorType, owner: str) -> NDArray[Any]:
    count = prod(declared.shape)
    if declared.dtype in ("string", "bool") or len(values) != -(-count * bits_of(declared.dtype) // 8):
        raise PackageError(f"A value of {owner} is declared to be {declared}, but {len(values)} bytes stand there.")
    if bits_of(declared.dtype) < 8:
        packed = np.frombuffer(values, np.uint8)
        flat = unpack_bits(packed, bits_of(declared.dtype), count, signed=declared.dtype.startswith("int"))
    else:
        flat = np.frombuffer(values, np.dtype(declared.dtype).newbyteorder("<")).astype(declared.dtype)
    return flat.reshape(declared.shape)
