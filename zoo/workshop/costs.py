"""What was measured of a network to choose what goes from it: it takes minutes, so it is kept."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from sr_core.arch.swinir import SwinIR
from sr_core.compress.selective import Costs, measure_costs
from sr_core.errors import OptionError
from zoo.workshop.calibration import Calibration

__all__ = ["costs_of"]

_COSTS: Final = TypeAdapter(Costs)


def costs_of(  # noqa: PLR0913  what is measured, on what, where that is kept, and who is told
    module: SwinIR,
    weights_sha256: str,
    calibration: Calibration,
    *,
    repairs: bool,
    folder: Path | None,
    report: Callable[[str], None],
    is_fresh: bool = False,
) -> Costs:
    """Returns the costs of a network on calibration tiles.

    Args:
        module: The network.
        weights_sha256: Of its weight file; the costs of other weights are others.
        calibration: The tiles.
        repairs: Whether the layers that are left are solved for again.
        folder: Where costs that were measured before lie, and new ones are kept; None to keep none.
        report: Is told what is being done.
        is_fresh: Whether to measure anew what was kept; it takes the place of that.

    Raises:
        OptionError: What was kept is damaged.
    """
    key = hashlib.sha256(f"{weights_sha256} {calibration.record.sha256}".encode()).hexdigest()[:16]
    path = None if folder is None else folder / f"costs-{'repaired' if repairs else 'plain'}-{key}.json"
    if path is not None and path.is_file() and not is_fresh:
        try:
            return _COSTS.validate_json(path.read_bytes())
        except ValidationError as error:
            raise OptionError(f"What was measured before and kept in {path} is damaged; remove that file.") from error
    costs = measure_costs(module, calibration.tiles, repairs=repairs, report=report)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(_COSTS.dump_json(costs))
        part.replace(path)
    return costs
