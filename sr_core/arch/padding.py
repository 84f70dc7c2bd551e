"""Padding for any size, as lists of source indices: the only place where padding is defined.

Two rules, both repeated for as long as needed, so that a single pixel can fill a window. A network on its own pads as
the published one does (``reflect_indices``). Around a whole picture the edge is repeated (``mirror_indices``): output
pixels lie a quarter pixel outside the outermost input pixels, and without the repetition the slope there turns round,
which cost 1 to 3 dB in the outer two pixels of enlarged photos.
"""

__all__ = ["align", "mirror_indices", "reflect_indices"]


def align(size: int, multiple: int) -> int:
    """Returns the smallest multiple of ``multiple`` that is at least ``size``."""
    return -(-size // multiple) * multiple


def reflect_indices(size: int, padded: int) -> list[int]:
    """Returns for each of ``padded`` places the source index in ``range(size)``, reflected at the far edge.

    The edge itself is not repeated (``0 1 2 1 0 1 ...``), as in ``numpy.pad(mode="reflect")``.
    """
    period = max(2 * (size - 1), 1)
    return [min(i % period, period - i % period) if size > 1 else 0 for i in range(padded)]


def mirror_indices(size: int, padded: int, *, lead: int) -> list[int]:
    """Returns for each of ``padded`` places the source index in ``range(size)``, mirrored at both edges.

    The edge is repeated (``1 0 0 1 2 2 1 ...``), as in ``numpy.pad(mode="symmetric")``.

    Args:
        size: Places of the source, at least 1.
        padded: Places to fill, those of ``lead`` included.
        lead: Places that lie before index 0.
    """
    period = 2 * size
    return [min(i % period, period - 1 - i % period) for i in range(-lead, padded - lead)]
