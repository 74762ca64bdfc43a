"""Where a photo blooms: three pictures side by side, rime, flower, and rime again; and what can be done with them.

Components, and the events between them; the work is `painting`'s. Knows nothing about launching.
"""

import asyncio
import contextlib
import html
import json
import logging
import secrets
import threading
from functools import wraps
from pathlib import Path

import gradio as gr
import numpy as np
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder
from PIL import Image, ImageFilter

from r2f.bloom import BRUSHES, SIZES
from r2f.images import UnreadablePicture, list_pictures, read_picture
from r2f.ui import painting
from r2f.ui.painters import Offer, PainterAsleep, Painters, quality_of, way_back_of
from r2f.ui.painting import NoPhoto, Result, Results, Wilted, data_url
from r2f.ui.words import both, english, refusal, t, towards, two

log = logging.getLogger("r2f")

TITLE = "A word from the painter"
FAST = dict(queue=False, show_progress="hidden", api_visibility="private")
AT_THE_EASEL = dict(concurrency_id="painter", concurrency_limit=1)  # one picture at a time uses all the cores already
SOURCES = ["upload", "clipboard", "webcam"]

WAIT_SECONDS = 1  # between two looks at what was under way when the page was left

# What a wall shows when nothing hangs there, in the order of `wall`; the note is the last.
EMPTY = [None, None, None, None, gr.skip(), gr.update(visible=False), gr.skip(), gr.update(visible=False),
         gr.update(active=False), ""]

# What the browser does itself. While a photo is being painted no other can be chosen: the painting that comes
# would hang beside the wrong one. What is to be said of anything else meanwhile is kept for later.
PAINTING_NOW = json.dumps(both("painting_now"))
HOLD = f"""(said) => {{
  const place = document.getElementById("photo");
  if (place.inert) throw "already at it";
  if (said !== {PAINTING_NOW}) document.body.saidBefore = said;
  document.body.heldFocus = document.activeElement;
  for (const part of document.querySelectorAll("#photo, .examples, #direction")) part.inert = true;
  if (matchMedia("(max-width: 760px)").matches)
    document.getElementById("flower").scrollIntoView({{behavior: "smooth", block: "center"}});
  if (place.querySelector(".uploading")) return [{json.dumps(both("on_its_way"))}];
  if (place.querySelector(".image-frame img")) return [{PAINTING_NOW}];
}}"""
ARRIVED = f"""(photo) => [photo ? {PAINTING_NOW} : undefined]"""  # Gradio asks for the photo when its upload has ended
CHOSEN = f"""(said) => {{
  if (said !== {PAINTING_NOW}) document.body.saidBefore = said;
  return [{PAINTING_NOW}];
}}"""
RELEASE = """() => {
  for (const part of document.querySelectorAll("#photo, .examples, #direction")) part.inert = false;
  document.body.heldFocus?.focus({preventScroll: true});
  return [document.body.saidBefore];
}"""
AWAKE = f"""(said, now) => {{  // takes the place of nothing else
  const held = document.getElementById("photo").inert, waking = ["", {json.dumps(both("waking"))}];
  if (!said || !waking.includes((held ? document.body.saidBefore : now) ?? "")) return;
  if (!held) return [said];
  document.body.saidBefore = said;
}}"""
CLEAR = f"""() => {{
  const empty = {json.dumps(EMPTY)};
  if (document.getElementById("photo").inert) empty.pop();
  return empty;
}}"""

