"""What the repository of a family of models holds on the Hugging Face Hub.

    README.md, config.json, model.safetensors    the family's card, and its first variant, the whole network
    variants/ID/                                 model.safetensors, config.json and README.md of each variant
    coreml/NAME.mlpackage.zip                    the Core ML packages
    zoo.json                                     the manifest of the family with these paths, which the app reads

It follows from the manifest and the files alone, so it is the same to the byte for the same models.
"""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from huggingface_hub import EvalResult, ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index

from sr_core.errors import OptionError
from zoo.card import markdown_table, model_card
from zoo.files import EmbeddedFiles
from zoo.hub import LISTING
from zoo.manifest import Manifest, load_manifest, save_manifest
from zoo.release import FileRecord, Release

__all__ = ["PlannedFile", "Publication", "plan_publication"]

_CLOSEST: Final = "finetune"
"""Of the relations that the Hub knows (adapter, finetune, merge, quantized), that of weights which were changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """A file as it will be in the repository: its path there, and its content or where that is."""

    path: str
    source: bytes | Path
    sha256: str
    size_bytes: int

    def content(self) -> bytes:
        """Returns what it holds."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """All files of a family's repository, by path."""

    family: str
    files: tuple[PlannedFile, ...]


def plan_publication(home: Path, family: str, repo: str, base_model: str | None = None) -> Publication:
    """Returns what the repository of a family holds; the first of its releases stands at its root.

    Its list has the default of the manifest, where that is of this family; otherwise the first one.

    Args:
        home: Folder of ``manifest.json`` and ``builtin``.
        family: Which family.
        repo: Name of its repository, which the cards of its variants refer to.
        base_model: The Hub repository of the family that it was grown from, or None.

    Raises:
        OptionError: No release is of this family.
        ModelError: A file of it is missing or damaged.
    """
    manifest = load_manifest(home / "manifest.json")
    releases = manifest.releases
    own = tuple(release for release in releases if release.variant.family == family)
    if not own:
        known = ", ".join(dict.fromkeys(release.variant.family for release in releases))
        raise OptionError(f"There is no family {family!r}; the families are {known}.")
    files, moved = EmbeddedFiles(home / "builtin"), tuple(_moved(release) for release in own)
    planned = [
        _text("README.md", _family_card(moved, repo, base_model)),
        _text("config.json", _json({**_config(moved[0]), "variants": [_entry(release) for release in moved]})),
        _text(LISTING, _listing(moved, manifest.default_id if manifest.default in own else own[0].id)),
        _copy("model.safetensors", own[0].weights, own[0], files),
    ]
    for release, there in zip(own, moved, strict=True):
        is_first = release.id == own[0].id
        planned += [
            _text(f"variants/{release.id}/README.md", _variant_card(there, repo, base_model, is_first=is_first)),
            _text(f"variants/{release.id}/config.json", _json(_config(release))),
            _copy(there.weights.path, release.weights, release, files),
        ]
        if release.package is not None and there.package is not None:
            planned.append(_copy(there.package.path, release.package, release, files))
    return Publication(family=family, files=tuple(sorted(planned, key=lambda file: file.path)))


def _text(path: str, text: str) -> PlannedFile:
    content = text.encode()
    return PlannedFile(path=path, source=content, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def _copy(path: str, file: FileRecord, release: Release, files: EmbeddedFiles) -> PlannedFile:
    return PlannedFile(path=path, source=files.path_of(file, release.id), sha256=file.sha256, size_bytes=file.bytes)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _moved(release: Release) -> Release:
    """Returns the release with the paths that its files have in the repository."""
    files = (
        replace(file, path=f"variants/{release.id}/model.safetensors")
        if file.format == "safetensors"
        else replace(file, path=f"coreml/{PurePosixPath(file.path).name}")
        for file in release.files
    )
    return replace(release, files=tuple(files))


def _config(release: Release) -> dict[str, Any]:
    variant = release.variant
    return {
        "id": release.id,
        "family": variant.family,
        "task": variant.task,
        "trained": variant.trained,
        "compression": variant.compression,
        "precision": variant.precision,
        "spec": variant.spec.to_json(),
    }


def _entry(release: Release) -> dict[str, Any]:
    return {
        "id": release.id,
        "config": f"variants/{release.id}/config.json",
        "weights": release.weights.path,
        "coreml": None if release.package is None else release.package.path,
    }


def _listing(releases: Sequence[Release], default_id: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / LISTING
        save_manifest(Manifest(releases=tuple(releases), default_id=default_id), path)
        return path.read_text(encoding="utf-8")


def _variant_card(release: Release, repo: str, base_model: str | None, *, is_first: bool) -> str:
    """Returns the card of a variant; what was made from the family's first variant says so to the Hub."""
    card = ModelCard(model_card(release))
    is_quantized = release.variant.precision in ("int8", "palette6", "palette4")
    if is_first:
        _describe(card, base_model, _CLOSEST, [release])
    else:
        _describe(card, repo, "quantized" if is_quantized else _CLOSEST, [release])
    return str(card)


def _family_card(releases: Sequence[Release], repo: str, base_model: str | None) -> str:
    """Returns the card of the repository: that of the first variant, below a table of all."""
    first = releases[0]
    card = ModelCard(model_card(first))
    _describe(card, base_model, _CLOSEST, releases)
    card.text = "\n".join(
        [
            "",
            f"# {first.variant.family}",
            "",
            f"All variants of one family. `model.safetensors` and `config.json` are `{first.id}`; each variant has "
            f"its weights and its card in `variants/`, the Core ML packages are in `coreml/`, and `{LISTING}` lists "
            "everything with lengths and sha256.",
            "",
            markdown_table(releases),
            "",
            f"The demo offers these models with `ZOO_REPO={repo}` and a commit of this repository as `ZOO_REVISION`.",
            "",
            card.text.lstrip("\n"),
        ]
    )
    return str(card)


def _describe(card: ModelCard, base_model: str | None, relation: str, releases: Sequence[Release]) -> None:
    """Puts into the front matter what the models were made from, and their scores where there are any."""
    if base_model is not None:
        card.data["base_model"] = base_model
        card.data["base_model_relation"] = relation
    scored = [release for release in releases if release.metrics]
    if scored:
        card.data["model-index"] = [
            one for release in scored for one in eval_results_to_model_index(release.label, _results(release))
        ]


def _results(release: Release) -> list[EvalResult]:
    channels = {"y": "luma", "rgb": "RGB"}
    return [
        EvalResult(
            task_type="image-to-image",
            task_name=f"Super-resolution ×{release.variant.spec.scale}",
            dataset_type=metric.dataset.lower(),
            dataset_name=metric.dataset,
            dataset_config=f"{channels[metric.channels]}, border {metric.border}",
            metric_type=kind,
            metric_name=name,
            metric_value=value,
        )
        for metric in release.metrics
        for kind, name, value in (("psnr", "PSNR in dB", metric.psnr_db), ("ssim", "SSIM", metric.ssim))
    ]
