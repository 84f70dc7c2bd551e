"""Colours as sRGB: by ICC profile (lcms2), or by H.273 code points for pictures without one.

Source: ITU-T H.273 (code points); IEC 61966-2-1 (sRGB); SMPTE ST 2084 and ITU-R BT.2100 (PQ, HLG); ITU-R BT.2408
(reference white of 203 cd/m2).
"""

from io import BytesIO
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from sr_core.image.depth import change_depth
from sr_core.image.picture import Metadata, Samples

__all__ = ["cmyk_to_srgb", "is_srgb", "profile_space", "to_srgb"]

_BAND_ROWS: Final = 256
_INTENT: Final = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS: Final = ImageCms.Flags.BLACKPOINTCOMPENSATION

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
    return np.asarray(_through_profile(image, icc))


def to_srgb(pixels: Samples, bit_depth: int, metadata: Metadata) -> NDArray[np.uint8]:
    """Returns pixels as 8-bit sRGB for display; every pixel is converted by itself, so crops match the whole.

    A picture with an ICC profile goes through it. Without one, H.273 code points decide: Display P3 and BT.2020
    primaries are converted and clipped; PQ and HLG are shown with reference white (203 cd/m2) just below display
    white and highlights rolled off above 70 % of it. Unknown code points and unusable profiles count as sRGB.

    Args:
        pixels: (H, W, 3) or (H, W, 1), as in a Picture.
        bit_depth: Bits of a sample.
        metadata: Metadata of that Picture.

    Returns:
        (H, W, 3).
    """
    if metadata.icc is not None:
        return _by_profile(change_depth(pixels, bit_depth, 8), metadata.icc)
    if metadata.nclx is not None and not is_srgb(metadata.nclx):
        return _by_code_points(pixels, bit_depth, metadata.nclx)
    return _as_rgb(change_depth(pixels, bit_depth, 8))


def _as_rgb(pixels: Samples) -> NDArray[np.uint8]:
    """Returns 8-bit pixels with three channels."""
    eight = cast("NDArray[np.uint8]", pixels)
    return eight if eight.shape[2] == 3 else np.repeat(eight, 3, axis=2)


def _by_profile(pixels: Samples, icc: bytes) -> NDArray[np.uint8]:
    """Returns 8-bit pixels converted by a profile for grey or RGB."""
    space = profile_space(icc)
    if space == "GRAY" and pixels.shape[2] == 1:
        image = Image.fromarray(pixels[:, :, 0])
    elif space == "RGB":
        image = Image.fromarray(_as_rgb(pixels))
    else:
        return _as_rgb(pixels)
    try:
        return np.asarray(_through_profile(image, icc))
    except (ImageCms.PyCMSError, OSError):  # a damaged profile: browsers, too, show such a picture as sRGB
        return _as_rgb(pixels)


def _through_profile(image: Image.Image, icc: bytes) -> Image.Image:
    """Returns the image as sRGB, mode RGB."""
    srgb = ImageCms.createProfile("sRGB")
    profile = ImageCms.ImageCmsProfile(BytesIO(icc))
    transform = ImageCms.buildTransform(profile, srgb, image.mode, "RGB", _INTENT, _FLAGS)
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:  # only when asked to work in place
        raise ValueError("the profile conversion gave no picture")
    return converted


def _by_code_points(pixels: Samples, bit_depth: int, nclx: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Returns pixels decoded to linear light, brought to BT.709 primaries, rolled off and encoded as sRGB."""
    primaries, transfer, _, _ = nclx
    linear_of = _linear_table(transfer, bit_depth)
    matrix, luma = None, _BT709_LUMA
    if primaries in _P3:
        matrix, luma = np.asarray(_P3_TO_SRGB, dtype=np.float32), _P3_LUMA
    elif primaries == _BT2020:
        matrix, luma = np.asarray(_BT2020_TO_SRGB, dtype=np.float32), _BT2020_LUMA
    converted = np.empty((*pixels.shape[:2], 3), dtype=np.uint8)
    for top in range(0, pixels.shape[0], _BAND_ROWS):
        band = linear_of[pixels[top : top + _BAND_ROWS]]
        light = np.repeat(band, 3, axis=2) if band.shape[2] == 1 else band
        if transfer == _HLG:
            light = _hlg_display_light(light, luma)
        if matrix is not None:
            light = np.maximum(light @ matrix.T, 0)
        if transfer in (_PQ, _HLG):
            light = _rolled_off(light)
        converted[top : top + _BAND_ROWS] = np.rint(_srgb_encoded(np.clip(light, 0, 1)) * 255).astype(np.uint8)
    return converted


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
