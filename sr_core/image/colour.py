"""Colours as sRGB: by ICC profile (lcms2), or by H.273 code points for pictures without one.

Source: ITU-T H.273 (code points); IEC 61966-2-1 (sRGB); SMPTE ST 2084 and ITU-R BT.2100 (PQ, HLG); ITU-R BT.2408
(reference white of 203 cd/m2).
"""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, Final, Literal, TypeAlias, TypeVar

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from sr_core.image.camera import to_linear_srgb
from sr_core.image.depth import change_depth
from sr_core.image.picture import Metadata, Samples
from sr_core.image.transfer import Transfer, light_of

__all__ = ["cmyk_to_srgb", "is_srgb", "profile_space", "to_srgb"]

_LightReader: TypeAlias = Callable[[Samples], NDArray[np.float32]]
_Sample = TypeVar("_Sample", bound=np.generic)

_BAND_PIXELS: Final = 1 << 19
_INTENT: Final = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS: Final = ImageCms.Flags.BLACKPOINTCOMPENSATION

_BT709: Final = 1
_BT2020: Final = 9
_P3: Final = (11, 12)
_GAMMA_22: Final = 4
_GAMMA_28: Final = 5
_LINEAR: Final = 8
_PQ: Final = 16
_HLG: Final = 18
_OTHER_TRANSFERS: Final = (_GAMMA_22, _GAMMA_28, _LINEAR, _PQ, _HLG)

_WHITE_NITS: Final = 203.0
_HLG_PEAK_NITS: Final = 1000.0
_HLG_SYSTEM_GAMMA: Final = 1.2
_KNEE: Final = 0.7
_BEYOND_WHITE: Final = 1.001

_D65: Final = (0.3127, 0.3290)
_BT709_XY: Final = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)

_P3_TO_SRGB: Final = ((1.2249401, -0.2249404, 0.0), (-0.0420569, 1.0420571, 0.0), (-0.0196376, -0.0786361, 1.0982735))
_BT2020_TO_SRGB: Final = (
    (1.6604910, -0.5876411, -0.0728499),
    (-0.1245505, 1.1328999, -0.0083494),
    (-0.0181508, -0.1005789, 1.1187297),
)
_BT2020_LUMA: Final = (0.2627, 0.6780, 0.0593)
_P3_LUMA: Final = (0.2289746, 0.6917385, 0.0792869)
_BT709_LUMA: Final = (0.2126, 0.7152, 0.0722)


def profile_space(icc: bytes | None) -> str | None:
    """Returns the colour space an ICC profile is for, such as "RGB", "GRAY" or "CMYK"; None without a valid header."""
    if icc is None or icc[36:40] != b"acsp":
        return None
    return icc[16:20].decode("ascii", "replace").strip()


def is_srgb(nclx: tuple[int, int, int, int] | None) -> bool:
    """Returns whether code points are shown as sRGB: BT.709 primaries and a curve of the BT.709 and sRGB kind."""
    return nclx is None or (nclx[0] != _BT2020 and nclx[0] not in _P3 and nclx[1] not in _OTHER_TRANSFERS)


def cmyk_to_srgb(image: Image.Image, icc: bytes | None) -> NDArray[np.uint8]:
    """Returns a CMYK picture as (H, W, 3) sRGB.

    Args:
        image: Mode CMYK.
        icc: Its profile; without one the plain formula R = (1 - C)(1 - K) is used.

    Raises:
        ImageCms.PyCMSError: The profile is not one for CMYK.
        OSError: The profile is damaged.
    """
    if icc is None:
        return np.asarray(image.convert("RGB"))
    srgb = ImageCms.createProfile("sRGB")
    profile = ImageCms.ImageCmsProfile(BytesIO(icc))
    transform = ImageCms.buildTransform(profile, srgb, image.mode, "RGB", _INTENT, _FLAGS)
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:  # only when asked to work in place
        raise ValueError("the profile conversion gave no picture")
    return np.asarray(converted)