# The browser also chooses the key of what comes, and so finds it after a reload. A tab finds its own, by what it asked for and
# what hung there last; only a new one goes on with what was asked for in any. A frame on another site may have no storage.
ASK = """(...given) => {
  const hex = (byte) => byte.toString(16).padStart(2, "0");
  const half = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), hex).join("");
  given.splice(-1, 1, `${half()}.${half()}`);
  try { for (const store of [sessionStorage, localStorage]) store.setItem("rime2flower-asked", given.at(-1)); } catch {}
  return given;
}"""
ASKED = """(hung, asked, ...others) => {
  try {
    hung = sessionStorage.getItem("rime2flower-hung") ?? hung ?? "";
    asked = sessionStorage.getItem("rime2flower-asked") ?? localStorage.getItem("rime2flower-asked") ?? "";
    sessionStorage.setItem("rime2flower-hung", hung);
    sessionStorage.setItem("rime2flower-asked", asked);
  } catch {}
  return [hung, asked, ...others];
}"""
AWAITED = """() => {  // nothing more, once something new was asked for
  if (document.body.heldFocus !== undefined) return [null];
  try { return [sessionStorage.getItem("rime2flower-asked")]; } catch { return [null]; }
}"""
HANGS = """(key, flower) => {
  if (key && flower) try { for (const what of ["hung", "asked"]) sessionStorage.setItem(`rime2flower-${what}`, key); } catch {}
}"""
TAKEN_DOWN = """() => {  // on purpose: it comes back in no tab
  try {
    if (localStorage.getItem("rime2flower-asked") === sessionStorage.getItem("rime2flower-asked"))
      for (const name of ["rime2flower-asked", "rime2flower"]) localStorage.removeItem(name);
    for (const what of ["hung", "asked"]) sessionStorage.setItem(`rime2flower-${what}`, "");
  } catch {}
}"""
SAVE = """(file) => {
  if (!file?.url) return;
  const link = Object.assign(document.createElement("a"), {href: file.url, download: file.orig_name ?? ""});
  document.body.append(link); link.click(); link.remove();
}"""
COPY_LINK = """async (key) => {
  const link = new URL(location.href);
  link.search = ""; link.searchParams.set("flower", key.split(".")[0]);
  const [copied, shown] = document.querySelector("#link-said").children, asked = document.body.linkAsked = {};
  let can = true;
  try { await navigator.clipboard.writeText(link); } catch { can = false; }  // pages over http and in frames have no clipboard
  if (document.body.linkAsked !== asked) return;  // another picture has come meanwhile
  copied.hidden = !can; shown.hidden = can; shown.textContent = link;
}"""
FORGET_LINK = """() => {
  document.body.linkAsked = null;
  for (const part of document.querySelectorAll("#link-said > *")) part.hidden = true;
}"""

# An answer that comes late must not hang where another picture has come meanwhile, or none is left: the browser looks first.
SHOW_LOOKED_AT = """(photo, of, said, files) => {
  if (!of || photo?.path !== of) return;
  if (!said) return [files[0]];
  if (!document.getElementById("photo").inert) return [null, said];
  document.body.saidBefore = said;
  return [null];
}"""
SHOW_SO_FAR = """(key, curtain, of, files) => {
  if (curtain?.[0] && files && key === of) return [files[1], files];
}"""


