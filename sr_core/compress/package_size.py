"""How many bytes a compact Core ML package takes, from the spec and the formats of its layers alone.

The weight file is counted: for each tensor a record of 64 bytes and its data, both on multiples of 64. The description
of the network is a protobuf, of which the parts were measured in packages of networks 60 and 180 wide; what they add up
to is a little more than is needed, so that a package that is planned within a budget stays within it.
"""

from math import prod
from typing import Final, assert_never

from sr_core.arch.storage import has_choice, is_table, palette_bits
from sr_core.compress.cost import shapes_of
from sr_core.spec import Formats, LayerFormat, SwinIRSpec

__all__ = ["description_bytes", "package_bytes_of", "weight_file_bytes"]

ALIGNMENT: Final = 64
IN_FILE: Final = 10
"""Values from which a constant lies in the weight file."""

LISTING: Final = 617
"""Manifest.json."""
FRAME: Final = 9_300
"""What a network without stages takes, with what the package says of itself."""
SPREAD: Final = 5_400
"""What it takes to spread position biases and mask."""
PLAIN_ATTENTION: Final = 4_015
SHIFTED_ATTENTION: Final = 6_313
MLP: Final = 2_217
CLOSING: Final = 840
BOTTLENECK: Final = 1_734
"""What a closing of three convolutions takes more than one of a single one."""
HEAD_COUNT: Final = 1_100
"""Shapes that are needed once for each different number of heads."""
FLOATS: Final = -117
"""What a weight in float16 takes more than one with a palette."""
CODES: Final = 76
"""What a weight in int8 takes more than one with a palette."""
SPARE: Final = 1.016
"""Longer numbers in wide networks, longer names in deep ones: 1.0137 was needed for 14 blocks, 1.0155 for 24."""


def package_bytes_of(spec: SwinIRSpec, formats: Formats, tile: int) -> int:
    """Returns how many bytes the files of a compact package take at most, unzipped.

    Args:
        spec: The network.
        formats: The format of each weight that has a choice.
        tile: Side of the square pictures that it takes.
    """
    return LISTING + description_bytes(spec, formats) + weight_file_bytes(spec, formats, tile)


def description_bytes(spec: SwinIRSpec, formats: Formats) -> int:
    """Returns the length of ``model.mlmodel`` in a compact package, or up to one or two per cent more."""
    blocks = [(i % 2 == 1, heads) for stage in spec.heads for i, heads in enumerate(stage) if heads]
    total = FRAME + _reconstruction(spec) + CLOSING * len(spec.heads) + SPREAD * bool(blocks)
    total += sum(SHIFTED_ATTENTION if is_shifted else PLAIN_ATTENTION for is_shifted, _ in blocks)
    total += HEAD_COUNT * max(len(set(blocks)) - 2, 0)
    total += MLP * sum(hidden > 0 for stage in spec.hidden for hidden in stage)
    if spec.resi_connection == "3conv":
        total += BOTTLENECK * (len(spec.heads) + 1)
    words = [word for name, word in formats if not is_table(name)]
    return round((total + FLOATS * words.count("float16") + CODES * words.count("int8")) * SPARE)


def weight_file_bytes(spec: SwinIRSpec, formats: Formats, tile: int) -> int:
    """Returns the length of ``weight.bin`` in a compact package, or up to 63 bytes more: the last tensor's padding.

    Args:
        spec: The network.
        formats: The format of each weight that has a choice.
        tile: Side of the square pictures that it takes.
    """
    listed, sizes, shapes = dict(formats), list[int](), shapes_of(spec)
    for name, shape in shapes.items():
        if not is_table(name) and ".norm1." not in name and ".norm2." not in name:
            sizes += _tensors(shape, listed[name] if has_choice(name, shape) else "float16")
    tables = {name: shape for name, shape in shapes.items() if is_table(name)}
    if tables:
        heads, offsets = sum(shape[1] for shape in tables.values()), (2 * spec.window - 1) ** 2
        sizes += _tensors((heads, offsets), "int8" if all(listed[name] == "int8" for name in tables) else "float16")
        if any(heads for stage in spec.heads for heads in stage[1::2]):  # a block is shifted
            sizes.append((4 if tile > spec.window else 1) * spec.window**4 // 8)
    return ALIGNMENT + sum(ALIGNMENT - (-size // ALIGNMENT) * ALIGNMENT for size in sizes)


def _tensors(shape: tuple[int, ...], word: LayerFormat) -> list[int]:
    """Returns the bytes of each tensor that a constant of this shape has in the weight file."""
    count, outputs = prod(shape), shape[0]
    match word:
        case "float16":
            return [2 * count] if count >= IN_FILE else []
        case "int8":
            return [count, *((outputs, 2 * outputs) if outputs >= IN_FILE else ())]
        case "palette6" | "palette4":
            bits = palette_bits(word)
            return [-(-count * bits // 8), 2 * 2**bits]
        case _:
            assert_never(word)


def _reconstruction(spec: SwinIRSpec) -> int:
    steps = {2: 1, 3: 1, 4: 2, 8: 3}[spec.scale]
    match spec.upsampler:
        case "pixelshuffledirect":
            return 0
        case "pixelshuffle":
            return 800 + 940 * steps
        case "nearest+conv":
            return 1_900 + 1_170 * steps
        case _:
            assert_never(spec.upsampler)
