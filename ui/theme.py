"""How the app looks: quiet neutral surfaces, one accent, system fonts; details are in style.css."""

from pathlib import Path

from gradio.themes import Base
from gradio.themes.utils import colors, sizes

__all__ = ["STYLE", "app_theme"]

STYLE = Path(__file__).with_name("style.css")
_ACCENT = colors.Color(
    name="pine",
    c50="#effaf7", c100="#d8f2eb", c200="#b2e4d8", c300="#7fcfbe", c400="#48b3a0", c500="#269686", c600="#17796d",
    c700="#146158", c800="#134e48", c900="#12413c", c950="#062623",
)  # fmt: skip
_SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def app_theme() -> Base:
    """Returns the theme; no font is fetched from anywhere."""
    theme = Base(
        primary_hue=_ACCENT,
        secondary_hue=_ACCENT,
        neutral_hue=colors.zinc,
        radius_size=sizes.radius_lg,
        spacing_size=sizes.spacing_md,
        text_size=sizes.text_md,
        font=_SANS,
        font_mono=_MONO,
    )
    return theme.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="1px",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_400",
        button_primary_background_fill_hover_dark="*primary_300",
        button_primary_border_color="*primary_700",
        button_primary_border_color_dark="*primary_400",
        button_primary_text_color="white",
        button_primary_text_color_dark="*neutral_950",
        button_secondary_background_fill="white",
        button_secondary_background_fill_dark="*neutral_900",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_700",
        button_cancel_background_fill="white",
        button_cancel_background_fill_dark="*neutral_900",
        button_cancel_border_color="*neutral_300",
        button_cancel_border_color_dark="*neutral_700",
        button_cancel_text_color="*neutral_800",
        button_cancel_text_color_dark="*neutral_100",
        button_border_width="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
    )
