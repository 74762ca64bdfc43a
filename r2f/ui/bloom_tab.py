"""Where a photo blooms: three pictures side by side, rime, flower, and rime again.

The painter loads its pair in the background, so that the page is there at once; a bloom asked for before that
simply waits. Knows nothing about launching, and leaves all reading of pictures to `images`.
"""

import asyncio
import html
import logging
import threading
from concurrent.futures import Future
from pathlib import Path

import gradio as gr
from gradio.processing_utils import save_pil_to_cache

from r2f.bloom import Bloomer
from r2f.images import UnreadablePicture, list_pictures, read_picture
from r2f.pair import BadPair, read_pair_json

log = logging.getLogger("r2f")

WAKING = "The painter is waking up…"
READY = "The painter is ready."
TITLE = "A word from the painter"

# What the browser does itself. While a photo is being painted no other can be chosen: the painting that comes
# would hang beside the wrong one.
HOLD = """(photo) => {
  document.body.heldFocus = document.activeElement;
  for (const part of document.querySelectorAll("#photo, #examples")) part.inert = true;
  if (matchMedia("(max-width: 760px)").matches)
    document.getElementById("flower").scrollIntoView({behavior: "smooth", block: "center"});
  return [photo];
}"""
RELEASE = """() => {
  for (const part of document.querySelectorAll("#photo, #examples")) part.inert = false;
  document.body.heldFocus?.focus({preventScroll: true});
}"""
NAME_PARTS = """() => {
  document.querySelector("#note .html-container").setAttribute("role", "status");
  document.querySelectorAll("#examples button").forEach((button, place) =>
    button.setAttribute("aria-label", `Example photo ${place + 1}`));
  return [];
}"""


class PainterAsleep(RuntimeError):
    """The pair can't be loaded; the message is one sentence for whoever looks at the page."""


class Painter:
    """A pair on its way: `loading` will hold the Bloomer, or the PainterAsleep that says why not."""

    def __init__(self, pair: str | Path):
        self.pair = Path(pair)
        self.loading: Future[Bloomer] = Future()
        self.loading.set_running_or_notify_cancel()  # a visitor who leaves while waiting may not cancel it

    def wake(self) -> None:
        """Start loading, in a thread of its own; to be called once."""
        threading.Thread(target=self._load, name="painter", daemon=True).start()

    def _load(self) -> None:
        try:
            read_pair_json(self.pair)  # finds most faults in a moment; importing Keras takes seconds
            self.loading.set_result(Bloomer.load(self.pair))
        except BadPair as error:
            log.error("%s", error)
            shown = str(error).replace(f"{self.pair}/", "").replace(str(self.pair), self.pair.name)
            self.loading.set_exception(PainterAsleep(f"The painter can't wake up: {shown}"))
        except Exception:
            log.exception("the pair %s could not be loaded", self.pair)
            self.loading.set_exception(PainterAsleep("The painter can't wake up; its terminal says why."))


def bloom_tab(painter: Painter, examples: Path) -> None:
    """Put the components and events into the Blocks around them."""
    with gr.Row(elem_id="triptych"):
        with gr.Column(elem_id="photo-place", min_width=0):
            photo = gr.Image(label="Rime", elem_id="photo", elem_classes="frame", format="png", buttons=[],
                             alt_text="Your photo of rime", type="filepath", image_mode=None,
                             sources=["upload", "clipboard", "webcam"],
                             placeholder="Drop a photo of rime\nor touch to choose one")
        with gr.Column(elem_id="bloom-place", min_width=0):
            button = gr.Button("Bloom", elem_id="bloom", variant="primary")
            note = gr.HTML(WAKING, elem_id="note")
        with gr.Column(elem_id="flower-place", min_width=0):
            flower = gr.Image(label="Flower", elem_id="flower", elem_classes="frame", interactive=False,
                              alt_text="The flower painting your photo bloomed into", format="png",
                              buttons=["download", "fullscreen"])
        with gr.Column(elem_id="again-place", min_width=0):
            again = gr.Image(label="Rime again", elem_id="again", elem_classes="frame", interactive=False,
                             alt_text="The flower painting, frozen back to rime", format="png",
                             buttons=["download", "fullscreen"])

    def bloom(photo):
        """A photo of rime blooms into a flower painting, and the painting freezes back to rime.

        Takes a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file. Gives two PNG files of the photo's size: the
        flower, and rime again. What can't be used is refused in one sentence.
        """
        if not photo or not photo["path"]:
            raise gr.Error("Please choose a photo of rime first, or one of the examples.", title=TITLE,
                           print_exception=False)
        path = Path(photo["path"])
        try:
            pixels = read_picture(path)
            pictures = painter.loading.result().round_trip(pixels)
        except (UnreadablePicture, PainterAsleep) as error:
            raise gr.Error(as_html(error), title=TITLE, print_exception=False) from error
        return [save_pil_to_cache(picture, flower.GRADIO_CACHE, f"{path.stem}-{kind}", "png")
                for picture, kind in zip(pictures, ("flower", "rime-again"), strict=True)]

    # Gradio's preprocessing would open the file before read_picture does: no limits, no polite sentence.
    # `then` is not enough to release the page: Gradio 6.31 runs it after a success only.
    painting = button.click(bloom, photo, [flower, again], preprocess=False, concurrency_limit=1, js=HOLD,
                            show_progress_on=flower, api_name="bloom")
    painting.success(None, js=RELEASE)
    painting.failure(None, js=RELEASE)
    photo.change(None, None, [flower, again], js="() => [null, null]")  # a painting belongs to one photo

    async def awake():
        try:
            await asyncio.wrap_future(painter.loading)
        except PainterAsleep as error:
            return as_html(error)
        return READY

    gr.on(None, awake, None, note, js=NAME_PARTS, queue=False, show_progress="hidden",
          api_visibility="private")  # when the page opens

    pictures = list_pictures(examples) if examples.is_dir() else []
    if pictures:
        shelf = gr.Dataset(label="Or begin with one of these", elem_id="examples", components=[photo],
                           samples=[[str(path)] for path in pictures], samples_per_page=len(pictures),
                           type="index")

        def choose(place):
            return str(pictures[place])

        chosen = shelf.click(choose, shelf, photo, queue=False, show_progress="hidden",
                             api_visibility="private")
        chosen.success(None, js="() => document.getElementById('bloom').click()")


def as_html(error: Exception) -> str:
    """The sentence of an error, for places where Gradio shows HTML; it may hold a stranger's file name."""
    return html.escape(str(error), quote=False)