def to_srgb(pixels: Samples, bit_depth: int, metadata: Metadata, *, bits: Literal[8, 16] = 8) -> Samples:
    """Returns pixels as sRGB; every pixel is converted by itself, so crops match the whole.

    The signal of a RAW photo becomes light and goes through the colours of its camera. Any other picture with an ICC
    profile goes through that. Without one, H.273 code points decide: Display P3 and BT.2020 primaries are converted
    and clipped; PQ and HLG are shown with reference white (203 cd/m2) just below display white. Highlights of HDR
    pictures are rolled off above 70 % of display white. Unknown code points and unusable profiles count as sRGB.

    Args:
        pixels: (H, W, 3) or (H, W, 1), as in a Picture.
        bit_depth: Bits of a sample.
        metadata: Metadata of that Picture.
        bits: Depth of the result.

    Returns:
        (H, W, 3).
    """
    if metadata.transfer is not None:
        return _from_light(pixels, _signal_reader(pixels.shape[2], metadata, metadata.transfer), bits)
    if metadata.icc is not None:
        return _by_profile(pixels, bit_depth, metadata.icc, bits)
    if metadata.nclx is not None and not is_srgb(metadata.nclx):
        return _from_light(pixels, _code_reader(bit_depth, metadata.nclx), bits)
    return _as_rgb(change_depth(pixels, bit_depth, bits))


def _as_rgb(pixels: NDArray[_Sample]) -> NDArray[_Sample]:
    """Returns pixels with three channels."""
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)


def _by_profile(pixels: Samples, bit_depth: int, icc: bytes, bits: Literal[8, 16]) -> Samples:
    """Returns pixels converted by a profile for grey or RGB."""
    converted, srgb, depth = _empty(pixels, bits), _srgb_profile(), 8 if bit_depth == 8 else 16
    is_grey = pixels.shape[2] == 1 and profile_space(icc) == "GRAY"
    try:
        table = _through_profile(_every_code(depth), icc, srgb, converted.dtype)[0] if is_grey else None
        for band in _bands(pixels):
            samples = change_depth(pixels[band], bit_depth, depth)
            if table is not None:
                converted[band] = table[samples[:, :, 0]]
            else:
                converted[band] = _through_profile(samples, icc, srgb, converted.dtype)
    except imagecodecs.CmsError:  # a damaged profile: browsers, too, show such a picture as sRGB
        return _as_rgb(change_depth(pixels, bit_depth, bits))
    return converted


def _every_code(bits: Literal[8, 16]) -> Samples:
    """Returns a row of grey pixels, one of each code."""
    codes = np.arange(1 << bits).reshape(1, -1, 1)
    return codes.astype(np.uint8) if bits == 8 else codes.astype(np.uint16)


