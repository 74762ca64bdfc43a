"""python app.py: the page on which a photo of rime blooms into a flower painting, and freezes back.

Builds the page and launches it; nothing else. Gradio's environment variables (GRADIO_SERVER_PORT,
GRADIO_SERVER_NAME, GRADIO_SHARE) work as usual; an option wins over its variable.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

if sys.platform == "win32":
    sys.exit("On Windows, rime2flower runs in WSL2, which training on a GPU needs there, too: install it with "
             "wsl --install, and start the page in it.")

from r2f.allocator import keep_memory  # noqa: E402

if __name__ == "__main__":
    keep_memory()

from r2f.bloom import CHECKPOINTS, DEFAULT_PAIR  # noqa: E402

RUNS = CHECKPOINTS.parent / "runs"
OWN_HOSTS = ("127.0.0.1", "localhost", "::1")  # by which only this machine reaches the page


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python app.py", description="The page where photos of rime bloom.")
    parser.add_argument("--pair", type=Path, default=DEFAULT_PAIR, metavar="DIR",
                        help="folder of the pair that paints (default: checkpoints/lite)")
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="folder of trainings (default: runs)")
    parser.add_argument("--train", action=argparse.BooleanOptionalAction,
                        help="whether whoever sees the page may train on this machine (default: where only this machine sees it)")
    parser.add_argument("--port", type=int, metavar="N", help="port (default: the first free one from 7860)")
    parser.add_argument("--host", metavar="H", help="address (default: 127.0.0.1, for this machine only)")
    parser.add_argument("--public", action="store_true", help="others see the page, through a proxy or a tunnel on this machine, "
                        "or with --host: they may bloom, nothing else")
    parser.add_argument("--share", action="store_true", default=None, help="make a public link, for a week")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    return parser


def is_shared(options: argparse.Namespace) -> bool:
    """Whether to make a public link. Never left to Gradio, which makes one unasked on some notebook services."""
    return bool(options.share) or os.environ.get("GRADIO_SHARE", "").lower() == "true"


def is_private(options: argparse.Namespace) -> bool:
    """Whether nobody but this machine sees the page: then it may do what others may not ask for, fetch pairs and train."""
    host = options.host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    return not (options.public or is_shared(options) or os.environ.get("SPACE_ID")) and host in OWN_HOSTS


def may_train(options: argparse.Namespace) -> bool:
    return is_private(options) if options.train is None else options.train


def main() -> None:
    options = parser().parse_args()
    if options.train and os.environ.get("SPACE_ID"):
        parser().error("nobody trains on a Space, where whoever visits it could; leave --train away, and train on a machine of "
                       "your own.")

    # A painter needs little of a GPU; what it does not take is there for a training.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    for number in (signal.SIGTERM, signal.SIGHUP):  # so that being told to end also cleans up, and closing the terminal's window
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    # A folder of its own, also in one that was named: others may keep their files there, and this page's are deleted in time.
    if named := os.environ.get("GRADIO_TEMP_DIR"):
        Path(named).mkdir(parents=True, exist_ok=True)
    from r2f.ui.cache import PREFIX, held, keep_bounded
    with (contextlib.suppress(KeyboardInterrupt),  # it may also be told to end while it is opening
          tempfile.TemporaryDirectory(prefix=PREFIX, dir=named, ignore_cleanup_errors=True) as folder, held(Path(folder))):
        cache = os.environ["GRADIO_TEMP_DIR"] = str(Path(folder, "cache"))
        from r2f.ui.page import build_page, launch_arguments
        from r2f.ui.painters import Painters
        train, private = may_train(options), is_private(options)
        painters = Painters(options.pair, runs=options.runs.absolute(), hub=private)
        page = build_page(painters, train=train)
        try:
            _, local, public = page.launch(
                server_name=options.host, server_port=options.port, share=is_shared(options), inbrowser=options.open,
                prevent_thread_lock=True, quiet=True, **launch_arguments(painters, train, OWN_HOSTS if private else None))
        except OSError as error:
            port = options.port or os.environ.get("GRADIO_SERVER_PORT")
            sys.exit(f"Port {port} is taken; name another one with --port, or leave it away." if port and "port" in str(error)
                     else str(error))
        print("The page is at", local, *(["and, for a week, at", public] if public else []), "(Ctrl-C ends it)", flush=True)
        keep_bounded(cache)
        painters.wake()  # only now: importing Keras would hold up the first page
        page.block_thread()


if __name__ == "__main__":
    main()
