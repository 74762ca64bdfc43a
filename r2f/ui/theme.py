"""How the page looks: an exhibition wall, frost on the left and petal on the right, by day and by night.

Local fonts only: a page that is looked at asks no other host for anything.
"""

from urllib.parse import quote

import gradio as gr

INTRODUCTION = """
<h1>rime<span>2</span><b>flower</b></h1>
<p class="motto">Everyone can bloom a unique flower; just let yourself bloom.</p>
<p>Bring a photo of rime ice. It blooms into a flower painting, and the painting freezes back into rime.</p>
"""
COLOPHON = """
<p>Photos and paintings are deleted here after about an hour.</p>
"""


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

HEAD = f"""
<meta name="description" content="A photo of rime ice blooms into a flower painting, and freezes back.">
<link rel="icon" href={MARK[4:-1]}>
"""

CSS = f"""
:root {{ --emblem: {MARK}; --frost: {FROST}; --petal: {PETAL}; --pane: #eef3f7;
  --hung: 0 1px 2px #22303c1f, 0 18px 34px -16px #22303c59; }}
.dark {{ --emblem: {NIGHT_MARK}; --frost: {NIGHT_FROST}; --petal: {NIGHT_PETAL}; --pane: #151b23;
  --hung: 0 1px 2px #0008, 0 18px 34px -14px #000c; }}
""" + """
.gradio-container .main { max-width: 1360px; margin: 0 auto;
  padding: 1.4rem clamp(1rem, 3vw, 3rem) 1.5rem; }
.gradio-container .column { gap: 1.4rem; }
:focus-visible { outline: 3px solid var(--petal) !important; outline-offset: 3px; }

#introduction { text-align: center; }
#introduction::before { content: ""; display: block; width: 58px; height: 58px; margin: 0 auto .2rem;
  background: var(--emblem) center / contain no-repeat; }
#introduction h1 { font-size: clamp(2.3rem, 6vw, 3.4rem); font-weight: 400; letter-spacing: .01em;
  line-height: 1.1; margin: 0 0 .5rem; color: var(--frost); }
#introduction h1 span { color: var(--body-text-color-subdued); font-style: italic; padding: 0 .06em; }
#introduction h1 b { color: var(--petal); font-weight: 400; }
#introduction p { margin: .3rem auto; max-width: 46rem; line-height: 1.5; text-wrap: balance; }
#introduction .motto { font-style: italic; font-size: 1.3rem; }

#triptych { display: grid; grid-template: "photo flower again" "bloom bloom bloom" / 1fr 1fr 1fr;
  gap: 1.6rem clamp(1rem, 2.4vw, 2.4rem); align-items: stretch; }
#photo-place { grid-area: photo; } #bloom-place { grid-area: bloom; }
#flower-place { grid-area: flower; } #again-place { grid-area: again; }

/* a picture hangs in a mat, with its name below it */
.frame { height: 100%; display: flex; flex-direction: column; padding: clamp(12px, 1.3vw, 20px) !important;
  padding-bottom: 0 !important; border-radius: 2px; box-shadow: var(--hung); }
.frame > label { order: 3; position: static !important; align-self: center; border: 0 !important;
  box-shadow: none !important; background: none !important; padding: .1rem 0 .9rem !important;
  font-size: 1.15rem; font-style: italic; }
.frame > label > span { display: none; }
.frame .image-container { flex: 1; display: flex; flex-direction: column; height: auto; min-height: 0; }
.frame .image-container > button, .frame .upload-container { flex: 1; display: flex; width: 100% !important;
  height: auto; align-items: center; justify-content: center; border-radius: 0; }
.frame .image-frame { width: 100%; height: auto; display: flex; justify-content: center; }
.frame img { width: auto; max-width: 100%; height: auto; max-height: 66vh; object-fit: contain;
  border-radius: 0; }
.frame .source-selection, .frame:not(#photo) .icon-button-wrapper { order: 2; position: static;
  height: 46px; margin: 0; flex: none; display: flex; align-items: center; justify-content: center;
  gap: .6rem; border: 0; background: none; box-shadow: none; width: 100%; padding: 0; }
.frame .source-selection button, .frame .icon-button-wrapper button { width: 34px; height: 34px;
  padding: 7px; color: var(--body-text-color-subdued) !important; border-radius: 99px; }
.frame .source-selection button:hover, .frame .icon-button-wrapper button:hover {
  color: var(--petal) !important; }
.frame .source-selection button.selected { color: var(--petal) !important; }
.frame .icon-button-wrapper button > div { width: 19px; height: 19px; }
#photo button.upload-container.hidden { display: none; }
.frame .icon-button-wrapper > *, .frame .icon-button-wrapper button { margin: 0 !important; height: 34px; }
.frame .icon-button-wrapper > ::after, .frame .icon-button-wrapper > *::after { display: none; }
#photo > .image-container > .icon-button-wrapper { top: 0; right: 0; border-radius: 2px; }
#photo .image-frame { min-height: 9rem; align-items: center; font-style: italic; }

/* before there is a picture: an empty pane, to be breathed on */
.frame .empty, #photo button.upload-container { aspect-ratio: 4 / 3; min-height: 0; width: 100%;
  height: auto; flex: none; background: var(--pane); border: 0; }
.frame .empty { flex: 1 0 auto; margin-bottom: 46px; }
.frame .empty > * { display: none; }
.frame .empty::before { content: ""; width: 28%; aspect-ratio: 1; opacity: .3;
  background: var(--emblem) center / contain no-repeat; }
#again .empty::before { transform: scaleX(-1); }

/* while it is being painted */
.frame > .wrap { background: none; border: 0; padding: 0 0 84px; }
.frame > .wrap svg, .frame > .wrap .error, .frame > .wrap .clear-status, .frame > .wrap .eta-bar {
  display: none; }
.frame > .wrap:has(.error) { pointer-events: none; }
.frame > .wrap .progress-text { position: static; transform: none; font-family: var(--font);
  font-size: .95rem; color: var(--body-text-color); background: var(--block-background-fill);
  border-radius: 99px; padding: .25rem .9rem; }
.frame > .wrap:not(.hide):has(.progress-text)::before { content: ""; width: 88px; height: 88px;
  margin-bottom: .8rem; background: var(--emblem) center / contain no-repeat;
  animation: turn 6s linear infinite; }
.frame:has(> .wrap:not(.hide) .progress-text) .empty::before { opacity: 0; }
#photo[inert] .source-selection, #examples[inert], #triptych:has(#photo[inert]) #bloom { opacity: .5; }
@keyframes turn { to { transform: rotate(360deg); } }

/* the painting opens from its middle, the way back comes out of the mist */
#flower .image-frame img { animation: open 1.3s cubic-bezier(.3, .6, .3, 1); }
#again .image-frame img { animation: freeze 1.8s ease-out; }
@keyframes open { from { clip-path: circle(0 at 50% 50%); } to { clip-path: circle(75% at 50% 50%); } }
@keyframes freeze { from { opacity: 0; filter: blur(14px) brightness(1.4); } }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }

#bloom-place { gap: .5rem; align-items: center; }
#bloom { width: min(19rem, 100%); min-height: 3.4rem; font-size: 1.35rem; font-weight: 400;
  letter-spacing: .06em; border: 0; border-radius: 99px; box-shadow: 0 8px 20px -8px #a32f6a99; }
#note { text-align: center; font-style: italic; color: var(--body-text-color-subdued); min-height: 1.6rem; }
#note .prose, #colophon .prose { color: inherit; }

#examples { text-align: center; overflow: visible !important; }
#examples .label { justify-content: center; font-style: italic; font-size: 1.05rem;
  color: var(--body-text-color-subdued); }
#examples .label svg { display: none; }
#examples .gallery { justify-content: center; gap: .9rem; padding: .3rem; }
#examples .gallery-item { overflow: visible; border: 5px solid var(--block-background-fill);
  border-radius: 1px; width: 104px; height: 104px; padding: 0; box-shadow: var(--hung);
  transition: transform .2s; background: none; }
#examples .gallery-item:hover { transform: translateY(-4px); }
#examples .gallery-item > span, #examples .gallery-item .container { display: block; width: 100%;
  max-width: none; height: 100%; padding: 0; border: 0; border-radius: 0; transform: none; }
#examples .gallery-item img { width: 100%; height: 100%; object-fit: cover; border-radius: 0; }
footer .divider { display: none !important; }
#colophon { text-align: center; font-size: .95rem; color: var(--body-text-color-subdued); }

/* Gradio 6.31 heads every gr.Error with "Error", whatever its title */
.toast-body.error .toast-title { font-size: 0; }
.toast-body.error .toast-title::before { content: "A word from the painter"; font-size: 1.1rem;
  font-weight: 400; font-style: italic; }
.toast-body { --toast-color: var(--petal) !important; background: var(--block-background-fill) !important;
  border-radius: 4px !important; }

@media (max-width: 760px) {
  #triptych { grid-template: "photo" "bloom" "flower" "again" / 1fr; }
  .frame .empty { aspect-ratio: 16 / 9; margin-bottom: .6rem; }
  .frame .empty::before { width: 20%; }
  #examples .gallery { flex-wrap: nowrap; overflow-x: auto; justify-content: flex-start;
    padding: .5rem .3rem 1.5rem; }
  #examples .gallery-item { flex: none; }
}
"""