def bloom_tab(painters: Painters, results: Results, examples: Path) -> tuple[gr.Dropdown, gr.HTML]:
    """Put the components and events into the Blocks around them; gives the picker of the pair, and what is said to visitors."""
    with gr.Row(elem_id="triptych"):
        with gr.Column(elem_id="photo-place", min_width=0):
            photo = gr.Image(label=t("rime"), elem_id="photo", elem_classes="frame", format="png", buttons=[],
                             alt_text="Your photo, as you brought it", type="filepath", image_mode=None, sources=SOURCES,
                             placeholder=t("drop_photo"))
        with gr.Column(elem_id="bloom-place", min_width=0):
            button = gr.Button(t("bloom"), elem_id="bloom", variant="primary")
            direction = gr.Radio([(t("way_bloom"), "bloom"), (t("way_frost"), "frost")], value="bloom", elem_id="direction",
                                 label=t("direction"), show_label=False, container=False)
            gr.HTML('<p id="wait" role="status"></p>')
            note = gr.HTML(both("waking"), elem_id="note")
        with gr.Column(elem_id="flower-place", min_width=0):
            flower = picture("flower", "What your photo became")
        with gr.Column(elem_id="again-place", min_width=0):
            again = picture("again", "The way back: made from the painting alone")

    wait = gr.Timer(WAIT_SECONDS, active=False)
    kept = gr.BrowserState("", storage_key="rime2flower", secret="let yourself bloom")  # the key of the result on the wall
    asked = kept  # where the browser puts the key that it chose last instead
    parcel = gr.File(visible="hidden", elem_id="parcel")
    looked_at, so_far = ((gr.Textbox(visible="hidden"), gr.File(visible="hidden", file_count="multiple"))  # of what, and files
                         for _ in range(2))
    fault, awake_said = (gr.Textbox(visible="hidden") for _ in range(2))
    left_of_tab = gr.State({})  # the direction it shows; for each one the photo and the key of what hung there last
    with gr.Column(visible=False, elem_id="closer") as closer:
        with gr.Row(elem_id="sliders"):
            with gr.Column(min_width=280):
                to_flower = slider("photo_flower", "to-flower")
                amount = gr.Slider(0, 100, 100, step=1, label=t("strength"), elem_id="strength", buttons=[])
            with gr.Column(min_width=280):
                to_again = slider("photo_again", "to-again")
                with gr.Row(elem_id="difference-row"):
                    ask = gr.Button(t("show_difference"), elem_id="ask-difference", size="sm")
        difference = gr.Image(label=t("difference"), elem_id="difference", elem_classes="frame", interactive=False, visible=False,
                              format="png", buttons=["download", "fullscreen"],
                              alt_text="Map of the differences between your photo and the way back")
        with gr.Accordion(t("take_home"), open=False, elem_id="home"):
            with gr.Row(elem_classes="parcels"):
                get_png = gr.Button(t("get_png"), elem_id="get-png")
                get_triptych = gr.Button(t("get_triptych"), elem_id="get-triptych")
                get_mp4 = gr.Button(t("get_mp4"), elem_id="get-mp4")
                get_webp = gr.Button(t("get_webp"), elem_id="get-webp")
                get_link = gr.Button(t("get_link"), elem_id="get-link")
            gr.HTML(f'<p id="link-said" role="status"><span hidden>{both("link_copied")}</span><span hidden></span></p>')
            seconds = gr.Slider(3, 6, 4, step=0.5, label=t("film_seconds"), elem_id="film-seconds", buttons=[])
    behind = gr.HTML(elem_id="behind")
    shelves_of = {way: row for way, folder in (("bloom", examples), ("frost", examples / "paintings"))
                  if (row := shelf(way, folder, photo, note))}
    with gr.Accordion(t("finer"), open=False, elem_id="finer"):
        with gr.Row():
            size = gr.Radio([(t(f"size_{name}"), name) for name in SIZES], value="1024", label=t("size"), elem_id="size")
            brush = gr.Radio([(t(f"brush_{name}"), name) for name in BRUSHES], value="broad", label=t("brush"), elem_id="brush")
        pair = pair_picker(painters)

    def show(result: Result, key: str) -> list:
        seen, painted, back = result.shown
        return [painted, back, (seen, painted), (seen, back), key, gr.update(visible=True), 100, gr.update(visible=False),
                gr.update(active=False), figures_of(result)]

    wall = [flower, again, to_flower, to_again, kept, closer, amount, difference, wait, note]
    at_once, later = [flower, again, note, kept, wait], [to_flower, to_again, note, closer, amount, difference]

    @politely
    def hang(data, direction, size, brush, pair, wanted):
        with results.promised(wanted, (painting.path_of(data), direction)) as own_key:
            result = results.add(painting.paint(painters, data, direction, size, brush, pair, own_key))
        return [*result.shown[1:], "", own_key, gr.Timer(active=False)]

    @politely
    def look_closer(key):
        shown = dict(zip(wall, show(results.get(key), key), strict=True))
        return [shown[each] for each in later]

    # The pictures come first; the curtains and the figures, which cost another moment, follow.
    # Gradio's preprocessing would open the file before read_picture does: no limits, no polite sentence.
    # `then` is not enough to release the page: Gradio 6.31 runs it after a success only.
    arrived = button.click(None, note, note, js=HOLD).success(None, photo, note, js=ARRIVED)
    at_work = arrived.success(hang, [photo, direction, size, brush, pair, asked], at_once, preprocess=False, js=ASK,
                              show_progress="minimal", show_progress_on=flower, api_visibility="private", **AT_THE_EASEL)
    looked = at_work.success(look_closer, kept, later, **FAST)
    at_work.success(None, [kept, flower], js=HANGS)
    at_work.failure(None, None, note, js=RELEASE)
    for end in (looked.success, looked.failure):
        end(None, js=RELEASE)

    gr.on([photo.clear, photo.upload], None, None, wall, js=CLEAR)  # a painting belongs to one photo
    photo.clear(None, js=TAKEN_DOWN)

    def look(data):
        """Which upload, what is wrong with it, and a picture of it that browsers show, where they need one."""
        try:
            painting.check(data)
        except UnreadablePicture as error:
            return data["path"], sentence(error), None
        path = painting.as_browsers_show(data)
        return (data["path"], "", [path]) if path else (None, "", None)

    of, files = looked_at
    looking = photo.upload(look, photo, [of, fault, files], preprocess=False, show_progress="hidden", api_visibility="private",
                           concurrency_limit=2, trigger_mode="multiple")  # at the next photo, too, before this one is done
    looking.success(None, [photo, of, fault, files], [photo, note], js=SHOW_LOOKED_AT)

    def turn(direction):
        """Everything that is called differently the other way round."""
        frost = direction == "frost"
        labels = ("painting", "rime", "painting_again", "strength_frost", "painting_rime", "painting_way_back") if frost else \
            ("rime", "flower", "rime_again", "strength", "photo_flower", "photo_again")
        shelves = [gr.update(visible=frost == (way == "frost")) for way in shelves_of]
        named = [gr.update(label=t(key)) for key in (*labels, towards(direction, "difference"))]
        named[0]["placeholder"] = t(towards(direction, "drop_photo"))
        said = [gr.update(value=t(key)) for key in ("freeze" if frost else "bloom", towards(direction, "get_png"))]
        return [*named, *said, *shelves]

    direction.change(turn, direction, [photo, flower, again, amount, to_flower, to_again, difference, button, get_png,
                                       *shelves_of.values()], **FAST)

    @politely
    def bloom_so_far(key, percent):
        result = results.get(key)
        shown = painting.at_strength(result, number(percent, 0, 100))
        return key, [result.shown[0], shown]

    # Without preprocessing: `number` takes what was typed.
    released = amount.release(bloom_so_far, [kept, amount], [*so_far], preprocess=False, show_progress="hidden",
                              api_visibility="private", concurrency_limit=2, trigger_mode="always_last")
    released.success(None, [kept, to_flower, *so_far], [flower, to_flower], js=SHOW_SO_FAR)

    @politely
    def difference_shown(key):
        return gr.update(value=painting.difference_of(results.get(key)), visible=True)

    ask.click(difference_shown, kept, difference, api_visibility="private", concurrency_limit=2)

    def offer(button, make, **limits):
        """A button that makes a file and hands it to the browser."""
        done = button.click(politely(make), [kept, amount, seconds], parcel, preprocess=False, api_visibility="private",
                            show_progress_on=button, **limits)
        done.success(None, parcel, None, js=SAVE)

    def whole(key, percent, _seconds):
        return painting.whole_painting(painters, results.get(key), number(percent, 0, 100))

    def triptych(key, percent, _seconds):
        return painting.triptych_of(results.get(key), number(percent, 0, 100))

    offer(get_png, whole, **AT_THE_EASEL)
    offer(get_triptych, triptych, concurrency_limit=2)
    for button_of, suffix in ((get_mp4, ".mp4"), (get_webp, ".webp")):
        offer(button_of, lambda key, percent, length, suffix=suffix: painting.film_of(
            results.get(key), number(percent, 0, 100), number(length, 3, 6), suffix), concurrency_id="film", concurrency_limit=1)
    get_link.click(None, kept, None, js=COPY_LINK)
    gr.on([photo.change, kept.change], None, js=FORGET_LINK)

    room = [*wall, photo, direction]
    unchanged = dict.fromkeys(room, gr.skip())

    def hung(result: Result, key: object, linked: bool = False) -> list:
        """A result with its photo, for whoever knows that key: for the key of a link the photo's pixels, not the file."""
        own = isinstance(key, str) and secrets.compare_digest(key.encode(), result.own_key.encode())
        source = result.shown[0] if linked or not own else str(result.source) if result.source.exists() else None
        return [*show(result, key if own else result.key), source, result.direction]

    def found(key: str) -> dict:
        """What hangs in the room, or will, by a key of this browser. Raises Wilted."""
        if coming := results.under_way(key):
            source, way = coming
            return {photo: str(source), direction: way, note: both("still_painting"), wait: gr.update(active=True)}
        return dict(zip(room, hung(results.get(key), key), strict=True))

    def come_in(key, asked, request: gr.Request):
        """What hung on the wall before a reload, or was to, or what a link shows."""
        linked = request.query_params.get("flower", "")
        with contextlib.suppress(Wilted):
            if linked:
                return dict(zip(room, hung(results.get(linked), key, linked=True), strict=True))
        for known in () if linked else (asked, key):
            with contextlib.suppress(Wilted):
                return unchanged | found(known)
        return unchanged | ({note: both("gone")} if linked else {kept: ""} if key else {})

    awake_then = gr.on(None, lambda: None, None, None, **FAST)  # when the page opens
    came_in = awake_then.success(come_in, [kept, asked], room, js=ASKED, **FAST)

    def turn_round(key, asked, way, data, painted, left):
        """The other direction, as it was left."""
        now = left.get("now", "bloom" if way == "frost" else "frost")
        if way not in painting.DIRECTIONS or way == now:
            return unchanged | {left_of_tab: left}
        source = painting.path_of(data) if data else None
        left = left | {"now": way, now: (source, asked if results.under_way(asked) else key if painted else "")}
        source, key = left.get(way, (None, ""))
        there = {photo: str(source) if source and source.exists() and not key else None}
        with contextlib.suppress(Wilted):
            there = found(key) if key else there
        return unchanged | dict(zip(wall, EMPTY, strict=True)) | there | {direction: gr.skip(), left_of_tab: left}

    turned = direction.input(turn_round, [kept, asked, direction, photo, flower, left_of_tab], [*room, left_of_tab], js=ASKED,
                             preprocess=False, trigger_mode="always_last", **FAST)
    for back in (came_in, turned):
        back.success(None, [kept, flower], js=HANGS)

    def look_again(asked):
        """What was under way when the page was left, once it is there."""
        if not asked:
            return unchanged | {wait: gr.update(active=False)}
        if results.under_way(asked):
            return unchanged
        try:
            return dict(zip(room, hung(results.get(asked), asked), strict=True))
        except Wilted:  # it could not be painted
            return unchanged | {note: both("not_painted"), wait: gr.update(active=False)}

    wait.tick(look_again, asked, room, js=AWAITED, **FAST).success(None, [kept, flower], js=HANGS)

    def hangs(key: object) -> bool:
        """Whether something hangs by that key, or is to."""
        with contextlib.suppress(Wilted):
            return bool(results.under_way(key) or results.get(key))
        return False

    async def awake(key, asked, request: gr.Request):
        try:
            await asyncio.wrap_future(painters.loading)
        except PainterAsleep as error:
            return refusal(error)
        return "" if hangs(key) or hangs(asked) or request.query_params.get("flower") else both("ready")

    gr.on(None, awake, [kept, asked], awake_said, js=ASKED, **FAST).success(None, [awake_said, note], note, js=AWAKE)

    promise = Promise(painters, examples)
    gr.on(None, promise.style, None, behind, **FAST)
    service(painters)
    return pair, note


