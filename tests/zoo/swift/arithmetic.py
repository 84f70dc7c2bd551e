"""Runs the whole-number functions of the Swift sample: each line becomes a line of Python, with Swift's arithmetic.

Known are ``static let``, ``static func`` and, in them, ``let``, ``var``, assignments, ``append``, ``for ... in``,
``if`` and ``return``; every other line is refused. Precedence of operators is the same in both languages; division and
remainder are not, so numbers are of a class that computes as Swift does, and stops where 64 bits overflow.
"""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

__all__ = ["Int", "swift_functions"]


class Int(int):
    """A whole number as Swift has it: 64 bits, division towards zero."""

    def __new__(cls, value: int) -> "Int":
        if not -(2**63) <= value < 2**63:
            raise OverflowError(value)
        return super().__new__(cls, value)

    def __add__(self, other: int) -> "Int":
        return Int(int(self) + int(other))

    def __sub__(self, other: int) -> "Int":
        return Int(int(self) - int(other))

    def __mul__(self, other: int) -> "Int":
        return Int(int(self) * int(other))

    def __truediv__(self, other: int) -> "Int":
        size = abs(int(self)) // abs(int(other))
        return Int(size if (self < 0) == (other < 0) else -size)

    def __mod__(self, other: int) -> "Int":
        return self - self / other * other


def swift_functions(source: str) -> SimpleNamespace:
    """Returns the constants and functions of all ``static`` members, by name."""
    members: dict[str, Any] = {
        "Int": Int,
        "Named": SimpleNamespace,
        "count": lambda values: Int(len(values)),
        "span": lambda first, end: map(Int, range(first, end)),
    }
    recipe = re.search(r"^enum TileRecipe \{(.*?)^\}", source, re.DOTALL | re.MULTILINE)
    assert recipe
    constants = re.findall(r"static let (\w+) = (\S+)$", recipe[1], re.MULTILINE)
    members["TileRecipe"] = SimpleNamespace(**{name: eval(_expression(value), members) for name, value in constants})  # noqa: S307
    checks = re.search(r"static let checks: .*? = \[\n(.*?)^    \]$", source, re.DOTALL | re.MULTILINE)
    assert checks
    named = re.sub(r"(\w+): ", r"\1=", checks[1].replace("(", "Named("))
    members["checks"] = eval(_expression(f"[{named}]"), members)  # noqa: S307
    for function in re.findall(r"^    (static func .*?^    \})$", source, re.DOTALL | re.MULTILINE):
        exec("\n".join(_lines(function)), members)  # noqa: S102
    return SimpleNamespace(**members)


def _lines(function: str) -> Iterator[str]:
    joined = re.sub(r"\n\s*(?=&&|\|\|)|(?<= =)\n\s*", " ", function)
    depth = 0
    for line in (line.strip() for line in joined.splitlines()):
        if line == "}":
            depth -= 1
            continue
        yield "    " * depth + _line(line)
        depth += line.endswith("{")


def _line(line: str) -> str:
    """Returns a line of Swift as a line of Python."""
    for pattern, python in _FORMS:
        if found := re.fullmatch(pattern, line):
            return python.format(*found.groups(), *map(_expression, found.groups()))
    raise SyntaxError(f"not known here: {line}")


_FORMS = (  # what a line looks like, and its Python: first its groups as they stand, then as expressions
    (r"static func (\w+)\((?:_ )?(.*)\)(?: -> \S+)? \{", "def {0}({3}):"),
    (r"for (\w+) in (.+)\.\.<(.+) \{", "for {0} in span({4}, {5}):"),
    (r"for (\w+) in (\w+) \{", "for {0} in {1}:"),
    (r"if (.+) \{", "if {1}:"),
    (r"return (.+)", "return {1}"),
    (r"(?:let |var )?(\w+)(?:: \S+)? ([-+]?=) (.+)", "{0} {1} {5}"),
    (r"(\w+)\.append\((.+)\)", "{0}.append({3})"),
)


def _expression(text: str) -> str:
    """Returns an expression of Swift as one of Python."""
    if found := re.fullmatch(r"(.+) \? (.+) : (.+)", text):
        condition, yes, no = map(_expression, found.groups())
        return f"({yes} if {condition} else {no})"
    text = re.sub(r"(?:\b_ )?(\w+): \[?Int\]?", r"\1", text)  # a parameter
    text = re.sub(r"(?<![\w.])(\d[\d_]*)", r"Int(\1)", text)
    text = re.sub(r"(\w+)\.count\b", r"count(\1)", text)
    text = re.sub(r"!(?!=)", "not ", text)
    return text.replace("&&", "and").replace("||", "or")
