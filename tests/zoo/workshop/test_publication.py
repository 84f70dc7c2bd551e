import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sr_core.errors import OptionError, WeightsError
from sr_core.spec import spec_from_json
from tests.zoo.small_home import TINY, small_home, small_release
from zoo.manifest import Manifest, load_manifest, save_manifest
from zoo.release import Release
from zoo.workshop.publication import Publication, plan_publication

REPO = "owner/tiny"


@pytest.fixture
def home(packed: Release, tmp_path: Path) -> Path:
    small_home(tmp_path / "home", packed)
    return tmp_path / "home"


def content(publication: Publication, path: str) -> bytes:
    return next(file.content() for file in publication.files if file.path == path)


def front_matter(publication: Publication, path: str) -> dict[str, Any]:
    text = content(publication, path).decode()
    assert text.startswith("---\n")
    return yaml.safe_load(text.split("---\n")[1])


def test_a_repository_holds_the_family_and_nothing_else(home: Path) -> None:
    publication = plan_publication(home, "tiny", REPO)
    variants = ("tiny-x2-drawn-float16", "tiny-x2-drawn-float32")
    names = ("README.md", "config.json", "model.safetensors")
    assert [file.path for file in publication.files] == sorted(
        [*names, "zoo.json", "coreml/TinyX2DrawnFloat16_T64.mlpackage.zip"]
        + [f"variants/{variant}/{name}" for variant in variants for name in names]
    )
    for file in publication.files:
        assert len(file.content()) == file.size_bytes
        assert hashlib.sha256(file.content()).hexdigest() == file.sha256


def test_the_same_models_make_the_same_repository(home: Path, packed: Release, tmp_path: Path) -> None:
    small_home(tmp_path / "copy", packed)
    one, two = (plan_publication(folder, "tiny", REPO) for folder in (home, tmp_path / "copy"))
    assert [(file.path, file.sha256) for file in one.files] == [(file.path, file.sha256) for file in two.files]


def test_the_first_release_is_the_one_at_the_root(home: Path) -> None:
    publication = plan_publication(home, "tiny", REPO)
    default, exact = load_manifest(home / "manifest.json").releases[:2]
    assert content(publication, "model.safetensors") == (home / "builtin" / default.weights.path).read_bytes()
    root = json.loads(content(publication, "config.json"))
    assert root["id"] == default.id
    assert spec_from_json(root["spec"]) == default.variant.spec
    assert [(one["id"], one["coreml"] is not None) for one in root["variants"]] == [
        (default.id, True),
        (exact.id, False),
    ]
    paths = {file.path for file in publication.files}
    for entry in root["variants"]:
        assert {entry["config"], entry["weights"]} <= paths
        assert json.loads(content(publication, entry["config"]))["id"] == entry["id"]
    assert root["variants"][0]["coreml"] in paths


def test_the_list_is_a_manifest_with_the_paths_of_the_repository(home: Path, tmp_path: Path) -> None:
    publication = plan_publication(home, "tiny", REPO)
    path = tmp_path / "zoo.json"
    path.write_bytes(content(publication, "zoo.json"))
    there = {file.path: (file.sha256, file.size_bytes) for file in publication.files}
    own = load_manifest(home / "manifest.json").releases[:2]
    for listed, original in zip(load_manifest(path).releases, own, strict=True):
        assert replace(listed, files=original.files) == original
        assert [there[file.path] for file in listed.files] == [(file.sha256, file.bytes) for file in original.files]


def test_the_card_tells_the_hub_what_the_models_are(home: Path, packed: Release) -> None:
    front = front_matter(plan_publication(home, "tiny", REPO), "README.md")
    assert front["license"] == "apache-2.0"
    assert front["pipeline_tag"] == "image-to-image"
    assert "swinir" in front["tags"]
    assert "base_model" not in front
    [score] = packed.metrics
    [index] = front["model-index"]  # only one of the two variants was measured
    assert index["name"] == "Tiny ×2 float16"
    [result] = index["results"]
    assert result["task"] == {"type": "image-to-image", "name": "Super-resolution ×2"}
    assert result["dataset"] == {"name": "Set5", "type": "set5", "config": "luma, border 2"}
    assert [(one["type"], one["value"]) for one in result["metrics"]] == [
        ("psnr", score.psnr_db),
        ("ssim", score.ssim),
    ]


def test_the_card_lists_every_variant_and_how_to_use_them(home: Path) -> None:
    text = content(plan_publication(home, "tiny", REPO), "README.md").decode()
    assert text.count("\n# tiny\n") == 1
    assert "| tiny-x2-drawn-float16 | x2 |" in text
    assert "| tiny-x2-drawn-float32 | x2 |" in text
    assert f"ZOO_REPO={REPO}" in text
    assert "| Weights | variants/tiny-x2-drawn-float16/model.safetensors," in text


def test_cards_say_what_a_model_was_made_from(home: Path, tmp_path: Path) -> None:
    manifest = load_manifest(home / "manifest.json")
    coarse = small_release(replace(TINY, label="Coarse"), home, "float32", parent=manifest.default.id)
    coarse = replace(coarse, variant=replace(coarse.variant, precision="int8"))
    save_manifest(Manifest(releases=(*manifest.releases[:1], coarse)), home / "manifest.json")
    publication = plan_publication(home, "tiny", REPO, base_model="owner/other")
    made_from = {
        path: (
            front_matter(publication, path).get("base_model"),
            front_matter(publication, path)["base_model_relation"],
        )
        for path in ("README.md", f"variants/{manifest.default.id}/README.md", f"variants/{coarse.id}/README.md")
    }
    assert list(made_from.values()) == [("owner/other", "finetune"), ("owner/other", "finetune"), (REPO, "quantized")]
    exact = front_matter(plan_publication(home, "tiny", REPO), f"variants/{coarse.id}/README.md")
    assert exact["base_model"] == REPO


def test_an_unknown_family_is_refused(home: Path) -> None:
    with pytest.raises(OptionError, match=r"no family 'huge'; the families are tiny, other\."):
        plan_publication(home, "huge", REPO)


def test_a_damaged_file_is_not_published(home: Path) -> None:
    default = load_manifest(home / "manifest.json").default
    (home / "builtin" / default.weights.path).write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="is damaged"):
        plan_publication(home, "tiny", REPO)


def test_the_list_has_the_default_of_the_manifest_and_the_root_the_first(home: Path) -> None:
    manifest = load_manifest(home / "manifest.json")
    whole, exact, other = manifest.releases
    save_manifest(replace(manifest, default_id=exact.id), home / "manifest.json")
    listed = {
        family: json.loads(content(plan_publication(home, family, REPO), "zoo.json")) for family in ("tiny", "other")
    }
    assert listed["tiny"]["default"] == exact.id
    assert [one["id"] for one in listed["tiny"]["releases"]] == [whole.id, exact.id]
    assert listed["other"]["default"] == other.id
    root = content(plan_publication(home, "tiny", REPO), "config.json")
    assert json.loads(root)["id"] == whole.id
