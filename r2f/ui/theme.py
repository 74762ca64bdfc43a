"""How the page looks: an exhibition wall, frost on the left and petal on the right, by day and by night.

Colours, fonts and the emblem; the style sheet is `style`'s. Local fonts only: a page that is looked at asks no other host for
anything.
"""

from urllib.parse import quote

import gradio as gr


def mark(left: str, right: str) -> str:
    """The emblem, as a CSS url(): a snow crystal whose right half is a flower."""
    arm = ("<path id='a' d='M0-6V-44M0-18L-8-26M0-18L8-26M0-30L-7-37M0-30L7-37' fill='none' "
           f"stroke='{left}' stroke-width='3.4' stroke-linecap='round'/>")
    petal = f"<path id='p' d='M0-7C-15-20-14-42 0-46 14-42 15-20 0-7Z' fill='{right}' fill-opacity='.82'/>"
    arms = "".join(f"<use href='#a' transform='rotate({angle})'/>" for angle in (180, 240, 300))
    petals = "".join(f"<use href='#p' transform='rotate({angle})'/>" for angle in (0, 60, 120))
    svg = (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='-50 -50 100 100'><defs>{arm}{petal}</defs>"
           f"{arms}{petals}<circle r='5' fill='{right}'/></svg>")
    return f"url(\"data:image/svg+xml,{quote(svg)}\")"


FROST, PETAL, NIGHT_FROST, NIGHT_PETAL = "#2b6690", "#a32f6a", "#9fcbe8", "#f2a3c6"
MARK, NIGHT_MARK = mark(FROST, PETAL), mark(NIGHT_FROST, NIGHT_PETAL)
DAY_WALL = ("radial-gradient(75% 60rem at 0 0, #dcebf5 0, transparent 100%), "
            "radial-gradient(75% 60rem at 100% 0, #fbe3ec 0, transparent 100%), #f6f6f8")
NIGHT_WALL = ("radial-gradient(75% 60rem at 0 0, #14293b 0, transparent 100%), "
              "radial-gradient(75% 60rem at 100% 0, #331a2b 0, transparent 100%), #12151c")
BLOOM = f"linear-gradient(100deg, {FROST}, {PETAL})"
BLOOM_HOVER = f"linear-gradient(100deg, {FROST} -40%, {PETAL} 70%)"

THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.pink,
    neutral_hue=gr.themes.colors.slate,
    radius_size=gr.themes.sizes.radius_sm,
    text_size=gr.themes.sizes.text_lg,
    font=["Iowan Old Style", "Palatino Linotype", "Palatino", "URW Palladio L", "P052", "Book Antiqua",
          "Georgia", "DejaVu Serif", "serif"],
    font_mono=["ui-monospace", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace"],
).set(
    body_background_fill=DAY_WALL,
    body_background_fill_dark=NIGHT_WALL,
    body_text_color="#22303c",
    body_text_color_dark="#e8edf2",
    body_text_color_subdued="#4f5d6b",
    body_text_color_subdued_dark="#b4bfca",
    block_background_fill="#ffffff",
    block_background_fill_dark="#1c232d",
    block_border_color="#dfe4ea",
    block_border_color_dark="#333d4a",
    block_border_width="1px",
    input_background_fill="*block_background_fill",
    input_background_fill_dark="*block_background_fill",
    input_border_width="1px",
    input_border_width_dark="1px",
    input_border_color="*block_border_color",
    input_border_color_dark="*block_border_color",
    block_label_text_color="#22303c",
    block_label_text_color_dark="#e8edf2",
    link_text_color=PETAL,
    link_text_color_dark=NIGHT_PETAL,
    link_text_color_hover=FROST,
    link_text_color_hover_dark=NIGHT_FROST,
    color_accent=PETAL,
    loader_color=PETAL,
    loader_color_dark=NIGHT_PETAL,
    button_primary_background_fill=BLOOM,
    button_primary_background_fill_dark=BLOOM,
    button_primary_background_fill_hover=BLOOM_HOVER,
    button_primary_background_fill_hover_dark=BLOOM_HOVER,
    button_primary_text_color="#ffffff",
    button_primary_text_color_dark="#ffffff",
    button_large_radius="99px",
)
