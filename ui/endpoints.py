"""The public API: ``/models`` lists the models, ``/upscale`` makes a photo bigger, ``/kit`` is for an app."""

import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api

from ui import text
from ui.failures import failure_sentence, spoken_error
from ui.jobs import Order, photo_path, upscale_photo
from ui.kits import make_kit
from ui.studio import Studio
from ui.tabs.upscale import ONE_AT_A_TIME

__all__ = ["Endpoints", "add_endpoints"]


class Endpoints:
    """The functions behind the public endpoints."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def models(self) -> list[dict[str, Any]]:
        """Returns the models on offer; one of them is the default."""
        return [
            {
                "id": release.id,
                "is_default": release.id == self._studio.manifest.default_id,
                "label": release.label,
                "recommended_for": release.recommended_for,
                "scale": release.variant.spec.scale,
                "precision": release.variant.precision,
                "parameters": release.parameters,
                "sparsity": release.cost.sparsity,
                "size_bytes": release.size_bytes,
                "psnr_db": {score.dataset: score.psnr_db for score in release.metrics if score.channels == "y"},
                "license": release.license,
                "parent": release.parent,
                "has_package": release.package is not None,
                "package_bytes": None if release.coreml is None else release.coreml.package_bytes,
            }
            for release in self._studio.manifest.releases
        ]

    def upscale(
        self,
        photo: str | None,
        model: str,
        save_as: str,
        remove_location: bool = False,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Generator[Any]:
        """Returns the photo, upscaled, as a file.

        Cancelling the job stops the computation; its progress counts tiles.

        Args:
            photo: A JPEG, PNG, WebP, HEIC, AVIF, TIFF or RAW file.
            model: The id of a model as ``/models`` lists it; empty for the default one.
            save_as: ``same`` for the format of the photo, which is a DNG for RAW, or ``jpeg``, ``png``, ``webp``,
                ``heic``, ``avif`` or ``tiff``.
            remove_location: Whether the file must not tell where the photo was taken.
            progress: Where Gradio is told how far the job is.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="psr-job-") as folder:
                model_id = model or self._studio.manifest.default.id
                order = Order(
                    photo=photo_path(photo),
                    model_id=model_id,
                    save_as=save_as or text.AS_THE_PHOTO,
                    remove_location=remove_location,
                )
                job = upscale_photo(self._studio, order, Path(folder))
                try:
                    while True:
                        stage = next(job)
                        if stage.total:
                            progress((stage.done, stage.total), desc=stage.words, unit="tiles")
                        yield gr.skip()
                except StopIteration as end:
                    yield str(end.value.file.path)
                finally:
                    job.close()
        except Exception as error:  # said to the client as a sentence, logged where it is a bug
            raise spoken_error(failure_sentence(error)) from error

    def kit(self, model: str) -> Generator[str]:
        """Returns the kit of a model for an iPhone app, as a zip.

        It holds the Core ML package, its proof sheet, the licences, and Swift code that tiles as this page does.

        Args:
            model: The id of a model as ``/models`` lists it with ``has_package``; empty for the default one.
        """
        try:
            release = self._studio.manifest.release(model or self._studio.manifest.default.id)
            with tempfile.TemporaryDirectory(prefix="psr-kit-") as folder:
                yield str(make_kit(self._studio, release, Path(folder)))
        except Exception as error:  # said to the client as a sentence, logged where it is a bug
            raise spoken_error(failure_sentence(error)) from error


def add_endpoints(studio: Studio) -> None:
    """Adds the public endpoints to the app; must be called inside a Blocks context."""
    endpoints = Endpoints(studio)
    api(endpoints.models, api_name="models", queue=False)
    with gr.Column(visible=False):
        photo = gr.File(label="photo", type="filepath")
        model = gr.Textbox(label="model", value="")
        save_as = gr.Textbox(label="save_as", value=text.AS_THE_PHOTO)
        remove_location = gr.Checkbox(label="remove_location", value=False)
        result = gr.File(label="result")
        gr.Button().click(
            fn=endpoints.upscale,
            inputs=[photo, model, save_as, remove_location],
            outputs=result,
            api_name="upscale",
            concurrency_limit=1,
            concurrency_id=ONE_AT_A_TIME,
        )
        kit = gr.File(label="kit")
        gr.Button().click(fn=endpoints.kit, inputs=model, outputs=kit, api_name="kit", concurrency_limit=4)
