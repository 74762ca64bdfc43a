"""Acting on trainings: stop, go on, sample, save, take home, bloom, clone, delete.

Gradio events over `runner`; each is told the run's name by the browser and checks for itself what may be done with it now. None
raises: what can't be done is said in one sentence. What there is to see is `train_watch`'s.
"""

import html
import threading
from functools import wraps
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from r2f import archive, runner
from r2f.film import learning_film
from r2f.run import Run, RunBusy
from r2f.runner import NoRun, StartFailed
from r2f.ui.bloom_tab import SAVE
from r2f.ui.painters import Painters
from r2f.ui.train_start import Start
from r2f.ui.words import both, t

AT_ONCE = dict(queue=False, show_progress="hidden", api_visibility="private")
CHOSEN = "() => [window.r2fWatch.run()]"
LOOK = "() => window.r2fWatch.look()"
KINDS = {"mp4": "training-film", "zip": "training-zip"}  # one of each is made at a time


def train_acts(root: Path, painters: Painters, start: Start, pair: gr.Dropdown, note: gr.HTML,
               rooms: gr.Tabs) -> None:
    """Put the buttons and their events into the Blocks around; the style sheet shows those that `train_watch.actions` names.

    `pair` is the picker of the room where photos bloom, `note` what is said there, `start` the form for new
    trainings, `rooms` the tabs they are in.
    """
    with gr.Row(elem_id="watch-acts"):
        stop, stop_now, resume, sample, save, bloom, film, pack, clone, delete, sure, keep = (
            gr.Button(t(f"tw_{words}"), elem_id=f"watch-{name}", size="sm") for words, name in (
                ("stop", "stop"), ("stop_now", "stop-now"), ("resume", "resume"), ("sample", "sample"), ("save", "save"),
                ("bloom", "bloom"), ("film", "film"), ("zip", "zip"), ("clone", "clone"), ("delete", "delete"),
                ("delete_sure", "sure"), ("delete_keep", "keep")))
    said = gr.HTML("", elem_id="watch-said")
    chosen = gr.Textbox(visible=False, elem_id="watch-chosen")
    parcel = gr.File(visible="hidden", elem_id="watch-parcel")

    def on(name: object) -> Run:
        """The run of that name. Raises NoRun."""
        run = runner.named(root, name if isinstance(name, str) else "")
        if not runner.is_run(run.path):
            raise NoRun("gone")
        return run

    def at_once(button, work, outputs=said, js=CHOSEN, then=LOOK):
        button.click(in_a_sentence(work, 0 if outputs is said else len(outputs) - 1), chosen, outputs, js=js,
                     **AT_ONCE).success(None, js=then)

    def stop_it(name):
        return "" if runner.ask_to_stop(on(name)) else both("tw_not_training")

    def stop_it_now(name):
        threading.Thread(target=runner.stop, args=(on(name), 0.0), name=f"stopping {name}", daemon=True).start()
        return ""

    def go_on(name):
        runner.start(on(name).path, {}, resume=True)
        return ""

    def ask(what):
        return lambda name: both(f"tw_asked_{what}") if on(name).ask(what) else both("tw_not_training")

    def delete_it(name):
        on(name)
        runner.delete(root, name)
        return ""

    at_once(stop, stop_it)
    at_once(stop_now, stop_it_now)
    at_once(resume, go_on)
    at_once(sample, ask("sample"))
    at_once(save, ask("save"))
    # What was named in the question is deleted, whatever is chosen meanwhile.
    delete.click(None, js="() => window.r2fWatch.asks('delete')")
    keep.click(None, js="() => window.r2fWatch.asks('')")
    at_once(sure, delete_it, js="() => [window.r2fWatch.asked()]", then="() => window.r2fWatch.choose('', true)")

    def bloom_with(name):
        wanted, offers = f"runs/{on(name).path.name}", list(painters.offers())
        if wanted not in offers:
            raise NoRun("gone")
        return gr.update(choices=offers, value=wanted), both("paints_now", name=wanted), gr.update(selected="bloom"), ""

    at_once(bloom, bloom_with, [pair, note, rooms, said], then="() => window.scrollTo({top: 0})")

    def offer(button, make, kind):
        """A button that makes a file and hands it to the browser."""
        done = button.click(in_a_sentence(make, 1), chosen, [parcel, said], js=CHOSEN, api_visibility="private",
                            show_progress_on=button, concurrency_id=KINDS[kind], concurrency_limit=1)
        done.success(None, parcel, None, js=SAVE)

    def folder() -> Path:
        place = Path(get_upload_folder()) / "trained"
        place.mkdir(parents=True, exist_ok=True)
        return place

    offer(film, lambda name: (str(learning_film(runner.samples(on(name)), folder(), name)), ""), "mp4")
    offer(pack, lambda name: (str(archive.zip_pair(on(name), folder())), ""), "zip")

    clone.click(start.fill, chosen, start.form, js=CHOSEN, **AT_ONCE).success(None, js="() => window.r2fWatch.form()")
    start.started.change(None, start.started, None, js="(name) => window.r2fWatch.choose(name)")


def in_a_sentence(work, others: int):
    """What goes wrong is said as the last output; the `others` before it stay as they are."""
    @wraps(work)
    def polite(name):
        try:
            return work(name)
        except RunBusy:
            sentence = both("tw_busy")
        except NoRun as error:
            sentence = both("tw_gone") if str(error) == "gone" or not name else html.escape(str(error), quote=False)
        except (StartFailed, ValueError, OSError) as error:
            sentence = html.escape(str(error), quote=False)
        return [*[gr.skip()] * others, f"<span>{sentence}</span>"] if others else f"<span>{sentence}</span>"
    return polite
