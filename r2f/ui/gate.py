"""What a visitor may send: how much, and under which name the page may be asked for.

Knows nothing about pictures or rooms.
"""

from urllib.parse import urlsplit

from gradio import route_utils
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.responses import PlainTextResponse

MOST_BODY_BYTES = 1_000_000  # of a request that is no upload, and of a field of an upload: a few file names need far less
MOST_UNDER_WAY_BYTES = 4_000_000_000  # of all uploads that have not ended: their files can't be deleted before
FORWARDED = "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"  # headers of proxies
NOT_FOR_OTHERS = "This page is for its own machine alone; to show it to others, start it with --public."
UPLOAD = f"{route_utils.API_PREFIX}/upload"
TOO_MUCH = "This is more than the maximum allowed size of what may be on its way at a time; please send less, or try again later."


class Gate:
    """ASGI middleware: refuses what Gradio would do for anyone, though this page needs none of it.

    Taking a large body on a route that is no upload (a `data:` URL would slip past `max_file_size`) or uploads without end,
    handing on what is at a web address, converting screen recordings, and keeping any page's state as a link.

    `hosts`: the names by which the page may be asked for, None for any. A page for its own machine has its machine's: otherwise
    another site could send a browser there under that site's name (DNS rebinding), and do what only its owner may; and so could
    anyone whose request a proxy on the machine hands on, which shows by its headers or by the site that the browser is on.
    """

    def __init__(self, app, hosts: tuple[str, ...] | None = None):
        self.app, self.hosts, self.under_way = app, hosts, 0

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if self.hosts and not asked_from(scope, self.hosts):
            answer = PlainTextResponse(NOT_FOR_OTHERS, 403)
            return await answer(scope, receive, send)
        path, taken = scope["path"].lower().rstrip("/"), 0

        async def receive_little():
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BODY_BYTES:
                raise HTTPException(413, "This request is too large.")
            return message

        async def receive_files():
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            self.under_way += len(message.get("body", b""))
            if self.under_way > MOST_UNDER_WAY_BYTES:
                raise MultiPartException(TOO_MUCH)  # Gradio deletes what it has of the files, and answers 413
            return message

        if "/file=http" in path or "/file/" in path or path.endswith(("/process_recording", "/deep_link")):
            scope = {**scope, "path": "/refused", "raw_path": b"/refused"}  # there is no such route: 404
        if scope["path"].removeprefix(scope.get("root_path", "")) != UPLOAD:
            return await self.app(scope, receive_little, send)
        try:
            await self.app(scope, receive_files, send)
        finally:
            self.under_way -= taken


def asked_from(scope, hosts: tuple[str, ...]) -> bool:
    """Whether a request comes from a browser on this machine, on a page under one of the names, or from a program there."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")  # "null" of a page without one
    return (host_of(f"//{headers.get('host', '')}") in hosts and (origin is None or host_of(origin) in hosts)
            and not any(name in headers for name in FORWARDED))


def host_of(address: str) -> str | None:
    """The host of a web address, without its port."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


class LittleFields(route_utils.GradioMultiPartParser):
    """Gradio's parser of uploads, which keeps what is no file in memory, but only little of that."""

    in_memory = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current_part.file is None:
            self.in_memory += end - start
            if self.in_memory > MOST_BODY_BYTES:
                raise MultiPartException("A field of this request exceeds the maximum allowed size.")
        super().on_part_data(data, start, end)


def fields_within_limits() -> None:
    """Let Gradio parse every upload by `LittleFields`."""
    route_utils.GradioMultiPartParser = LittleFields
