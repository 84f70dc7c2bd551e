"""Padding by reflection for any size, as integers: the only place where padding is defined."""

__all__ = ["align", "reflect_indices"]


def align(size: int, multiple: int) -> int:
    """Returns the smallest multiple of ``multiple`` that is at least ``size``."""
    return -(-size // multiple) * multiple


def reflect_indices(size: int, padded: int) -> list[int]:
    """Returns for each of ``padded`` places the source index in ``range(size)``, reflected at the far edge.

    The edge itself is not repeated (``0 1 2 1 0 1 ...``), as in ``numpy.pad(mode="reflect")``, and the
    reflection goes on for as long as needed, so a single pixel can fill a window.
    """
    period = max(2 * (size - 1), 1)
    return [min(i % period, period - i % period) if size > 1 else 0 for i in range(padded)]
