"""The page's style sheet, and the little that the browser does by itself.

Pictures hang in mats on a wall; everything else keeps out of their way. Colours are `theme`'s.
"""
# ruff: noqa: E501 (prose, markup and style sheets)

from r2f.ui.theme import FROST, MARK, NIGHT_FROST, NIGHT_MARK, NIGHT_PETAL, PETAL
from r2f.ui.words import two

INTRODUCTION = f"""
<h1>rime<span>2</span><b>flower</b></h1>
<p class="motto">{two("Everyone can bloom a unique flower; just let yourself bloom.", "每个人都能开出独一无二的花；只管绽放。")}</p>
"""
COLOPHON = f"""
<p>{two("Photos and paintings are deleted here after about an hour.", "照片和画作大约一小时后在此删除。")}</p>
"""

HEAD = f"""
<meta name="description" content="A photo of rime ice blooms into a flower painting, and freezes back.">
<link rel="icon" href={MARK[4:-1]}>
""" + """
<script>
// What Gradio's components leave out: names for those who listen, keys for those without a mouse, the queue in words.
(() => {
  const chinese = () => document.documentElement.lang.startsWith("zh");
  const say = (english, zh) => chinese() ? zh : english;
  const name = (part, words) => part.getAttribute("aria-label") !== words && part.setAttribute("aria-label", words);
  const freezes = () => document.querySelector("#direction input:checked")?.value === "frost";
  function attend() {
    document.querySelector("#note .html-container, #note .prose")?.setAttribute("role", "status");
    for (const [shelf, words] of [["examples", say("Example photo", "示例照片")], ["paintings", say("Example painting", "示例画作")]])
      document.querySelectorAll(`#${shelf} button`).forEach((button, place) => name(button, `${words} ${place + 1}`));
    for (const slider of document.querySelectorAll(".before-after [data-testid=slider]")) {
      if (slider.tabIndex !== 0) {
        slider.tabIndex = 0;
        slider.setAttribute("role", "slider");
        slider.setAttribute("aria-valuemin", 0);
        slider.setAttribute("aria-valuemax", 100);
        slider.addEventListener("keydown", move);
      }
      name(slider, say("Curtain between the two pictures: arrow keys move it", "两图之间的帘：用方向键移动"));
      slider.setAttribute("aria-valuenow", Math.round(100 * place(slider)));
    }
    const [photo, painting, brought, became, back, parted] = freezes() ? [
      say("The painting", "画"), say("The rime", "雾凇"), say("Your painting, as you brought it", "你带来的画作"),
      say("What your painting became", "画作变成的雾凇"), say("The way back: made from the rime alone", "归途：只凭雾凇而来"),
      say("Map of the differences between your painting and the way back", "画作与归途的差别图"),
    ] : [
      say("The photo", "照片"), say("The painting", "画"), say("Your photo, as you brought it", "你带来的照片"),
      say("What your photo became", "照片变成的画"), say("The way back: made from the painting alone", "归途：只凭画作而来"),
      say("Map of the differences between your photo and the way back", "照片与归途的差别图"),
    ];
    for (const [box, words] of [["to-flower", [photo, painting]], ["to-again", [photo, say("The way back", "归途")]]])
      document.querySelectorAll(`#${box} img`).forEach((image, side) => { if (image.alt !== words[side]) image.alt = words[side]; });
    for (const [box, words] of [["photo", brought], ["flower", became], ["again", back], ["difference", parted]])
      document.querySelectorAll(`#${box} .image-frame img, #${box} .image-container img`).forEach((image) => {
        if (image.alt !== words) image.alt = words;
      });
    queue();
  }
  const place = (slider) => {
    const box = slider.parentElement.getBoundingClientRect(), own = slider.getBoundingClientRect();
    return Math.min(1, Math.max(0, (own.x + own.width / 2 - box.x) / (box.width || 1)));
  };
  function move(event) {
    const step = {ArrowLeft: -.05, ArrowRight: .05, Home: -1, End: 1}[event.key];
    if (!step) return;
    event.preventDefault();
    const slider = event.currentTarget, own = slider.getBoundingClientRect(), box = slider.parentElement.getBoundingClientRect();
    const from = own.x + own.width / 2, y = own.y + own.height / 2;
    const to = Math.min(box.right - 1, Math.max(box.left + 1, from + step * box.width));
    const mouse = (kind, x, target) => target.dispatchEvent(
      new MouseEvent(kind, {clientX: x, clientY: y, bubbles: true, cancelable: true, view: window, button: 0}));
    mouse("mousedown", from, slider); mouse("mousemove", to, window); mouse("mouseup", to, window);
  }
  // "queue: 3/5 | 4.2/12.3s" is how Gradio says it
  function queue() {
    const said = document.querySelector("#flower .progress-text")?.textContent ?? "", wait = document.getElementById("wait");
    if (!wait) return;
    const found = said.match(/queue: (\\d+)\\/(\\d+)/), expected = said.match(/([\\d.]+)\\/([\\d.]+)s/);
    const before = found ? Number(found[1]) : 0, seconds = expected ? Math.max(1, Math.round(expected[2] - expected[1])) : 0;
    const words = !found ? "" : say(`${before} before you` + (seconds ? `; about ${seconds} s.` : "."),
                                    `前面还有 ${before} 位` + (seconds ? `；大约 ${seconds} 秒。` : "。"));
    if (wait.textContent !== words) wait.textContent = words;
  }
  setInterval(attend, 400);
})();
</script>
"""

