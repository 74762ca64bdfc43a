"""Live: what a camera sees blooms as it comes.

The browser sends one frame, waits for its painting, and takes the next frame from what the camera sees then: frames in between
are passed over, none ever waits in a queue, and none reaches the disk. Gradio's own streaming sends at a fixed pace whether the
last frame is back or not, so this has a route of its own.
"""

import io

import anyio.to_thread
import gradio as gr
from PIL import Image
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from r2f.images import UnreadablePicture, read_picture
from r2f.ui.painters import PainterAsleep, Painters
from r2f.ui.words import both, two

SIDE = 256  # pixels, the long side of a frame
MOST_FRAME_BYTES = 200_000
MOST_IN_HAND = 2  # frames that are decoded and painted; those that come meanwhile are dropped
JPEG = b"\xff\xd8\xff"  # how one begins: other formats hold far more pixels in as many bytes
PATH = "/live"

ROOM = f"""<div class="live">
<figure class="mat"><div class="pane"><video playsinline muted aria-label="What your camera sees"></video></div>
<figcaption>{two("Your camera", "你的镜头")}</figcaption></figure>
<figure class="mat"><div class="pane"><canvas role="img" aria-label="What your camera sees, in bloom"></canvas></div>
<figcaption>{two("In bloom", "绽放中")}</figcaption></figure></div>
<p><button type="button" id="live-start">{two("Open the camera", "打开镜头")}</button>
<button type="button" id="live-stop" hidden>{two("Close it", "关闭镜头")}</button></p>
<p id="live-said" role="status">{both("live_idle")}</p>"""

HEAD = """<script>
(() => {
  let camera = null, asked = false;  // the stream while it is open; whether one was asked for and has not come
  const find = (selector) => document.querySelector(`#live ${selector}`);
  const say = (english, chinese) => {
    const words = document.documentElement.lang.startsWith("zh") ? chinese : english, said = find("#live-said");
    if (said && said.textContent !== words) said.textContent = words;
  };
  async function open() {
    if (asked || camera) return;  // of two streams one would never end
    const video = find("video"), shown = find("canvas");
    asked = true;
    try {
      camera = await navigator.mediaDevices.getUserMedia(
        {video: {width: {ideal: 640}, height: {ideal: 480}, facingMode: "environment"}});
    } catch {
      return say("The camera stays closed: there is none, or the browser keeps it.", "镜头没有打开：没有镜头，或浏览器不允许。");
    } finally { asked = false; }
    if (!video.offsetParent) return close();  // the room was left meanwhile
    video.srcObject = camera;
    const own = camera, facing = camera.getVideoTracks()[0]?.getSettings().facingMode;
    find(".live").classList.toggle("mirrored", facing !== "environment");
    find("#live-start").hidden = true; find("#live-stop").hidden = false; find("#live-stop").focus();
    say("The first frame is on its way…", "第一帧就来……");
    video.play().catch(() => {});  // it was closed at once
    const small = document.createElement("canvas"), back = [];
    while (camera === own) {
      if (!video.offsetParent) return close();  // the room was left
      if (document.hidden || !video.videoWidth) { await pause(300); continue; }
      const scale = SIDE / Math.max(video.videoWidth, video.videoHeight);
      small.width = Math.round(video.videoWidth * scale); small.height = Math.round(video.videoHeight * scale);
      small.getContext("2d").drawImage(video, 0, 0, small.width, small.height);
      const frame = await new Promise((done) => small.toBlob(done, "image/jpeg", .85));
      try {
        const answer = await fetch(`${window.gradio_config?.root ?? ""}PATH`,
          {method: "POST", headers: {"content-type": "image/jpeg"}, body: frame});
        if (answer.status !== 200) {
          say("The painter is busy or still waking up; frames are passed over meanwhile.",
              "画师正忙或还在醒来；这期间的画面会跳过。");
          await pause(400); continue;
        }
        const painted = await createImageBitmap(await answer.blob());
        if (camera !== own) break;
        shown.width = painted.width; shown.height = painted.height;
        shown.getContext("2d").drawImage(painted, 0, 0);
      } catch { await pause(1000); continue; }
      back.push(performance.now());
      if (back.length > 12) back.shift();
      if (back.length > 3) {
        const rate = 1000 * (back.length - 1) / (back.at(-1) - back[0]);
        find("#live-said").dataset.rate = rate.toFixed(1);
        say(`${rate.toFixed(1)} frames a second`, `每秒 ${rate.toFixed(1)} 帧`);
      }
    }
  }
  function close() {
    camera?.getTracks().forEach((track) => track.stop());
    camera = null;
    find("video").srcObject = null;
    find("#live-start").hidden = false; find("#live-stop").hidden = true; find("#live-start").focus();
    say("The camera is closed.", "镜头已关闭。");
  }
  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  document.addEventListener("click", (event) => {
    if (event.target.closest("#live-start")) open();
    if (event.target.closest("#live-stop")) close();
  });
})();
</script>
""".replace("SIDE", str(SIDE)).replace("PATH", PATH)


def live_tab() -> None:
    """Put the camera and its painting into the Blocks around them; they need `route`."""
    gr.HTML(ROOM, elem_id="live")


def route(painters: Painters) -> Route:
    """POST a frame as image/jpeg, get its painting as image/jpeg; 204 while the painter is busy or asleep."""

    in_hand = 0

    def paint(frame: bytes) -> bytes | None:
        pixels = read_picture(frame, max_side=SIDE)
        painted = painters.bloomer(painters.fastest()).live(pixels)
        if painted is None:
            return None
        file = io.BytesIO()
        Image.fromarray(painted).save(file, format="JPEG", quality=90)
        return file.getvalue()

    async def live(request: Request) -> Response:
        nonlocal in_hand
        if request.headers.get("content-type") != "image/jpeg":  # what a form on another site can't send
            return Response(status_code=415)
        frame = b""
        try:
            async for part in request.stream():
                frame += part
                if len(frame) > MOST_FRAME_BYTES:
                    return Response(status_code=413)
        except ClientDisconnect:
            return Response(status_code=400)
        if not frame.startswith(JPEG):
            return Response(status_code=422)
        if not painters.loading.done() or in_hand >= MOST_IN_HAND:
            return Response(status_code=204)
        in_hand += 1
        try:
            painted = await anyio.to_thread.run_sync(paint, frame)
        except UnreadablePicture:
            return Response(status_code=422)
        except PainterAsleep:
            painted = None
        finally:
            in_hand -= 1
        return Response(painted, media_type="image/jpeg") if painted else Response(status_code=204)

    return Route(PATH, live, methods=["POST"])
