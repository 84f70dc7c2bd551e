"""Weight files: the project's own safetensors, and the published SwinIR checkpoints."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from sr_core.arch.build import build
from sr_core.arch.storage import check_covered, decode, encode
from sr_core.arch.swinir import SwinIR
from sr_core.errors import OptionError, WeightsError
from sr_core.spec import Formats, SwinIRSpec, Variant, check_formats, spec_from_json

__all__ = [
    "PUBLISHED_SHA256",
    "load_described",
    "load_official",
    "load_weights",
    "read_formats",
    "read_header",
    "read_note",
    "save_weights",
    "sha256_of",
]

PUBLISHED_SHA256: Mapping[str, str] = {
    "002_lightweightSR_DIV2K_s64w8_SwinIR-S_x2.pth": "193b229909ca89cd8b55de9c9e7fce146ae759d59dfcd78d8feb9dd1d6fa0fd7",
    "002_lightweightSR_DIV2K_s64w8_SwinIR-S_x4.pth": "09fad24e32ae62722e1a055efde9921328f4137981bab0a42a4a3a806306c58e",
    "001_classicalSR_DF2K_s64w8_SwinIR-M_x2.pth": "2032ebf8f401dd3ce2fae5f3852117cb72101ec6ed8358faa64c2a3fa09ed4ac",
    "001_classicalSR_DF2K_s64w8_SwinIR-M_x4.pth": "4e78e33f22c1aa8a773db0cf4a7381bae97c2362c717f155439ebc690cbd9215",
    "003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x4_GAN.pth": (
        "b9afb61e65e04eb7f8aba5095d070bbe9af28df76acd0c9405aeb33b814bcfc6"
    ),
    "003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x2_GAN.pth": (
        "f397408977a3e07eb06afb7238d453a12ef35ebab7328a54241f307860dbe342"
    ),
    "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth": (
        "99adfa91350a84c99e946c1eb3d8fce34bc28f57d807b09dc8fe40a316328c0a"
    ),
}
"""The v0.0 release of JingyunLiang/SwinIR (Apache-2.0), by file name."""

FORMATS: Final = "formats"
"""The header entry that says how each layer of a ``mixed-bit`` network is stored."""


def save_weights(module: SwinIR, path: Path, variant: Variant, note: Mapping[str, str] | None = None) -> None:
    """Writes the weights as safetensors, with the variant's id, spec and formats in the header; the same bytes always.

    Args:
        module: The network; its spec must be the variant's.
        path: Where to write; replaced only when the new file is complete.
        variant: Says how the weights are stored.
        note: Further header entries, such as the training data.

    Raises:
        WeightsError: The network is not of the variant's spec, the variant's formats are not those of its layers, a
            weight is not a finite number as stored, or it does not lie on the grid of the variant's precision.
    """
    if module.spec != variant.spec:
        raise WeightsError(f"The network is not of the spec of {variant.id}.")
    if variant.precision == "mixed-bit":
        check_covered(_shapes(module), variant.formats)
    tensors = encode(module.state_dict(), variant.precision, variant.formats)
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"The weight {name} of {variant.id} is not finite as {variant.precision}.")
    header = {"format": "pt", **(note or {}), "id": variant.id, "spec": json.dumps(variant.spec.to_json())}
    if variant.formats:
        header[FORMATS] = json.dumps(dict(variant.formats))
    part = path.with_name(path.name + ".part")
    part.write_bytes(_in_order(save(tensors, metadata=header)))
    part.chmod(0o644)  # whoever serves the models may be another user than the one who made them
    part.replace(path)


def read_header(path: Path) -> tuple[str, SwinIRSpec]:
    """Returns the variant id and the spec that a weight file says it has.

    Raises:
        WeightsError: The file is missing, is no safetensors file, or carries no id and spec.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = cast(dict[str, str], file.metadata() or {})
        return header["id"], spec_from_json(json.loads(header["spec"]))
    except FileNotFoundError as error:
        raise WeightsError(f"The weight file {path.name} is missing.") from error
    except (SafetensorError, OSError, TypeError, ValueError, OptionError) as error:
        raise WeightsError(f"The weight file {path.name} is damaged or of an unknown kind: {error}") from error
    except KeyError as error:
        raise WeightsError(f"The weight file {path.name} does not say which model it belongs to.") from error


def read_note(path: Path) -> dict[str, str]:
    """Returns the further header entries of a weight file, such as its training data and steps.

    Raises:
        WeightsError: The file is missing, is no safetensors file, or carries no id and spec.
    """
    read_header(path)
    with safe_open(path, framework="pt") as file:
        header = cast(dict[str, str], file.metadata())
    return {key: value for key, value in header.items() if key not in ("format", "id", "spec", FORMATS)}


def read_formats(path: Path) -> Formats:
    """Returns how a weight file says that its layers are stored; empty where it is not ``mixed-bit``.

    Raises:
        WeightsError: The file is missing, is no safetensors file, or its header is damaged.
    """
    read_header(path)
    with safe_open(path, framework="pt") as file:
        header = cast(dict[str, str], file.metadata())
    if FORMATS not in header:
        return ()
    try:
        formats = tuple(sorted(json.loads(header[FORMATS]).items()))
        check_formats("mixed-bit", formats)
    except (AttributeError, TypeError, ValueError, OptionError) as error:
        raise WeightsError(f"The weight file {path.name} is damaged: its formats cannot be read.") from error
    return formats


