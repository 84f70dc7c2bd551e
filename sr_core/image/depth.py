"""Samples of one bit depth at another: the only place where a depth is changed."""

from typing import Final

import numpy as np

from sr_core.image.picture import Samples

__all__ = ["change_depth"]

_BAND_ROWS: Final = 256


def change_depth(samples: Samples, bits_in: int, bits_out: int) -> Samples:
    """Returns the samples scaled so that full intensity stays full intensity.

    Args:
        samples: (H, W, C) or (H, W) of 0 to ``2**bits_in - 1``.
        bits_in: Bit depth of ``samples``.
        bits_out: Bit depth wanted; uint8 for 8 bits, uint16 for more.

    Returns:
        ``round(sample * peak_out / peak_in)``, same shape; ``samples`` itself when the depths are equal.
    """
    if bits_in == bits_out:
        return samples
    peak_in, peak_out = (1 << bits_in) - 1, (1 << bits_out) - 1
    codes = np.arange(peak_in + 1, dtype=np.uint64)
    scaled = (codes * peak_out + peak_in // 2) // peak_in
    table: Samples = scaled.astype(np.uint8) if bits_out == 8 else scaled.astype(np.uint16)
    changed: Samples = np.empty(samples.shape, dtype=table.dtype)
    # In bands, because a look-up makes 8-byte indices, eight times the picture.
    for top in range(0, samples.shape[0], _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        np.take(table, samples[band], out=changed[band], mode="clip")
    return changed
