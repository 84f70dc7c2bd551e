"""The components of the upscale tab, laid out: the visitor's choices to the left, pictures to the right."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr

from sr_core.image.extensions import PHOTO_EXTENSIONS
from ui import text
from ui.cards import limits_card, section_head
from ui.studio import Studio
from ui.tabs.place import Place
from ui.tabs.rows import compare_choices, model_groups, time_note
from ui.widgets.compare import compare_view
from ui.widgets.download import download_button
from ui.widgets.grade import grade_view
from ui.widgets.models import model_table, table_html
from ui.widgets.spot import spot_picker

__all__ = ["EXAMPLES", "AgainstView", "CloserView", "SavingView", "UpscaleView", "lay_out"]

EXAMPLES = Path(__file__).parents[1] / "examples"
"""Public-domain photos that a visitor can try; NOTICE.md says whose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloserView:
    """The close look at a square of the photo."""

    column: gr.Column
    against: gr.Dropdown
    picker: gr.HTML
    try_spot: gr.Button
    comparison: gr.HTML
    place: gr.State
    shown: gr.State
    """What the comparison shows, as a key that another choice changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstView:
    """What the full result is compared with."""

    against: gr.Dropdown
    also_run: gr.Button
    also_cancel: gr.Button
    also_status: gr.HTML


@dataclass(frozen=True, slots=True, kw_only=True)
class SavingView:
    """What the file of the result will be, and what of the photo will not be in it."""

    save_as: gr.Dropdown
    remove_location: gr.Checkbox
    losses: gr.HTML


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleView:
    """The components that handlers read and write."""

    photo: gr.File
    examples: tuple[tuple[gr.Button, Path], ...]
    facts: gr.HTML
    models: gr.HTML
    saving: SavingView
    run: gr.Button
    cancel: gr.Button
    status: gr.HTML
    outcome: gr.HTML
    welcome: gr.HTML
    result: gr.Column
    result_facts: gr.HTML
    result_of: gr.State
    """Id of the model whose result is on screen, or None."""
    comparison: gr.HTML
    grade: gr.HTML
    download: gr.DownloadButton
    kit: gr.HTML
    full: AgainstView
    closer: CloserView


def lay_out(studio: Studio) -> UpscaleView:
    """Returns the tab's components; must be called inside a Blocks context."""
    with gr.Row(elem_id="desk", equal_height=False):
        with gr.Column(elem_id="rail", scale=5, min_width=320):
            photo = gr.File(
                label=text.PHOTO, file_types=list(PHOTO_EXTENSIONS), type="filepath", elem_id="photo", height=150
            )
            facts = gr.HTML(visible=False, elem_id="photo-facts", apply_default_css=False)
            with gr.Row(elem_id="examples"):
                examples = tuple(
                    (gr.Button(value=path.stem.capitalize(), icon=str(path), size="sm", min_width=80), path)
                    for path in sorted(EXAMPLES.glob("*.jpg"))
                )
            table = table_html(model_groups(studio, None), time_note(studio, None))
            models = model_table(studio.manifest.default.id, table, "models")
            saving = _lay_out_saving()
            run = gr.Button(text.RUN, variant="primary", size="lg", interactive=False, elem_id="run")
            cancel = gr.Button(text.CANCEL, variant="stop", size="lg", visible=False, elem_id="cancel")
            status = gr.HTML(elem_id="status", apply_default_css=False)
            outcome = gr.HTML(elem_id="outcome", apply_default_css=False)
        with gr.Column(elem_id="stage", scale=9, min_width=320):
            welcome = gr.HTML(limits_card(studio.settings.gone_seconds), elem_id="welcome", apply_default_css=False)
            with gr.Column(visible=False, elem_id="result") as result:
                with gr.Row(elem_id="result-head"):
                    result_facts = gr.HTML(elem_id="result-facts", apply_default_css=False)
                    with gr.Row(elem_id="result-files"):
                        download = gr.DownloadButton(text.DOWNLOAD, variant="primary", elem_id="download", scale=0)
                        kit = download_button("result-kit")
                full = _lay_out_against(studio)
                comparison = compare_view("comparison")
                grade = grade_view(studio.keeper, "#comparison .compare-after", "grade")
            closer = _lay_out_closer(studio)
    return UpscaleView(
        photo=photo,
        examples=examples,
        facts=facts,
        models=models,
        saving=saving,
        run=run,
        cancel=cancel,
        status=status,
        outcome=outcome,
        welcome=welcome,
        result=result,
        result_facts=result_facts,
        result_of=gr.State(None),
        comparison=comparison,
        grade=grade,
        download=download,
        kit=kit,
        full=full,
        closer=closer,
    )


def _lay_out_saving() -> SavingView:
    save_as = gr.Dropdown(
        choices=text.format_choices(None),
        value=text.AS_THE_PHOTO,
        label=text.SAVE_AS,
        filterable=False,
        elem_id="save-as",
    )
    remove_location = gr.Checkbox(
        label=text.REMOVE_LOCATION, info=text.SAYS_LOCATION, visible=False, elem_id="remove-location"
    )
    losses = gr.HTML(visible=False, elem_id="losses", apply_default_css=False)
    return SavingView(save_as=save_as, remove_location=remove_location, losses=losses)


def _lay_out_against(studio: Studio) -> AgainstView:
    with gr.Row(elem_id="against-row", equal_height=False):
        against = _against(studio, "against")
        also_run = gr.Button(text.ALSO_RUN, visible=False, elem_id="also-run", scale=0)
        also_cancel = gr.Button(text.CANCEL, variant="stop", visible=False, elem_id="also-cancel", scale=0)
    also_status = gr.HTML(elem_id="also-status", apply_default_css=False)
    return AgainstView(against=against, also_run=also_run, also_cancel=also_cancel, also_status=also_status)


def _lay_out_closer(studio: Studio) -> CloserView:
    with gr.Column(visible=False, elem_id="closer") as column:
        with gr.Row(elem_id="closer-head", equal_height=False):
            gr.HTML(section_head(text.CLOSER, text.CLOSER_HELP), apply_default_css=False)
            against = _against(studio, "spot-against")
        with gr.Row(elem_id="closer-row", equal_height=False):
            with gr.Column(scale=4, min_width=200):
                picker = spot_picker("picker")
                try_spot = gr.Button(text.TRY_SPOT, size="md", elem_id="try-spot")
            with gr.Column(scale=5, min_width=280):
                comparison = compare_view("spot-comparison")
    return CloserView(
        column=column,
        against=against,
        picker=picker,
        try_spot=try_spot,
        comparison=comparison,
        place=gr.State(None, delete_callback=partial(_forget, studio)),
        shown=gr.State(""),
    )


def _against(studio: Studio, elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        choices=compare_choices(studio, studio.manifest.default.id),
        value=text.BICUBIC,
        label=text.COMPARE_WITH,
        filterable=False,
        elem_id=elem_id,
        elem_classes="against",
        min_width=180,
    )


def _forget(studio: Studio, place: object) -> None:
    """Lets go of the pictures of a visitor who has left."""
    if isinstance(place, Place):
        studio.kept.forget(place.photo)
