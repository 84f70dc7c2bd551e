"""The components of the upscale tab, laid out: the visitor's choices to the left, pictures to the right."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr

from ui import text
from ui.cards import limits_card, section_head
from ui.studio import Studio
from ui.tabs.place import Place
from ui.tabs.rows import model_rows, time_note
from ui.widgets.compare import compare_view
from ui.widgets.models import model_table, table_html
from ui.widgets.spot import spot_picker

__all__ = ["EXAMPLES", "UpscaleView", "lay_out"]

EXAMPLES = Path(__file__).parents[1] / "examples"
"""Public-domain photos that a visitor can try; NOTICE.md says whose."""
_EXTENSIONS = [".jpg", ".jpeg", ".jfif", ".png", ".webp", ".heic", ".heif", ".hif"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleView:
    """The components that handlers read and write."""

    photo: gr.File
    examples: tuple[tuple[gr.Button, Path], ...]
    facts: gr.HTML
    models: gr.HTML
    save_as: gr.Dropdown
    run: gr.Button
    cancel: gr.Button
    status: gr.HTML
    outcome: gr.HTML
    welcome: gr.HTML
    result: gr.Column
    result_facts: gr.HTML
    comparison: gr.HTML
    download: gr.DownloadButton
    closer: gr.Column
    picker: gr.HTML
    try_spot: gr.Button
    spot_comparison: gr.HTML
    place: gr.State


def lay_out(studio: Studio) -> UpscaleView:
    """Returns the tab's components; must be called inside a Blocks context."""
    with gr.Row(elem_id="desk", equal_height=False):
        with gr.Column(elem_id="rail", scale=5, min_width=320):
            photo = gr.File(label=text.PHOTO, file_types=_EXTENSIONS, type="filepath", elem_id="photo", height=150)
            facts = gr.HTML(visible=False, elem_id="photo-facts", apply_default_css=False)
            with gr.Row(elem_id="examples"):
                examples = tuple(
                    (gr.Button(value=path.stem.capitalize(), icon=str(path), size="sm", min_width=80), path)
                    for path in sorted(EXAMPLES.glob("*.jpg"))
                )
            chosen = studio.manifest.default.id
            table = table_html(model_rows(studio, None), chosen, time_note(studio, None))
            models = model_table(chosen, table, "models")
            save_as = gr.Dropdown(
                choices=list(text.FORMAT_CHOICES),
                value=text.AS_THE_PHOTO,
                label=text.SAVE_AS,
                filterable=False,
                elem_id="save-as",
            )
            run = gr.Button(text.RUN, variant="primary", size="lg", interactive=False, elem_id="run")
            cancel = gr.Button(text.CANCEL, variant="stop", size="lg", visible=False, elem_id="cancel")
            status = gr.HTML(elem_id="status", apply_default_css=False)
            outcome = gr.HTML(elem_id="outcome", apply_default_css=False)
        with gr.Column(elem_id="stage", scale=9, min_width=320):
            welcome = gr.HTML(limits_card(studio.settings.gone_seconds), elem_id="welcome", apply_default_css=False)
            with gr.Column(visible=False, elem_id="result") as result:
                with gr.Row(elem_id="result-head"):
                    result_facts = gr.HTML(elem_id="result-facts", apply_default_css=False)
                    download = gr.DownloadButton(text.DOWNLOAD, variant="primary", elem_id="download", scale=0)
                comparison = compare_view("comparison")
            with gr.Column(visible=False, elem_id="closer") as closer:
                gr.HTML(section_head(text.CLOSER, text.CLOSER_HELP), apply_default_css=False)
                with gr.Row(elem_id="closer-row", equal_height=False):
                    with gr.Column(scale=4, min_width=200):
                        picker = spot_picker("picker")
                        try_spot = gr.Button(text.TRY_SPOT, size="md", elem_id="try-spot")
                    with gr.Column(scale=5, min_width=280):
                        spot_comparison = compare_view("spot-comparison")
    return UpscaleView(
        photo=photo,
        examples=examples,
        facts=facts,
        models=models,
        save_as=save_as,
        run=run,
        cancel=cancel,
        status=status,
        outcome=outcome,
        welcome=welcome,
        result=result,
        result_facts=result_facts,
        comparison=comparison,
        download=download,
        closer=closer,
        picker=picker,
        try_spot=try_spot,
        spot_comparison=spot_comparison,
        place=gr.State(None, delete_callback=partial(_forget, studio)),
    )


def _forget(studio: Studio, place: object) -> None:
    """Lets go of the pictures of a visitor who has left."""
    if isinstance(place, Place):
        studio.kept.forget(place.photo)
