"""What holds for the project as a whole."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from zoo.card import markdown_table, model_card
from zoo.files import EmbeddedFiles
from zoo.manifest import BUILTIN, load_manifest
from zoo.release import Release

ROOT = Path(__file__).parent.parent


def tracked_files() -> list[Path]:
    """Every file of the project; without git, what lies below the root outside hidden folders."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode == 0:
        return [ROOT / name for name in listing.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and not path.relative_to(ROOT).parts[0].startswith(".")]


def front_matter() -> dict[str, object]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\n")
    return yaml.safe_load(text.split("---\n")[1])


def pin(package: str) -> str:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(package)}==(\S+)$", text, re.MULTILINE)
    assert found
    return found.group(1)


def test_the_space_runs_the_gradio_that_is_pinned() -> None:
    matter = front_matter()
    assert matter["sdk"] == "gradio"
    assert matter["sdk_version"] == pin("gradio")


def test_the_front_matter_is_what_the_hub_takes() -> None:
    matter = front_matter()
    assert matter["python_version"] == "3.11"
    assert matter["suggested_hardware"] == "cpu-basic"
    assert matter["license"] == "apache-2.0"
    assert (ROOT / str(matter["app_file"])).is_file()
    assert len(str(matter["short_description"])) <= 60


def test_every_requirement_is_pinned() -> None:
    for name in ("requirements.txt", "requirements-workshop.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            assert not line or line.startswith(("#", "-r ")) or re.fullmatch(r"[\w.\[\]-]+==[\w.]+", line), line


def test_files_stay_small() -> None:
    sizes = {path: path.stat().st_size for path in tracked_files()}
    assert max(sizes.values()) < 10_000_000
    assert sum(size for path, size in sizes.items() if BUILTIN in path.parents) < 25_000_000


RELEASES = load_manifest().releases


def test_the_folder_of_models_holds_what_is_listed_and_nothing_else() -> None:
    listed = {file.path for release in RELEASES for file in release.files} | {f"{one.id}.md" for one in RELEASES}
    found = {path.relative_to(BUILTIN).as_posix() for path in BUILTIN.rglob("*") if path.is_file()}
    assert found == listed


def test_the_readme_shows_the_models_that_ship() -> None:
    """After a change of the manifest, put the output of ``python -m zoo list --markdown`` there."""
    assert markdown_table(RELEASES) in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("release", RELEASES, ids=[release.id for release in RELEASES])
class TestRelease:
    """What every release that ships must hold."""

    def test_its_weight_file_is_the_listed_one(self, release: Release) -> None:
        assert EmbeddedFiles().path_of(release.weights, release.id).is_file()

    def test_its_card_says_what_the_manifest_says(self, release: Release) -> None:
        assert (BUILTIN / f"{release.id}.md").read_text(encoding="utf-8") == model_card(release)

    def test_it_names_its_training_data_and_was_measured(self, release: Release) -> None:
        assert release.training.data
        assert release.training.steps > 0
        assert release.parent is None or release.parent in {one.id for one in RELEASES}
        assert release.speed is not None
        assert {metric.dataset for metric in release.metrics} >= {"Set5"}

    def test_no_seam_shows(self, release: Release) -> None:
        assert release.tiling.seam_max is not None
        assert release.tiling.seam_max <= 0.5
