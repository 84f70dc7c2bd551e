"""Samples that are proportional to light as a signal for the eye and the network, and back.

A network that was trained on sRGB pictures does poorly on linear light: what the eye sees as half of the range is a
fifth of it. The curve is that of sRGB after a logarithmic shoulder::

    signal = srgb(ln(1 + (lift - 1) * x) / ln(lift))      x: light, less floor, times gain; 0 to 1

A lift of 1 is the plain sRGB curve, which is what light for a display wants. A greater lift makes room for light far
above the middle: near black the curve is ``(lift - 1) / ln(lift)`` times as steep, and always finite.

Chosen by PSNR in dB of twice enlarged pictures as a display shows them (swinir-quick-x2-photos39; 320 x 320 of six
Kodak photos, and the same with highlights of 33 times display white, the peak being 1). They were made small by
averaging the signal, as the training did ("signal"), or light, as a lens does ("light"):

=========================  =============  ============  ===========  ==========
curve                      photo, signal  photo, light  HDR, signal  HDR, light
=========================  =============  ============  ===========  ==========
none                       28.47          28.87         22.10        21.88
square root                29.65          28.63         27.34        24.92
sRGB (a lift of 1)         29.66          28.48         27.32        25.07
HLG                        29.19          27.43         28.46        24.78
PQ                         29.33          27.39         29.48        23.87
logarithm, middle to 0.46  29.34          27.97         29.22        23.81
this one, middle to 0.10   29.63          28.30         29.28        24.33
this one, middle to 0.04   29.66          28.48         29.02        24.69
=========================  =============  ============  ===========  ==========

The middle goes to 0.04 because that gives HDR most of what there is to gain, and leaves photos to the sRGB curve. Code
values of HLG and PQ go to the network as they are: another curve would gain little and cost their exactness.

Source: IEC 61966-2-1 (sRGB curve).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "StoredAs", "Transfer", "fitted_transfer", "light_of", "samples_of", "signal_of", "signal_of_samples",
]  # fmt: skip

StoredAs: TypeAlias = Literal["linear"]
"""What samples of a file are, where they are no signal: proportional to light."""

_In = TypeVar("_In", bound=np.generic)
_Out = TypeVar("_Out", bound=np.generic)

_SIGNAL_PEAK: Final = 65535
_BAND_SAMPLES: Final = 1 << 20
_PLAIN_LIFT: Final = 1.0 + 1e-4  # below, the shoulder is straight to less than a step of the signal
_MOST_LIFT: Final = 1e9
_MIDDLE: Final = 0.04  # photos for displays have 0.05 to 0.25
_DARKEST: Final = 1e-7
_LOOK_SIDE: Final = 256
_HALVINGS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """How samples of a file became the 16-bit signal of a Picture.

    The light of a sample, less ``floor`` and times the gain of its channel, lies in [0, 1]; a curve that depends on
    ``lift`` alone turns it into the signal, and its inverse turns the signal back into light. What lies outside [0, 1]
    is clipped.

    Attributes:
        stored: What the samples of the file are. The light of an integer sample is 0 to 1.
        bits: Bits of a sample in the file.
        is_float: Whether the samples of the file are floating-point numbers.
        gains: For each channel, or one for all.
        floor: The light that becomes a signal of 0.
        lift: How much the curve lifts the middle; 1 is the sRGB curve.
    """

    stored: StoredAs
    bits: int
    is_float: bool = False
    gains: tuple[float, ...] = (1.0,)
    floor: float = 0.0
    lift: float = 1.0


def fitted_transfer(
    samples: NDArray[np.unsignedinteger | np.floating],
    *,
    bits: int,
    balance: tuple[float, ...] = (1.0,),
) -> Transfer:
    """Returns a transfer that brings the middle of a picture to where photos for displays have it.

    The middle is the geometric mean of the light. Pictures whose middle is not darker than usual get the sRGB curve.
    The same samples always give the same transfer.

    Args:
        samples: (H, W, C) integers of ``bits`` bits, or floating-point light; not finite numbers are passed over.
        bits: Bits of a sample in the file.
        balance: By how much the channels are multiplied in relation to each other (white balance), or 1 for all.
    """
    is_float = samples.dtype.kind == "f"
    floor, peak = _float_range(samples) if is_float else (0.0, 1.0)
    gains = tuple(gain / (max(balance) * (peak - floor)) for gain in balance)
    plain = Transfer(stored="linear", bits=bits, is_float=is_float, gains=gains, floor=floor)
    rows, columns = (max(1, side // _LOOK_SIDE) for side in samples.shape[:2])
    looked_at = samples[::rows, ::columns]
    light = looked_at.astype(np.float64) / (1 if is_float else (1 << bits) - 1)
    scaled = _scaled(light, plain).mean(axis=-1)
    seen = scaled[scaled > _DARKEST]
    middle = float(np.exp(np.log(seen).mean())) if seen.size else 1.0
    return replace(plain, lift=_lift_for(middle, _MIDDLE))


def signal_of(light: NDArray[np.floating], transfer: Transfer) -> NDArray[np.uint16]:
    """Returns light as the signal of a Picture, 65535 for 1.

    Args:
        light: (..., C), as the samples of the file state it. What is not a number counts as the floor.
        transfer: How.

    Returns:
        The same shape. :func:`light_of` gives back the light to half a step of the signal. Of the brightest light that
        is 1.2 / 65535 at a lift of 1 and ``1.2 * ln(lift) / 65535`` at a great one; of darker light it is less.
    """
    signal = np.empty(light.shape, dtype=np.uint16)
    for part, band in _bands(light, signal):
        scaled = np.nan_to_num(_scaled(part.astype(np.float64), transfer))
        band[...] = np.rint(_curve(scaled, transfer.lift) * _SIGNAL_PEAK)
    return signal


def light_of(signal: NDArray[np.uint16], transfer: Transfer) -> NDArray[np.float32]:
    """Returns the light that a signal stands for: the inverse of :func:`signal_of`.

    Args:
        signal: (..., C).
        transfer: How it was made.
    """
    light = np.empty(signal.shape, dtype=np.float32)
    tables = [table.astype(np.float32) for table in _light_tables(transfer)]
    for part, band in _bands(signal, light):
        _look_up(tables, part, band)
    return light


def signal_of_samples(samples: NDArray[np.uint8 | np.uint16], transfer: Transfer) -> NDArray[np.uint16]:
    """Returns integer samples of a file as the signal of a Picture, in bands.

    Args:
        samples: (H, W, C), 0 to ``2**transfer.bits - 1``.
        transfer: How; its samples are not floats.
    """
    light = np.linspace(0, 1, 1 << transfer.bits)
    tables = [
        np.rint(_curve(np.clip((light - transfer.floor) * gain, 0, 1), transfer.lift) * _SIGNAL_PEAK).astype(np.uint16)
        for gain in transfer.gains
    ]
    signal = np.empty(samples.shape, dtype=np.uint16)
    for part, band in _bands(samples, signal):
        _look_up(tables, part, band)
    return signal


def samples_of(signal: NDArray[np.uint16], transfer: Transfer) -> NDArray[np.uint8 | np.uint16]:
    """Returns the integer samples of a file that a signal stands for: the inverse of :func:`signal_of_samples`.

    Linear samples of up to 12 bits come back exactly where ``lift`` is at most 100 and gains are 1/2 to 1; others, and
    deeper ones, as near as :func:`signal_of` says: samples of 16 bits within 1 at a lift of 1.

    Args:
        signal: (H, W, C).
        transfer: How it was made; its samples are not floats.
    """
    peak = (1 << transfer.bits) - 1
    dtype = np.uint8 if transfer.bits == 8 else np.uint16
    tables = [np.rint(np.clip(light, 0, 1) * peak).astype(dtype) for light in _light_tables(transfer)]
    samples = np.empty(signal.shape, dtype=dtype)
    for part, band in _bands(signal, samples):
        _look_up(tables, part, band)
    return samples


def _bands(source: NDArray[_In], target: NDArray[_Out]) -> Iterator[tuple[NDArray[_In], NDArray[_Out]]]:
    """Yields parts of two arrays of one shape along their first axis, each of about a million samples."""
    step = max(1, _BAND_SAMPLES * len(source) // max(source.size, 1))
    for start in range(0, len(source), step):
        yield source[start : start + step], target[start : start + step]


def _look_up(tables: Sequence[NDArray[_Out]], codes: NDArray[np.unsignedinteger], found: NDArray[_Out]) -> None:
    """Writes the table value of each code, by one table for all channels or one for each; codes beyond are clipped."""
    if len(tables) == 1:
        np.take(tables[0], codes, out=found, mode="clip")
        return
    for channel, table in enumerate(tables):
        found[..., channel] = np.take(table, codes[..., channel], mode="clip")


def _float_range(light: NDArray[np.unsignedinteger | np.floating]) -> tuple[float, float]:
    """Returns the least light, at most 0, and the greatest of what is finite; 1 more than the least where all is one.

    A picture without negative light starts at 0, and one that fits into 0 to 1 ends at 1.
    """
    least, greatest = 0.0, 1.0
    for part, _ in _bands(light, light):
        finite = part[np.isfinite(part)]
        if finite.size:
            least, greatest = min(least, float(finite.min())), max(greatest, float(finite.max()))
    return least, greatest


def _scaled(light: NDArray[np.float64], transfer: Transfer) -> NDArray[np.float64]:
    """Returns light (..., C) less the floor and times the gains, clipped to [0, 1]."""
    return np.clip((light - transfer.floor) * np.asarray(transfer.gains), 0, 1)


def _curve(scaled: NDArray[np.float64], lift: float) -> NDArray[np.float64]:
    """Returns the signal, 0 to 1, of scaled light."""
    bent = scaled if lift < _PLAIN_LIFT else np.log1p((lift - 1) * scaled) / math.log(lift)
    return np.where(bent <= 0.0031308, bent * 12.92, 1.055 * np.maximum(bent, 1e-9) ** (1 / 2.4) - 0.055)


def _uncurved(signal: NDArray[np.float64], lift: float) -> NDArray[np.float64]:
    """Returns the scaled light of a signal of 0 to 1: the inverse of :func:`_curve`."""
    bent = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    return bent if lift < _PLAIN_LIFT else np.expm1(bent * math.log(lift)) / (lift - 1)


def _light_tables(transfer: Transfer) -> list[NDArray[np.float64]]:
    """Returns the light of each of the 65536 values of a signal, for each gain."""
    scaled = _uncurved(np.linspace(0, 1, _SIGNAL_PEAK + 1), transfer.lift)
    return [scaled / gain + transfer.floor for gain in transfer.gains]


def _lift_for(middle: float, wanted: float) -> float:
    """Returns the lift whose shoulder brings scaled light of ``middle`` up to ``wanted``; 1 where it is there."""
    if middle >= wanted:
        return 1.0
    low, high = 0.0, math.log(_MOST_LIFT)
    for _ in range(_HALVINGS):
        lift = math.exp((low + high) / 2)
        if math.log1p((lift - 1) * middle) < wanted * math.log(lift):
            low = (low + high) / 2
        else:
            high = (low + high) / 2
    return math.exp(high)
