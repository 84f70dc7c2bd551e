"""The zoo tab: every variant in plots and a table, one of them in full, with its files to download."""

from dataclasses import dataclass

import gradio as gr

from sr_core.errors import OptionError
from ui import text
from ui.kits import kit_offer, weights_offer
from ui.studio import Studio
from ui.tabs.closer import Updates
from ui.tabs.downloads import wire_kit, wire_weights
from ui.tabs.zoo_figures import WATT_HOURS_FIELD, WATTS, energy_of, figures_of, number_of
from ui.tabs.zoo_rows import table_of
from ui.tabs.zoo_sheet import card_html, sheet_html
from ui.widgets.budget import ASK_BUDGET, asked_words, budget_answer, drawn_value, refused_value
from ui.widgets.download import download_button, offer_value
from ui.widgets.panels import SWITCH_PANELS
from ui.widgets.plot import variant_plots
from ui.widgets.sheet import sheet_view
from ui.widgets.variants import variant_table

__all__ = ["ZooView", "build_zoo_tab", "draw_energy", "show_variant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooView:
    """The components of the tab; the values of plots and table are the id of the variant on screen."""

    plot: gr.HTML
    table: gr.HTML
    card: gr.HTML
    kit: gr.HTML
    weights: gr.HTML
    use: gr.Button
    sheet: gr.HTML

    def shown(self) -> list[gr.HTML]:
        """Returns what shows the variant: it changes together, so what is on offer is always of the one on screen."""
        return [self.card, self.kit, self.weights, self.sheet]


def build_zoo_tab(studio: Studio) -> ZooView:
    """Returns the tab's components, with downloads wired; must be called inside the tab."""
    manifest = studio.manifest
    first = manifest.default
    with gr.Row(elem_id="zoo-top", equal_height=False):
        with gr.Column(elem_id="zoo-plot-column", scale=7, min_width=320):
            figures = figures_of(manifest, studio.studies, studio.study_notice)
            plot = variant_plots(first.id, figures, "zoo-plot", [SWITCH_PANELS, ASK_BUDGET])
        with gr.Column(elem_id="zoo-card-column", scale=5, min_width=320):
            card = gr.HTML(card_html(manifest, first), elem_id="zoo-card", apply_default_css=False)
            kit = download_button("zoo-kit", kit_offer(first))
            with gr.Row(elem_id="zoo-buttons"):
                use = gr.Button(text.USE_VARIANT, elem_id="zoo-use", min_width=120)
                weights = download_button("zoo-weights", weights_offer(first))
    table = variant_table(first.id, table_of(manifest), "zoo-table")
    sheet = sheet_view("zoo-sheet", sheet_html(manifest, first))
    view = ZooView(plot=plot, table=table, card=card, kit=kit, weights=weights, use=use, sheet=sheet)
    wire_kit(studio, kit)
    wire_weights(studio, weights)
    _wire_budget(studio, plot)
    return view


def draw_energy(studio: Studio, event: gr.EventData) -> dict[str, str]:
    """Returns the plot of photos within a budget as a visitor wrote it, or why that is none."""
    numbers: list[float] = []
    for field in (WATTS, WATT_HOURS_FIELD):
        try:
            numbers.append(number_of(field, asked_words(event, field.name)))
        except OptionError as error:
            return refused_value(field.name, str(error))
    return drawn_value(energy_of(studio.manifest, *numbers))


def show_variant(studio: Studio, view: ZooView, release_id: str) -> Updates:
    """Returns what shows a variant in the zoo.

    Raises:
        UnknownModelError: There is none of this id.
    """
    release = studio.manifest.release(release_id)
    return {
        view.card: card_html(studio.manifest, release),
        view.kit: offer_value(kit_offer(release)),
        view.weights: offer_value(weights_offer(release)),
        view.sheet: sheet_html(studio.manifest, release),
    }


def _wire_budget(studio: Studio, plot: gr.HTML) -> None:
    def draw(event: gr.EventData) -> dict[str, str]:
        return draw_energy(studio, event)

    plot.submit(
        fn=draw,
        outputs=budget_answer("zoo-plot"),
        queue=False,
        show_progress="hidden",
        trigger_mode="multiple",  # the page asks one at a time; "always_last" of Gradio 6.31 repeats an older question
        api_visibility="private",
    )
