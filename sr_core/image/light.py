"""Decoded integer samples that are proportional to light, as the signal of a Picture.

Source: ITU-T H.273, 8.2 (transfer characteristics).
"""

from typing import Final

import numpy as np

from sr_core.image.depth import change_depth
from sr_core.image.family import Decoded
from sr_core.image.picture import Metadata, Samples
from sr_core.image.transfer import fitted_transfer, signal_of_samples

__all__ = ["decoded_light", "is_light"]

_LINEAR: Final = 8


def is_light(metadata: Metadata) -> bool:
    """Returns whether code points say that samples are proportional to light; a profile goes before code points.

    Code values of PQ and HLG are perceptual already (see :mod:`sr_core.image.transfer`).
    """
    return metadata.icc is None and metadata.nclx is not None and metadata.nclx[1] == _LINEAR


def decoded_light(samples: Samples, channels: int, *, bits: int) -> Decoded:
    """Returns samples as a 16-bit signal, and how it was made.

    Args:
        samples: (H, W, C), alpha as the last channel if any.
        channels: Channels that are colours, and so light; alpha is not.
        bits: Bits of a sample.
    """
    colours = samples[:, :, :channels]
    transfer = fitted_transfer(colours, bits=bits)
    signal = signal_of_samples(colours, transfer)
    if channels < samples.shape[2]:
        alpha = change_depth(samples[:, :, channels:], bits, 16)
        signal = np.concatenate((signal, alpha), axis=2, dtype=np.uint16)
    return Decoded(samples=signal, transfer=transfer)