CSS = f"""
:root {{ --emblem: {MARK}; --frost: {FROST}; --petal: {PETAL}; --pane: #eef3f7; --line: #22303c24; --quiet: #ffffff8c;
  --hung: 0 1px 2px #22303c1f, 0 18px 34px -16px #22303c59; --veil: #f4f7fad9; }}
.dark {{ --emblem: {NIGHT_MARK}; --frost: {NIGHT_FROST}; --petal: {NIGHT_PETAL}; --pane: #151b23; --line: #e8edf22b;
  --quiet: #1c232d99; --hung: 0 1px 2px #0008, 0 18px 34px -14px #000c; --veil: #151b23d9; }}
""" + """
html:not([lang^="zh"]) [lang="zh"], html[lang^="zh"] [lang="en"] { display: none !important; }
.gradio-container .main { max-width: 1360px; margin: 0 auto;
  padding: 1.1rem clamp(1rem, 3vw, 3rem) 1.5rem; }
.gradio-container .column { gap: 1.4rem; }
:focus-visible { outline: 3px solid var(--petal) !important; outline-offset: 3px; }

#introduction { text-align: center; }
#introduction::before { content: ""; display: block; width: 52px; height: 52px; margin: 0 auto;
  background: var(--emblem) center / contain no-repeat; }
#introduction h1 { font-size: clamp(2.3rem, 6vw, 3.2rem); font-weight: 400; letter-spacing: .01em;
  line-height: 1.1; margin: 0 0 .3rem; color: var(--frost); }
#introduction h1 span { color: var(--body-text-color-subdued); font-style: italic; padding: 0 .06em; }
#introduction h1 b { color: var(--petal); font-weight: 400; }
#introduction p { margin: 0 auto; line-height: 1.5; text-wrap: balance; }
#introduction .motto { font-style: italic; font-size: 1.2rem; color: var(--body-text-color-subdued); }

/* the rooms of the exhibition */
#rooms { gap: 0; }
#rooms > .tab-wrapper { height: auto; padding: 0 0 1.5rem; border: 0; }
#rooms > .tab-wrapper .tab-container { justify-content: center; height: auto; gap: clamp(.4rem, 2vw, 1.6rem); }
#rooms > .tab-wrapper .tab-container::after, #rooms > .tab-wrapper::after { display: none; }
#rooms > .tab-wrapper button { font-size: 1.08rem; font-style: italic; height: auto; padding: .35rem .5rem; background: none;
  color: var(--body-text-color-subdued); border: 0; border-bottom: 2px solid transparent; border-radius: 0; }
#rooms > .tab-wrapper button:hover { color: var(--petal); }
#rooms > .tab-wrapper button.selected { color: var(--petal); border-bottom-color: var(--petal); }
#rooms > .tab-wrapper button.selected::after { display: none; }
#rooms > .tabitem { padding: 0; border: 0; background: none; }

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
.frame > label { text-align: center; }
.frame > label > span, #many-files > label > span { display: none; }
.frame .image-container { flex: 1; display: flex; flex-direction: column; height: auto; min-height: 0; }
.frame .image-container > button, .frame .upload-container { flex: 1; display: flex; width: 100% !important;
  height: auto; align-items: center; justify-content: center; border-radius: 0; }
.frame .image-frame { width: 100%; height: auto; display: flex; justify-content: center; }
.frame img { width: auto; max-width: 100%; height: auto; max-height: 66vh; object-fit: contain;
  border-radius: 0; }
.frame .source-selection, .frame:not(#photo) .icon-button-wrapper, .before-after .icon-button-wrapper { order: 2; position: static;
  height: 46px; margin: 0; flex: none; display: flex; align-items: center; justify-content: center;
  gap: .6rem; border: 0; background: none; box-shadow: none; width: 100%; padding: 0; }
.frame .source-selection button, :is(.frame, .before-after) .icon-button-wrapper button { width: 34px; height: 34px;
  padding: 7px; color: var(--body-text-color-subdued) !important; border-radius: 99px; }
.frame .source-selection button:hover, :is(.frame, .before-after) .icon-button-wrapper button:hover {
  color: var(--petal) !important; }
.frame .source-selection button.selected { color: var(--petal) !important; }
:is(.frame, .before-after) .icon-button-wrapper button > div { width: 19px; height: 19px; }
#photo button.upload-container.hidden { display: none; }
.frame .icon-button-wrapper > *, .frame .icon-button-wrapper button { margin: 0 !important; height: 34px; }
.frame .icon-button-wrapper > ::after, .frame .icon-button-wrapper > *::after { display: none; }
#photo > .image-container > .icon-button-wrapper { top: 0; right: 0; border-radius: 2px; }
#photo .image-frame { min-height: 9rem; align-items: center; font-style: italic; }

/* before there is a picture: a frosted pane, to be breathed on; behind it hangs what could be */
.frame .empty, #photo button.upload-container { aspect-ratio: 4 / 3; min-height: 0; width: 100%;
  height: auto; flex: none; background: var(--pane); border: 0; position: relative; overflow: hidden; }
.frame .empty { flex: 1 0 auto; margin-bottom: 46px; }
.frame .empty > * { display: none; }
.frame .empty::before { content: ""; width: 24%; aspect-ratio: 1; opacity: .5; z-index: 1;
  background: var(--emblem) center / contain no-repeat; }
#again .empty::before { transform: scaleX(-1); }
.frame .empty::after, #photo button.upload-container::before { content: ""; position: absolute; inset: 0;
  background: linear-gradient(var(--veil), var(--veil)), var(--behind, none) center / cover no-repeat;
  animation: appear .8s ease-out; }
.frame .empty::after { --veil: transparent; }
#triptych:has(#photo .image-frame img, #photo[inert]) .empty::after { display: none; }  /* another's is no promise of what comes */
#photo button.upload-container > * { position: relative; z-index: 1; }
@keyframes appear { from { opacity: 0; } }

/* while it is being painted; what lasts a moment needs no motion, which a browser without a graphics card pays for with the time
   of the painter beside it */
.frame > .wrap { background: none; border: 0; padding: 0 0 84px; }
.frame > .wrap svg, .frame > .wrap .error, .frame > .wrap .clear-status, .frame > .wrap .eta-bar,
.frame > .wrap .progress-text, #note > .wrap, #many-said > .wrap, #behind > .wrap, #card > .wrap { display: none; }
.frame > .wrap:has(.error) { pointer-events: none; }
.frame > .wrap:not(.hide):has(.progress-text)::before { content: ""; width: 88px; height: 88px;
  margin-bottom: .8rem; background: var(--emblem) center / contain no-repeat; filter: drop-shadow(0 0 14px #fff9);
  animation: turn 6s 2s linear infinite; }
.frame:has(> .wrap:not(.hide) .progress-text) .empty::before { opacity: 0; }
#photo[inert] .source-selection, .examples[inert], #triptych:has(#photo[inert]) #bloom { opacity: .5; }
@keyframes turn { to { transform: rotate(360deg); } }

/* the painting opens from its middle, the way back comes out of the mist */
#flower .image-frame img { animation: open 1.3s cubic-bezier(.3, .6, .3, 1); }
#again .image-frame img { animation: freeze 1.8s ease-out; }
#closer:has(#strength:active, #strength:focus-within) ~ *, #triptych:has(~ #closer #strength:focus-within) img { animation: none !important; }
@keyframes open { from { clip-path: circle(0 at 50% 50%); } to { clip-path: circle(75% at 50% 50%); } }
@keyframes freeze { from { opacity: 0; filter: brightness(1.6); } }
@media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation-duration: 1ms !important; animation-iteration-count: 1 !important;
  transition: none !important; } }

#bloom-place { gap: .7rem; align-items: center; }
#bloom, #many-start { width: min(19rem, 100%); min-height: 3.4rem; font-size: 1.35rem; font-weight: 400;
  letter-spacing: .06em; border: 0; border-radius: 99px; box-shadow: 0 8px 20px -8px #a32f6a99; }
#direction { width: auto; margin: 0 auto; padding: 0; min-width: 0 !important; overflow: visible; }
#direction .wrap { justify-content: center; gap: 1.6rem; }
#direction label { background: none; border: 0; border-bottom: 1px solid transparent; border-radius: 0; padding: .15rem .1rem;
  font-style: italic; color: var(--body-text-color-subdued); box-shadow: none; font-weight: 400; }
#direction label input { position: absolute; opacity: 0; width: 1px; height: 1px; }
#direction label span { margin: 0; }
#direction label.selected { color: var(--petal); border-bottom-color: var(--petal); }
#direction label:has(:focus-visible) { outline: 3px solid var(--petal); outline-offset: 3px; }
#note { text-align: center; font-style: italic; color: var(--body-text-color); min-height: 1.6rem; }
#note strong { font-weight: 400; font-size: 1.15rem; }
#note small { display: block; color: var(--body-text-color-subdued); font-size: .95rem; }
#wait { text-align: center; font-style: italic; color: var(--body-text-color-subdued); margin: 0; min-height: 1.2em; }
*:has(> .html-container #wait:empty), .block:has(#wait:empty) { display: none; }
#behind { display: none; }
#note .prose, #colophon .prose { color: inherit; }

/* looking closer */
#closer { gap: 1.2rem; margin-top: .4rem; }
.slider_input_container { padding-block: .4rem; } /* the handle is higher than its rail, and on a phone was cut */
#sliders { gap: clamp(1rem, 2.4vw, 2.4rem); align-items: start; max-width: 1120px; margin: 0 auto; width: 100%; }
.before-after { border-radius: 2px; padding: clamp(12px, 1.3vw, 20px) !important; padding-bottom: 0 !important;
  box-shadow: var(--hung); display: flex; flex-direction: column; }
.before-after > label { order: 3; position: static !important; align-self: center; border: 0 !important; box-shadow: none !important;
  background: none !important; padding: .1rem 0 .9rem !important; font-size: 1.15rem; font-style: italic; }
.before-after > label > span { display: none; }
.before-after .image-container { display: flex; flex-direction: column; height: auto; }
.before-after.fullscreen :is(.image-container, .slider-wrap) { flex: 1; min-height: 0; }
.before-after .icon-button-wrapper button[disabled] { display: none; }
.before-after img { border-radius: 0 !important; }
.before-after [data-testid=slider] .inner { background: #fff !important; width: 2px; opacity: .9; }
.before-after [data-testid=slider] .icon-wrap { background: #fff; color: #22303c; border-radius: 99px; width: 40px; height: 40px;
  box-shadow: 0 2px 10px #0006; }
.before-after [data-testid=slider] .icon { color: #22303c; }
.before-after [data-testid=slider] .icon.center { display: none; }
#strength, #film-seconds { background: none; border: 0; box-shadow: none; padding: 0 .4rem; overflow: visible; }
#strength .head label, #film-seconds .head label { font-style: italic; }
#strength [data-testid=block-info], #film-seconds [data-testid=block-info] { color: var(--body-text-color); font-size: 1rem; }
#difference-row { justify-content: center; }
#ask-difference, #many-cancel { background: none; border: 0; box-shadow: none; color: var(--petal); font-style: italic; font-size: 1rem;
  font-weight: 400; width: auto; flex: none; margin: 0 auto; padding: .3rem .6rem; text-decoration: underline;
  text-underline-offset: .25em; text-decoration-thickness: 1px; }
#difference { max-width: 620px; margin: 0 auto; }

/* what is folded away */
.gr-accordion { background: none !important; border: 0 !important; box-shadow: none !important; padding: 0 !important;
  border-top: 1px solid var(--line) !important; border-radius: 0 !important; max-width: 1120px; margin: 0 auto; width: 100%; }
.gr-accordion > .label-wrap { justify-content: center; gap: .6rem; padding: .7rem 0; font-style: italic; font-size: 1.1rem;
  color: var(--body-text-color); margin: 0; width: 100%; }
.gr-accordion > .label-wrap .icon { color: var(--petal); font-size: .7em; }
.gr-accordion > .label-wrap:not(.open) .icon { transform: rotate(-90deg) !important; }  /* Gradio points back at the words */
.gr-accordion > .label-wrap:hover { color: var(--petal); }
.gr-accordion .column { gap: 1rem; padding-bottom: .8rem; }
.parcels { justify-content: center; gap: .7rem; flex-wrap: wrap; }
.parcels button, #many-home button, #hub-fetch { background: var(--block-background-fill); border: 1px solid var(--block-border-color);
  border-radius: 99px; font-weight: 400; font-size: 1rem; padding: .6rem 1.2rem; flex: 0 1 auto; min-width: 0; width: auto;
  color: var(--body-text-color); box-shadow: 0 6px 14px -10px #22303c59; }
.parcels button:hover, #many-home button:hover, #hub-fetch:hover { border-color: var(--petal); color: var(--petal); }
#hub-fetch { align-self: flex-end; }
#film-seconds { max-width: 420px; margin: 0 auto; width: 100%; }
#link-said { text-align: center; font-style: italic; margin: 0; overflow-wrap: anywhere; }
#link-said > span + span { font-style: normal; user-select: all; }
#finer fieldset, #finer .block, #many .gr-accordion .block { background: none; border: 0; box-shadow: none; padding: .2rem 0; overflow: visible; }
#finer label.selected, #many label.selected { background: var(--block-background-fill); border-color: var(--petal);
  color: var(--body-text-color); }
#finer [data-testid=block-info], #many [data-testid=block-info] { color: var(--body-text-color); font-size: 1rem; font-style: italic; }
#finer .wrap label, #many .wrap label { background: var(--quiet); font-weight: 400; }
.card h3 { margin: 0 0 .3rem; font-weight: 400; font-style: italic; font-size: 1.25rem; color: var(--frost); }
.card dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; font-size: 1rem; }
.card dt { color: var(--body-text-color-subdued); font-style: italic; } .card dd { margin: 0; }
#finer .form:has(> #size), #painter-row { display: grid; grid-template-columns: minmax(0, 1.3fr) minmax(0, 1fr); }
#card .html-container { padding: 0; }
#parcel { display: none !important; }
#finer .form, #home .form, #closer .form, #many .form, #finer .row { background: none; border: 0; box-shadow: none; gap: 1.4rem; overflow: visible; }

.examples { text-align: center; overflow: visible !important; }
.examples .label { justify-content: center; font-style: italic; font-size: 1.05rem;
  color: var(--body-text-color-subdued); }
.examples .label svg { display: none; }
.examples .gallery { justify-content: center; gap: .9rem; padding: .3rem; }
.examples .gallery-item { overflow: visible; border: 5px solid var(--block-background-fill);
  border-radius: 1px; width: 104px; height: 104px; padding: 0; box-shadow: var(--hung);
  transition: transform .2s; background: none; }
.examples .gallery-item:hover { transform: translateY(-4px); }
.examples .gallery-item > span, .examples .gallery-item .container { display: block; width: 100%;
  max-width: none; height: 100%; padding: 0; border: 0; border-radius: 0; transform: none; }
.examples .gallery-item img { width: 100%; height: 100%; object-fit: cover; border-radius: 0; }

/* many photos */
#many { gap: clamp(1rem, 2.4vw, 2.4rem); align-items: start; justify-content: center; }
#many-given { max-width: 560px; }
#many-given { gap: 1rem; align-items: center; }
#many-files { border-radius: 2px; box-shadow: var(--hung); width: 100%; display: flex; flex-direction: column; }
#many-files > label { order: 2; position: static; width: 100%; justify-content: center; border: 0; background: none; box-shadow: none;
  font-size: 1.15rem; font-style: italic; padding: 0 1rem 1rem; text-align: center; text-wrap: balance; }
#many-files .upload-container .wrap { font-size: 0; }  /* Gradio's words; the label says it */
#many-files .upload-container .or { display: none; }
#many-files .file-preview-holder { margin-top: 32px; }  /* below its buttons for another file, and for none */
#many-said p { font-style: italic; text-align: center; margin: 0 0 .5rem; }
#many-said ul { margin: .7rem 0 0; padding-left: 1.1rem; font-size: .95rem; overflow-wrap: anywhere; }
.bar { height: 6px; border-radius: 99px; background: var(--line); overflow: hidden; }
.bar i { display: block; height: 100%; background: linear-gradient(90deg, var(--frost), var(--petal)); transition: width .6s; }
#many-home { justify-content: center; }
#many-gallery { border-radius: 2px; box-shadow: var(--hung); padding: 12px; min-height: 320px; }
#many-gallery .empty { min-height: 300px; background: var(--pane); }
#many-gallery .empty > * { display: none; }
#many-gallery .empty::before { content: ""; width: 90px; aspect-ratio: 1; opacity: .4;
  background: var(--emblem) center / contain no-repeat; }
#many-gallery > label { display: none; }
#many-gallery .thumbnail-item { border-radius: 0; }

/* live */
#live { max-width: 1120px; margin: 0 auto; width: 100%; text-align: center; }
.live { display: grid; grid-template-columns: 1fr 1fr; gap: clamp(1rem, 2.4vw, 2.4rem); }
.mat { margin: 0; background: var(--block-background-fill); border: 1px solid var(--block-border-color); border-radius: 2px;
  box-shadow: var(--hung); padding: clamp(12px, 1.3vw, 20px); padding-bottom: 0; }
.mat figcaption { padding: .7rem 0 .9rem; font-size: 1.15rem; font-style: italic; color: var(--body-text-color); }
.mat .pane { background: var(--pane) var(--emblem) center / 22% no-repeat; aspect-ratio: 4 / 3; display: flex; }
.mat video, .mat canvas { width: 100%; height: 100%; object-fit: contain; margin: 0; }
.mirrored video, .mirrored canvas { transform: scaleX(-1); }
#live button, #live button span { color: #fff; font-weight: 400; letter-spacing: .04em; }
#live button { min-height: 3rem; padding: .4rem 2rem; border-radius: 99px; font-size: 1.15rem; cursor: pointer; border: 0;
  background: var(--button-primary-background-fill); box-shadow: 0 8px 20px -8px #a32f6a99; margin-top: 1.2rem; }
#live button[hidden] { display: none; }
#live-said { font-style: italic; }

/* about */
#about { max-width: 46rem; margin: 0 auto; width: 100%; }
#about section { margin: 0 0 2rem; }
#about h2 { font-weight: 400; font-style: italic; font-size: 1.6rem; color: var(--frost) !important; margin: 0 0 .5rem; }
#about h2 span { color: inherit; }
#about section:nth-child(even) h2 { color: var(--petal) !important; }
#about p, #about li { line-height: 1.65; }
#about ul { padding-left: 1.2rem; }
#about .frost { color: var(--frost); font-weight: 400; font-style: italic; }
#about .petal { color: var(--petal); font-weight: 400; font-style: italic; }
#about .objective { background: var(--block-background-fill); box-shadow: var(--hung); border-radius: 2px;
  padding: 1.2rem clamp(1rem, 3vw, 2rem); margin: 1.2rem 0; }
#about .objective p { margin: 0 0 .8rem; font-style: italic; }
#about .objective dt { color: var(--body-text-color-subdued); font-style: italic; font-size: 1rem; }
#about .objective dd { margin: .1rem 0 .8rem 0; font-size: 1.12rem; overflow-wrap: anywhere; }
#about table { width: 100%; border-collapse: collapse; border: 0; }
#about tr, #about tbody, #about thead { border: 0; background: none; }
#about th, #about td { text-align: left; padding: .4rem .6rem .4rem 0; border: 0; border-bottom: 1px solid var(--line);
  font-weight: 400; background: none; }
#about thead th { color: var(--body-text-color-subdued); font-style: italic; font-size: 1rem; }

footer .divider { display: none !important; }
footer { gap: 1.2rem; }
footer img { display: none; }
#colophon { text-align: center; font-size: .95rem; color: var(--body-text-color-subdued); margin-top: .6rem; }
#rooms:has(> * [data-tab-id=train][aria-selected=true], > * [data-tab-id=about][aria-selected=true]) ~ #colophon {
  display: none; }  /* what is brought there stays; there it is said already */

/* Gradio 6.31 heads every gr.Error with "Error", whatever its title */
.toast-body.error .toast-title { font-size: 0; }
.toast-body.error .toast-title::before { content: "A word from the painter"; font-size: 1.1rem;
  font-weight: 400; font-style: italic; }
html[lang^="zh"] .toast-body.error .toast-title::before { content: "画师有话说"; }
.toast-body { --toast-color: var(--petal) !important; background: var(--block-background-fill) !important;
  border-radius: 4px !important; }

@media (max-width: 760px) {
  #triptych { grid-template: "photo" "bloom" "flower" "again" / 1fr; }
  .frame .empty { aspect-ratio: 16 / 9; margin-bottom: .6rem; }
  .frame .empty::before { width: 20%; }
  .examples .gallery { flex-wrap: nowrap; overflow-x: auto; justify-content: flex-start;
    padding: .5rem .3rem 1.5rem; }
  .examples .gallery-item { flex: none; }
  #introduction .motto { font-size: 1.05rem; }
  .live { grid-template-columns: 1fr; }
  /* nothing to see yet: the examples come first */
  :is(#flower-place, #again-place):has(.empty):not(:has(.wrap:not(.hide) .progress-text)) { display: none; }
  #rooms > .tab-wrapper { padding-bottom: 1rem; }
  #rooms > .tab-wrapper .tab-container { gap: 0; }  /* or Gradio hides the last rooms behind three dots */
  #rooms > .tab-wrapper button { font-size: 1rem; padding: .35rem .3rem; }
  #finer .form:has(> #size), #painter-row { grid-template-columns: 1fr; }
  .card dl { grid-template-columns: 1fr; gap: 0; } .card dd { margin-bottom: .4rem; }
}
"""
