import json
from pathlib import Path

import pytest

from bench import __main__ as bench
from sr_core.arch.build import build
from sr_core.arch.weights import save_weights
from sr_core.spec import Variant, swinir_spec
from tests.peers import randomize

NAMES = [bench.PEER, "plain module", "window engine, float32"]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny network, on a processor where float32 is the fast number format."""
    monkeypatch.setattr(bench, "fast_compute", lambda: "float32")
    spec = swinir_spec(scale=2, embed_dim=12, depths=(2,), heads=2)
    module = build(spec)
    randomize(module, seed=0)
    variant = Variant(family="tiny", spec=spec, task="lightweight", trained="not", precision="float32")
    save_weights(module, tmp_path / "tiny.safetensors", variant)
    return tmp_path / "tiny.safetensors"


def run(weights: Path, *arguments: str) -> int:
    return bench.main(["--spec", str(weights), "--tile", "16", "--runs", "1", *arguments])


def test_every_implementation_is_timed_and_agrees(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(weights, "--json") == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert (report["scale"], report["tile"], report["runs"]) == (2, 16, 1)
    rows = {row["name"]: row for row in report["rows"]}
    assert list(rows) == NAMES
    assert rows["plain module"]["agreement_db"] is None
    assert rows[bench.PEER]["ratio"] == 1.0
    for row in rows.values():
        assert row["seconds"] > 0
        assert row["agreement_db"] is None or row["agreement_db"] >= 80
    assert captured.err == ""


def test_the_table_names_every_implementation(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(weights) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:26].rstrip() for line in lines[2:]] == NAMES


def test_a_tile_that_is_no_multiple_of_the_window_is_refused(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--spec", str(weights), "--tile", "15"]) == 2
    assert "multiple of 8" in capsys.readouterr().err
