"""Numbers out of a bitstream, bit by bit."""

from typing import Final

__all__ = ["Bits"]

_MOST_ZEROS: Final = 32


class Bits:
    """Reads numbers from the most significant bit on; beyond the end is an error.

    Args:
        data: A header; it should be short, as each number takes time in proportion to all of it.
    """

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        """Returns the next ``count`` bits as a number.

        Raises:
            ValueError: There are fewer.
        """
        if count > self._left:
            raise ValueError("a sequence header is cut short")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def flag(self) -> bool:
        """Returns the next bit."""
        return bool(self.take(1))

    def golomb(self, most: int = (1 << 32) - 2) -> int:
        """Returns the next number of variable length: zeros, then as many bits as there were, and one more.

        Args:
            most: The greatest number that makes sense.

        Raises:
            ValueError: It is greater.
        """
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros == _MOST_ZEROS:
                raise ValueError("a number of a sequence header is too long")
        number = (1 << zeros) - 1 + self.take(zeros)
        if number > most:
            raise ValueError("a number of a sequence header is too great")
        return number