class Promise:
    """What hangs behind the frosted panes of an empty page: the first example, in bloom. Painted once, when somebody comes in."""

    SIDE, BLUR, SENT_SIDE = 320, 7, 80  # pixels: as painted, then as seen through a frosted pane

    def __init__(self, painters: Painters, examples: Path):
        self.painters, self.example = painters, next(iter(list_pictures(examples)), None) if examples.is_dir() else None
        self.lock, self.made = threading.Lock(), None

    def style(self) -> str:
        """HTML that puts the pictures there; nothing where there is no example or no painter."""
        if not self.example:
            return ""
        with self.lock:
            if self.made is None:
                try:
                    photo = read_picture(self.example, max_side=self.SIDE)
                    pictures = [photo, *map(np.asarray, self.painters.bloomer().round_trip(photo))]
                except (UnreadablePicture, PainterAsleep):
                    return ""
                rules = "".join(f"#{name} {{ --behind: url({data_url(self.frosted(each))}) }}"
                                for name, each in zip(("photo", "flower", "again"), pictures, strict=True))
                self.made = f"<style>{rules}</style>"
        return self.made

    def frosted(self, pixels: np.ndarray) -> np.ndarray:
        """Blurred here, once: a browser without a graphics card would do it again for every frame."""
        picture = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(self.BLUR))
        return np.asarray(picture.reduce(self.SIDE // self.SENT_SIDE))


def picture(name: str, alt_text: str) -> gr.Image:
    return gr.Image(label=t("flower" if name == "flower" else "rime_again"), elem_id=name, elem_classes="frame", format="png",
                    interactive=False, alt_text=alt_text, buttons=["download", "fullscreen"])


def slider(words: str, name: str) -> gr.ImageSlider:
    return gr.ImageSlider(label=t(words), elem_id=name, elem_classes="before-after", interactive=False, format="png",
                          max_height=620, slider_position=50, buttons=["fullscreen"], type="filepath", image_mode=None)


def number(value: object, least: float, most: float) -> float:
    """A number from a slider, or from whoever pretends to be one."""
    try:
        return min(most, max(least, float(value)))
    except (TypeError, ValueError):
        return most


def figures_of(result: Result) -> str:
    """The way back in plain words."""
    values = dict(structure=f"{100 * max(0, result.figures.structure):.0f}", colour=f"{result.figures.colour:.1f}",
                  away=f"{result.away:.0f}")
    hint = "figures_hint" if result.direction == "bloom" else "figures_hint_frost"
    return f'<strong>{both("figures", **values)}</strong> <small>{both(hint, **values)}</small>'


def politely(work):
    """What goes wrong for a visitor is said in one sentence, in both languages."""
    @wraps(work)
    def polite(*arguments):
        try:
            return work(*arguments)
        except (NoPhoto, UnreadablePicture, PainterAsleep, Wilted) as error:
            raise gr.Error(sentence(error, arguments), title=TITLE, print_exception=False) from error
    return polite


def sentence(error: Exception, arguments: tuple = ()) -> str:
    match error:
        case NoPhoto() if str(error) == "no photo":
            return both("no_painting" if "frost" in arguments[1:2] else "no_photo")
        case Wilted():
            return both("gone")
        case _:
            return refusal(error)


def shelf(way: str, folder: Path, photo: gr.Image, note: gr.HTML) -> gr.Dataset | None:
    """Example pictures: one touch, and it blooms."""
    pictures = list_pictures(folder) if folder.is_dir() else []
    if not pictures:
        return None
    words, name = ("begin", "examples") if way == "bloom" else ("begin_paintings", "paintings")
    # Wherever the page is started from: of files elsewhere Gradio takes those in its cache only.
    pictures = [save_file_to_cache(path, get_upload_folder()) for path in pictures]
    row = gr.Dataset(label=t(words), elem_id=name,
                     elem_classes="examples", components=[photo], samples=[[path] for path in pictures],
                     samples_per_page=len(pictures), type="index", visible=way == "bloom")

    def choose(place):
        return pictures[place]

    row.click(None, note, note, js=CHOSEN)
    chosen = row.click(choose, row, photo, **FAST)
    chosen.success(None, js="() => document.getElementById('bloom').click()")
    return row


def pair_picker(painters: Painters) -> gr.Dropdown:
    """Which pair paints, and its card."""
    def names():
        return list(painters.offers())

    with gr.Row(elem_id="painter-row"):
        with gr.Column(min_width=240):
            pair = gr.Dropdown(names(), value=painters.first_name, label=t("pair"), elem_id="pair", filterable=False)
            if painters.hub:
                repository = gr.Textbox(label=t("hub_repo"), elem_id="hub-repo", max_lines=1, max_length=200)
                with gr.Row():
                    revision = gr.Textbox(label=t("hub_revision"), elem_id="hub-revision", max_lines=1, max_length=100)
                    fetch = gr.Button(t("fetch"), elem_id="hub-fetch", size="sm", scale=0)
        with gr.Column(min_width=240):
            card = gr.HTML(card_of(painters.offers().get(painters.first_name)), elem_id="card")

    pair.change(lambda name: card_of(painters.offers().get(name)), pair, card, preprocess=False, **FAST)

    def look_around(name):
        found = names()
        return gr.update(choices=found, value=name if name in found else painters.first_name)

    gr.on(None, look_around, pair, pair, preprocess=False, **FAST)
    if painters.hub:
        @politely
        def bring(repository, revision):
            name = painters.fetch(repository, revision)
            return gr.update(choices=names(), value=name)
        fetch.click(bring, [repository, revision], pair, api_visibility="private", concurrency_limit=1)
    return pair


def card_of(offer: Offer | None) -> str:
    """Where a pair comes from: trained on, steps, figures."""
    if not offer or not offer.info:
        return ""
    info, escape = offer.info, html.escape
    counts = info.get("pictures") if isinstance(info.get("pictures"), dict) else {}
    rime, flowers = counts.get("rime", "?"), counts.get("flowers", "?")
    rime, flowers = escape(str(rime)[:12]), escape(str(flowers)[:12])
    rows = [("Learned from", "学自", two(f"{rime} photos of rime, {flowers} flower paintings",
                                        f"{rime} 张雾凇照片，{flowers} 幅花卉画"))]
    step = info.get("step")
    if isinstance(step, int):
        side = escape(str(info.get("image_size", "?")))
        label, chinese = ("Last lesson", "最后一课") if info.get("pupil") else ("Practised", "练习")
        rows.append((label, chinese, two(f"{step:,} steps at {side} pixels", f"{step:,} 步，{side} 像素")))
    found = way_back_of(offer)
    if found:
        structure, colour = 100 * found[0], found[1]
        rows.append(("Way back", "归途", two(
            f"{structure:.0f} % of the structure, colours off by {colour:.1f}, on photos it never saw",
            f"结构 {structure:.0f}%，色差 {colour:.1f}（未见过的照片）")))
    if measured := quality_of(offer):
        gap, way_back = (f"{100 * each:.0f}" for each in measured)
        rows.append(("Measured", "测得", two(
            f"{gap} % of the way from photos to paintings, {way_back} % of the way back, on pictures held out from its training",
            f"由照片到画 {gap}%，归途 {way_back}%（训练中留出的图片）")))
    for label, chinese, key in (("Preset", "预设", "preset"), ("Made", "日期", "date"), ("Licence", "许可", "licence")):
        if info.get(key):
            rows.append((label, chinese, escape(str(info[key])[:80])))
    lines = "".join(f"<dt>{two(label, chinese)}</dt><dd>{value}</dd>" for label, chinese, value in rows)
    return f'<div class="card"><h3>{escape(offer.name)}</h3><dl>{lines}</dl></div>'


def service(painters: Painters) -> None:
    """/bloom and /frost, for programs: the whole picture, at its own size."""
    choices = dict(
        size=lambda: gr.Radio(list(SIZES), value="full", label="size", visible=False),
        brush=lambda: gr.Radio(list(BRUSHES), value="broad", label="brush", visible=False),
        strength=lambda: gr.Slider(0, 100, 100, label="strength", visible=False),
        pair=lambda: gr.Textbox(painters.first_name, label="pair", visible=False),
    )

    def work(direction, photo, size, brush, strength, pair):
        try:
            result = painting.paint(painters, photo, direction, size, brush, pair)
            files = painting.files_of(result, number(strength, 0, 100))
        except NoPhoto as error:
            text = english("no_photo" if direction == "bloom" else "no_painting") if str(error) == "no photo" else str(error)
            raise gr.Error(text, title=TITLE, print_exception=False) from error
        except (UnreadablePicture, PainterAsleep) as error:
            raise gr.Error(html.escape(str(error), quote=False), title=TITLE, print_exception=False) from error
        return files

    def bloom(photo, size, brush, strength, pair):
        """A photo of rime ice blooms into a flower painting, and the painting freezes back into rime.

        Gives two PNG files of the photo's size: the painting, and rime again. What can't be used is refused in one sentence.

        Args:
            photo: A JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file, at least 32 pixels a side.
            size: "full" for the photo's own size (24 megapixels at most), "512" or "1024" for that long side at most.
            brush: "broad" paints large photos at about a megapixel and carries the change up; "fine" paints them at full size.
            strength: How far the photo blooms, from 0 to 100 percent.
            pair: The painter's name on the page; the default is the page's own.
        """
        return work("bloom", photo, size, brush, strength, pair)

    def frost(painting, size, brush, strength, pair):
        """A flower painting freezes into rime, and the rime blooms again.

        Gives two PNG files of the painting's size: rime, and the flower again. What can't be used is refused in one sentence.

        Args:
            painting: A JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file, at least 32 pixels a side.
            size: "full" for the painting's own size (24 megapixels at most), "512" or "1024" for that long side at most.
            brush: "broad" works on large pictures at about a megapixel and carries the change up; "fine" works at full size.
            strength: How far the painting freezes, from 0 to 100 percent.
            pair: The painter's name on the page; the default is the page's own.
        """
        return work("frost", painting, size, brush, strength, pair)

    for function, given, there, back in ((bloom, "photo", "Flower", "Rime again"), (frost, "painting", "Rime", "Flower again")):
        takes = [gr.Image(label=given, type="filepath", image_mode=None, visible=False), *(make() for make in choices.values())]
        gives = [gr.Image(label=label, format="png", visible=False) for label in (there, back)]
        call = gr.Button(visible=False)
        call.click(function, takes, gives, preprocess=False, api_name=function.__name__, **AT_THE_EASEL)
