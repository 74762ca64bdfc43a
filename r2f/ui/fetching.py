"""Pictures that a program names by a web address instead of sending them: fetched, within limits, in its stead.

Gradio would read a whole answer into memory, however large, and wait for it as long as bytes keep coming, while every other
visitor waits for the painter. Knows nothing about pictures.
"""

import asyncio
import secrets
from pathlib import Path
from types import MethodType

import gradio as gr
import httpx
import safehttpx
from gradio_client.utils import is_http_url_like, strip_invalid_filename_characters

from r2f.images import MAX_BYTES

MOST_SECONDS = 20.0
PLAIN = {"Accept-Encoding": "identity"}  # a few packed bytes would unpack to gigabytes before they could be counted
NOT_FETCHED = "This address gives no picture; please send the picture itself."
TOO_LARGE = f"What is at this address is larger than {MAX_BYTES // 1_000_000} megabytes; please make it smaller first."
TOO_SLOW = f"This address did not give its picture within {MOST_SECONDS:.0f} seconds; please send the picture itself."


async def fetch(address: str, folder: str | Path) -> str:
    """What is at a public web address, as a file in a folder of its own. Redirections are not followed.

    Raises gr.Error, a sentence for whoever asked.
    """
    try:
        async with asyncio.timeout(MOST_SECONDS):
            url = httpx.URL(address)
            transport = safehttpx.AsyncSecureTransport(await safehttpx.async_validate_url(url.host))  # no private network
            async with httpx.AsyncClient(transport=transport) as client, client.stream("GET", url, headers=PLAIN) as answer:
                if answer.status_code != 200 or "content-encoding" in answer.headers:
                    raise refusal(NOT_FETCHED)
                content = bytearray()
                async for part in answer.aiter_raw():
                    content += part
                    if len(content) > MAX_BYTES:
                        raise refusal(TOO_LARGE)
    except gr.Error:
        raise
    except TimeoutError as error:
        raise refusal(TOO_SLOW) from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise refusal(NOT_FETCHED) from error
    path = Path(folder, secrets.token_hex(32), strip_invalid_filename_characters(Path(url.path).name)[:100])
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return str(path)


def refusal(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)


def fetch_within_limits(page: gr.Blocks) -> None:
    """Let every component of the page fetch what it is sent an address of by `fetch`."""
    async def move(self, address):
        if not is_http_url_like(str(address)):
            return await type(self).async_move_resource_to_block_cache(self, address)
        path = await fetch(str(address), self.GRADIO_CACHE)
        self.temp_files.add(path)
        return path

    for component in page.blocks.values():
        component.async_move_resource_to_block_cache = MethodType(move, component)
