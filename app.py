"""python app.py: the page on which a photo of rime blooms into a flower painting, and freezes back.

Builds the page and launches it; nothing else. Gradio's environment variables (GRADIO_SERVER_PORT,
GRADIO_SERVER_NAME, GRADIO_SHARE) work as usual; an option wins over its variable.
"""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from r2f.bloom import DEFAULT_PAIR


def main() -> None:
    parser = argparse.ArgumentParser(prog="python app.py", description="The page where photos of rime bloom.")
    parser.add_argument("--pair", type=Path, default=DEFAULT_PAIR, metavar="DIR",
                        help="folder of the pair that paints (default: checkpoints/lite)")
    parser.add_argument("--port", type=int, metavar="N", help="port (default: the first free one from 7860)")
    parser.add_argument("--host", metavar="H", help="address (default: 127.0.0.1, for this machine only)")
    parser.add_argument("--share", action="store_true", default=None, help="make a public link, for a week")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    options = parser.parse_args()

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that being told to end also cleans up
    with tempfile.TemporaryDirectory(prefix="rime2flower-", ignore_cleanup_errors=True) as folder:
        # the default would be shared with other Gradio pages
        cache = os.environ.setdefault("GRADIO_TEMP_DIR", str(Path(folder, "cache")))
        from r2f.ui.cache import keep_bounded
        from r2f.ui.page import build_page, launch_arguments
        from r2f.ui.painters import Painters
        # Whoever may look at a page that others see too may not have it fetch what they like.
        private = not (options.share or os.environ.get("GRADIO_SHARE") or os.environ.get("SPACE_ID")) and \
            (options.host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1") in ("127.0.0.1", "localhost", "::1")
        painters = Painters(options.pair, hub=private)
        page = build_page(painters)
        try:
            page.launch(server_name=options.host, server_port=options.port, share=options.share,
                        inbrowser=options.open, prevent_thread_lock=True, **launch_arguments(painters))
        except OSError as error:  # the port is taken
            sys.exit(str(error))
        keep_bounded(cache)
        painters.wake()  # only now: importing Keras would hold up the first page
        page.block_thread()


if __name__ == "__main__":
    main()