def _through_profile(
    pixels: NDArray[np.uint8 | np.uint16 | np.float32], icc: bytes, target: bytes, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Returns pixels (H, W, 1 or 3) converted by their profile to a profile for RGB.

    Raises:
        imagecodecs.CmsError: The profile is damaged, or not one for such pixels.
    """
    is_grey = pixels.shape[2] == 1 and profile_space(icc) == "GRAY"
    return imagecodecs.cms_transform(
        np.ascontiguousarray(pixels[:, :, 0] if is_grey else _as_rgb(pixels)),
        icc,
        target,
        colorspace="gray" if is_grey else "rgb",
        outcolorspace="rgb",
        outdtype=dtype,
        intent=int(_INTENT),
        # To make it fast, lcms2 puts too few steps into the dark end of grey; that of RGB comes out well.
        flags=int(_FLAGS | ImageCms.Flags.NOOPTIMIZE if is_grey else _FLAGS),
    )


def _from_light(pixels: Samples, reader: _LightReader, bits: Literal[8, 16]) -> Samples:
    """Returns pixels as sRGB of the light that a reader finds in them, band by band."""
    peak = np.float32((1 << bits) - 1)
    converted = _empty(pixels, bits)
    for band in _bands(pixels):
        light = np.clip(reader(pixels[band]), 0, 1)
        converted[band] = np.rint(_srgb_encoded(light) * peak)
    return converted


def _empty(pixels: Samples, bits: Literal[8, 16]) -> Samples:
    """Returns room for pixels as sRGB."""
    return np.empty((*pixels.shape[:2], 3), dtype=np.uint8 if bits == 8 else np.uint16)


def _bands(pixels: Samples) -> Iterator[slice]:
    """Yields rows that make up about half a million pixels together."""
    rows = max(1, _BAND_PIXELS // max(pixels.shape[1], 1))
    return (slice(top, top + rows) for top in range(0, pixels.shape[0], rows))


def _signal_reader(channels: int, metadata: Metadata, transfer: Transfer) -> _LightReader:
    """Returns what reads linear sRGB, 1 being display white, in a 16-bit signal that a transfer made of light."""
    icc, camera = metadata.icc, metadata.camera
    if camera is not None:
        return lambda band: to_linear_srgb(light_of(band.astype(np.uint16, copy=False), transfer), camera)
    is_hdr = transfer.is_float and transfer.floor + 1 / min(transfer.gains) > _BEYOND_WHITE
    matrix, _ = _primaries(metadata.nclx[0] if metadata.nclx is not None else _BT709)
    linear_srgb = _linear_srgb_profile()
    if icc is not None and not _is_usable(icc, linear_srgb, channels):
        icc = None

    def read(band: Samples) -> NDArray[np.float32]:
        light = light_of(band.astype(np.uint16, copy=False), transfer)
        if icc is not None:
            light = _through_profile(light, icc, linear_srgb, np.dtype(np.float32))
        elif matrix is not None:
            light = _as_rgb(light) @ matrix.T
        light = np.maximum(_as_rgb(light), 0)
        return _rolled_off(light) if is_hdr else light

    return read


def _code_reader(bit_depth: int, nclx: tuple[int, int, int, int]) -> _LightReader:
    """Returns what reads linear sRGB, 1 being display white, in samples that code points describe."""
    primaries, transfer, _, _ = nclx
    linear_of = _linear_table(transfer, bit_depth)
    matrix, luma = _primaries(primaries)

    def read(band: Samples) -> NDArray[np.float32]:
        light = _as_rgb(linear_of[band])
        if transfer == _HLG:
            light = _hlg_display_light(light, luma)
        if matrix is not None:
            light = np.maximum(light @ matrix.T, 0)
        return _rolled_off(light) if transfer in (_PQ, _HLG) else light

    return read


def _primaries(primaries: int) -> tuple[NDArray[np.float32] | None, tuple[float, float, float]]:
    """Returns the matrix to linear sRGB, None where there is nothing to do, and the shares of luminance."""
    if primaries in _P3:
        return np.asarray(_P3_TO_SRGB, dtype=np.float32), _P3_LUMA
    if primaries == _BT2020:
        return np.asarray(_BT2020_TO_SRGB, dtype=np.float32), _BT2020_LUMA
    return None, _BT709_LUMA


def _srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _linear_srgb_profile() -> bytes:
    return imagecodecs.cms_profile("rgb", whitepoint=_D65, primaries=_BT709_XY, gamma=1.0)


def _is_usable(icc: bytes, target: bytes, channels: int) -> bool:
    """Returns whether light of so many channels can be converted from a profile to another."""
    try:
        _through_profile(np.zeros((1, 1, channels), dtype=np.float32), icc, target, np.dtype(np.float32))
    except imagecodecs.CmsError:
        return False
    return True


def _linear_table(transfer: int, bit_depth: int) -> NDArray[np.float32]:
    """Returns the linear light of each code: 1 is display white, for PQ reference white, for HLG scene peak."""
    signal = np.linspace(0, 1, 1 << bit_depth, dtype=np.float64)
    match transfer:
        case 4:
            linear = signal**2.2
        case 5:
            linear = signal**2.8
        case 8:
            linear = signal
        case 16:  # SMPTE ST 2084, inverse EOTF constants m1, m2, c1, c2, c3
            root = signal ** (1 / 78.84375)
            linear = (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
            linear *= 10000 / _WHITE_NITS
        case 18:  # BT.2100, HLG inverse OETF with a, b, c
            low, high = signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
            linear = np.where(signal <= 0.5, low, high)
        case _:
            linear = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def _hlg_display_light(scene: NDArray[np.float32], luma: tuple[float, float, float]) -> NDArray[np.float32]:
    """Returns what a display of 1000 cd/m2 shows of scene light (BT.2100, HLG OOTF), 1 being reference white."""
    luminance = np.maximum(scene @ np.asarray(luma, dtype=np.float32), 1e-6)[:, :, np.newaxis]
    gain = luminance ** (_HLG_SYSTEM_GAMMA - 1) * (_HLG_PEAK_NITS / _WHITE_NITS)
    return scene * gain.astype(np.float32)


def _rolled_off(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns light with its brightest channel brought below 1 smoothly; ratios of the channels, so hues, stay."""
    brightest = np.maximum(light.max(axis=2, keepdims=True), 1e-6)
    room = 1 - _KNEE
    bent = _KNEE + room * (1 - np.exp(-(np.maximum(brightest, _KNEE) - _KNEE) / room))
    return light * (np.where(brightest > _KNEE, bent, brightest) / brightest)


def _srgb_encoded(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns linear light of 0 to 1 as the sRGB signal."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055).astype(
        np.float32
    )
