"""Speed and agreement of the engines, the plain module and the official SwinIR code on the same weights.

    python -m bench --spec light --tile 128 --runs 7

All are timed in one interleaved run: every round times each of them once, in an order that changes from round to
round, and a ratio is formed inside a round. So a machine that is busy for a while slows them all alike. A ratio above
1 means faster than the official code.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from sr_core.arch.build import build
from sr_core.arch.swinir import SwinIR
from sr_core.arch.weights import load_described, load_official
from sr_core.errors import OptionError, SRError
from sr_core.infer.window_engine import WindowEngine, fast_compute
from sr_core.spec import SwinIRSpec, swinir_spec
from tests.peers import official_weights, peer_swinir, randomize

Run = Callable[[Tensor], Tensor]

PEER = "official code (spandrel)"
SPECS: dict[str, SwinIRSpec] = {
    "light": swinir_spec(scale=2, embed_dim=60, depths=(6,) * 4, heads=6),
    "classical": swinir_spec(scale=2, embed_dim=180, depths=(6,) * 6, heads=6, upsampler="pixelshuffle"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one implementation reached.

    Attributes:
        name: The implementation.
        ratio: Median speed as a multiple of the baseline's, round by round.
        lowest: Smallest ratio of a round.
        highest: Largest ratio of a round.
        seconds: Median time of one tile.
        agreement_db: PSNR against the plain module in float32, peak 1.
        agreement_8bit_db: The same after rounding both to 8 bits; None where no value differs.
    """

    name: str
    ratio: float
    lowest: float
    highest: float
    seconds: float
    agreement_db: float | None
    agreement_8bit_db: float | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints what the command line asks for; returns the exit status."""
    options = _parse(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        module = _network(options.spec)
        rows = measure(module, tile=options.tile, runs=options.runs, bfloat16=options.bfloat16, cpu=options.cpu)
    except SRError as error:
        print(error, file=sys.stderr)
        return 2
    setting = {
        "spec": options.spec,
        "scale": module.spec.scale,
        "tile": options.tile,
        "runs": options.runs,
        "threads": torch.get_num_threads(),
        "clock": "cpu" if options.cpu else "wall",
        "fast_compute": fast_compute(),
        "torch": torch.__version__,
    }
    if options.json:
        print(json.dumps({**setting, "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        print(", ".join(f"{key} {value}" for key, value in setting.items()))
        print(table(rows))
    return 0


def measure(module: SwinIR, *, tile: int, runs: int, bfloat16: bool = False, cpu: bool = False) -> list[Row]:
    """Returns a row for each implementation, timed in one interleaved run on one picture.

    Args:
        module: The network; where its spec is pruned, the plain module is the baseline instead of the official code.
        tile: Height and width of the picture, a multiple of the window.
        runs: Rounds, after one that is not counted.
        bfloat16: Also measure the engine with bfloat16 products, which is slow on a CPU without them.
        cpu: Count CPU time instead of wall time, which a busy machine disturbs less.

    Raises:
        OptionError: The tile or the number of runs is outside its range.
    """
    if tile < 1 or tile % module.spec.window or runs < 1:
        raise OptionError(f"A tile must be a multiple of {module.spec.window} and runs at least 1, not {tile}, {runs}.")
    subjects: dict[str, Run] = {}
    try:
        peer = peer_swinir(module.spec)
        peer.load_state_dict(official_weights(module), strict=False)
        subjects[PEER] = peer
    except OptionError as error:
        print(f"No peer: {error}", file=sys.stderr)
    subjects["plain module"] = module
    subjects["window engine, float32"] = WindowEngine(module, "float32").run
    if bfloat16 or fast_compute() == "bfloat16":
        subjects["window engine, bfloat16"] = WindowEngine(module, "bfloat16").run

    picture = _photo_like(tile)
    with torch.inference_mode():
        results = {name: run(picture) for name, run in subjects.items()}
        seconds = _time(subjects, picture, runs, time.process_time if cpu else time.perf_counter)
    baseline = seconds[next(iter(subjects))]
    rows: list[Row] = []
    for name, times in seconds.items():
        ratios = [base / own for base, own in zip(baseline, times, strict=True)]
        exact = results["plain module"]
        row = Row(
            name=name,
            ratio=statistics.median(ratios),
            lowest=min(ratios),
            highest=max(ratios),
            seconds=statistics.median(times),
            agreement_db=_agreement_db(results[name], exact),
            agreement_8bit_db=_agreement_db(_round_8bit(results[name]), _round_8bit(exact)),
        )
        rows.append(row)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Returns the rows as aligned text."""
    lines = [f"{'':<26}{'speed':>7}  {'[min - max]':<15}{'seconds':>9}  {'agreement dB raw / 8-bit'}"]
    for row in rows:
        spread = f"[{row.lowest:.2f} - {row.highest:.2f}]"
        raw, rounded = (
            "equal" if value is None else f"{value:.1f}" for value in (row.agreement_db, row.agreement_8bit_db)
        )
        lines.append(f"{row.name:<26}{row.ratio:>7.2f}  {spread:<15}{row.seconds:>9.3f}  {raw} / {rounded}")
    return "\n".join(lines)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--spec", default="light", help="light, classical, or a weight file (.safetensors or .pth)")
    parser.add_argument("--tile", type=int, default=128, help="height and width of the input in pixels")
    parser.add_argument("--runs", type=int, default=7, help="rounds that count")
    parser.add_argument("--threads", type=int, default=0, help="threads of torch; 0 leaves its choice")
    parser.add_argument("--bfloat16", action="store_true", help="measure bfloat16 even where the CPU is slow with it")
    parser.add_argument("--cpu", action="store_true", help="count CPU time, not wall time")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(arguments)


def _network(choice: str) -> SwinIR:
    """Returns the network of a named spec with random weights, or the one in a weight file."""
    if choice in SPECS:
        module = build(SPECS[choice]).eval()
        randomize(module, seed=0)
        return module
    path = Path(choice)
    if path.suffix == ".pth":
        scale = 4 if path.stem.endswith("x4") else 2
        name = "classical" if "classical" in path.stem else "light"
        return load_official(path, replace(SPECS[name], scale=scale))
    return load_described(path)[1]


def _photo_like(size: int) -> Tensor:
    """Returns a picture (1, 3, size, size) in [0, 1] with the falling spectrum of a photo, always the same."""
    generator = torch.Generator().manual_seed(0)
    total, side = torch.zeros(1, 3, size, size), 4
    while side <= 2 * size:
        noise = torch.rand(1, 3, side, side, generator=generator) - 0.5
        total += torch.nn.functional.interpolate(noise, (size, size), mode="bilinear", antialias=True) * 4 / side**0.5
        side *= 2
    return (total / 4 + 0.5).clamp(0, 1)


def _time(subjects: dict[str, Run], picture: Tensor, runs: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Returns the seconds of each subject in each round."""
    shuffle = random.Random(0)
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(runs):
        for name in shuffle.sample(list(subjects), len(subjects)):
            start = clock()
            subjects[name](picture)
            seconds[name].append(clock() - start)
    return seconds


def _agreement_db(result: Tensor, exact: Tensor) -> float | None:
    """Returns the PSNR of two pictures at peak 1, or None where they are equal."""
    error = (result.double() - exact.double()).square().mean()
    return None if error == 0 else float(-10 * error.log10())


def _round_8bit(picture: Tensor) -> Tensor:
    return (picture.clamp(0, 1) * 255).round() / 255


if __name__ == "__main__":
    sys.exit(main())