def load_weights(path: Path, variant: Variant) -> SwinIR:
    """Returns the network of a variant with the weights of a file, in float32 and in evaluation mode.

    Raises:
        WeightsError: The file is missing or damaged, belongs to another model, or its tensors do not fit the spec.
    """
    stored_id, stored_spec = read_header(path)
    if stored_id != variant.id:
        raise WeightsError(f"The weight file {path.name} belongs to {stored_id}, not to {variant.id}.")
    if stored_spec != variant.spec:
        raise WeightsError(f"The weight file {path.name} has another network shape than {variant.id} is listed with.")
    if read_formats(path) != variant.formats:
        raise WeightsError(f"The weight file {path.name} has layers in other formats than {variant.id} is listed with.")
    return load_described(path)[1]


def load_described(path: Path) -> tuple[str, SwinIR]:
    """Returns the id and the network of a weight file as the file describes itself, in float32, for evaluation.

    Raises:
        WeightsError: The file is missing or damaged, or its tensors do not fit the network that it names.
    """
    variant_id, spec = read_header(path)
    try:
        stored = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"The weight file {path.name} is damaged: {error}") from error
    module = build(spec)
    return variant_id, _fill(module, decode(stored, _shapes(module)), path.name)


def load_official(path: Path, spec: SwinIRSpec) -> SwinIR:
    """Returns the network of a spec with the weights of a published SwinIR checkpoint (``.pth``).

    Reads with restricted unpickling, so a hostile file can run nothing. The file's sha256 is checked when its
    name is that of a published file.

    Args:
        path: The checkpoint; a dict of tensors, or one under ``params_ema`` or ``params``.
        spec: The shape of the network, unpruned.

    Raises:
        WeightsError: The file is missing, damaged, not the published one, or does not fit the spec.
    """
    if not path.is_file():
        raise WeightsError(f"The checkpoint {path.name} is missing.")
    expected = PUBLISHED_SHA256.get(path.name)
    if expected and sha256_of(path) != expected:
        raise WeightsError(f"The checkpoint {path.name} is not the published file: its sha256 differs.")
    try:
        stored: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever a damaged or hostile file provokes
        raise WeightsError(
            f"The checkpoint {path.name} cannot be read safely: it is damaged or no weight file."
        ) from error
    tensors = stored
    for key in ("params_ema", "params"):
        if isinstance(stored, dict) and key in stored:
            tensors = cast(Any, stored[key])
            break
    if not isinstance(tensors, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in tensors.items()
    ):
        raise WeightsError(f"The checkpoint {path.name} holds no table of weights.")
    return _fill(build(spec), _from_official(cast(dict[str, Tensor], tensors), spec, path.name), path.name)


def sha256_of(path: Path) -> str:
    """Returns the sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _in_order(file: bytes) -> bytes:
    """Returns a safetensors file with its header entries sorted: the library (0.8) shuffles them from save to save."""
    length = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format keeps the tensors at multiples of eight bytes
    return len(text).to_bytes(8, "little") + text + file[8 + length :]


def _shapes(module: SwinIR) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in module.state_dict().items()}


def _fill(module: SwinIR, tensors: dict[str, Tensor], name: str) -> SwinIR:
    expected = _shapes(module)
    missing, further = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or further:
        first = f"{missing[0]} is missing" if missing else f"{further[0]} is not part of it"
        raise WeightsError(
            f"The weights in {name} do not fit the network: {len(missing)} missing, {len(further)} unknown ({first})."
        )
    for key, shape in expected.items():
        if tensors[key].shape != shape:
            raise WeightsError(
                f"The weight {key} in {name} has the shape {tuple(tensors[key].shape)}, expected {tuple(shape)}."
            )
        if not torch.isfinite(tensors[key]).all():
            raise WeightsError(f"The weight {key} in {name} is not finite.")
    module.load_state_dict(tensors, strict=True)
    return module.eval()


def _from_official(tensors: dict[str, Tensor], spec: SwinIRSpec, name: str) -> dict[str, Tensor]:
    """Renames the published keys; tables that are computed here are left out, any other unknown key stays."""
    names = _official_names(spec)
    renamed: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if key.endswith((".attn_mask", ".relative_position_index")):
            continue
        prefix, _, leaf = key.rpartition(".")
        target = f"{names[prefix]}.{leaf}" if prefix in names else key
        if target in renamed:
            raise WeightsError(f"The checkpoint {name} holds the weight {target} twice.")
        renamed[target] = value.float()
    return renamed


def _official_names(spec: SwinIRSpec) -> dict[str, str]:
    """Returns the modules whose published name differs from the name here."""
    steps = {2: 1, 3: 1, 4: 2, 8: 3}[spec.scale]
    names = {"patch_embed.norm": "patch_norm"}
    match spec.upsampler:
        case "pixelshuffledirect":
            names["upsample.0"] = "reconstruction.0"
        case "pixelshuffle":
            names["conv_before_upsample.0"] = "reconstruction.0"
            names |= {f"upsample.{2 * i}": f"reconstruction.{2 + 2 * i}" for i in range(steps)}
            names["conv_last"] = f"reconstruction.{2 + 2 * steps}"
        case "nearest+conv":
            names["conv_before_upsample.0"] = "reconstruction.0"
            names |= {f"conv_up{i + 1}": f"reconstruction.{3 + 3 * i}" for i in range(steps)}
            names |= {"conv_hr": f"reconstruction.{2 + 3 * steps}", "conv_last": f"reconstruction.{4 + 3 * steps}"}
    return names
