"""The model card of a pair that came out of a training: what it is, what it learned from, how to use it, what is still unsaid.

Text from what pair.json says; no folder's name and no path is in it. Knows nothing about networks.
"""

import shlex

from r2f.files import shortened

FRONT = """---
pipeline_tag: image-to-image
tags:
- cyclegan
- rime2flower
---
"""
WHAT = ("A pair of rime2flower: bloom turns a photo of rime ice into a flower painting, frost turns a flower painting into rime, "
        "and frost of bloom leads back to the photo.")
USE = """## How to use it

Unpack the folder and name it wherever rime2flower takes a pair:

```bash
python -m r2f.bloom PHOTO -o OUT --pair {name}
python app.py --pair {name}
```

`pair.json` holds the SHA-256 of the two files of weights; rime2flower compares them before it uses anything.
"""
UNSAID = """## What only its maker can add

Where the pictures came from and what may be done with them, the licence of this pair, and what it does badly. Until that is said
here, nobody else can know what may be done with it.
"""


def model_card(info: dict, name: str) -> str:
    """The card of the pair that `info`, its pair.json, describes, as Markdown with the front matter that the Hub reads."""
    networks, pictures, changed, quality = info["networks"], info.get("pictures"), info.get("changed"), info.get("quality")
    made = f"Two generators with {networks['filters']} filters and {networks['blocks']} blocks"
    after = "after a last lesson of {:,} steps" if info.get("pupil") is True else "after {:,} steps"
    for key, words in (("step", after), ("image_size", "at {:,} pixels")):
        made += f", {words.format(info[key])}" if isinstance(info.get(key), int) else ""
    made += f", preset `{plain(info['preset'])}`" if isinstance(info.get("preset"), str) else ""
    lines = [FRONT, f"# {plain(name)}\n", f"{WHAT}\n", f"{made}.\n", "## What it learned from\n"]
    if isinstance(pictures, dict) and all(isinstance(pictures.get(each), int) for each in ("rime", "flowers")):
        lines.append(f"{pictures['rime']:,} photos of rime and {pictures['flowers']:,} flower paintings.\n")
    else:
        lines.append("How many pictures it were is not recorded.\n")
    if isinstance(changed, dict) and changed:
        settings = (f"- `{plain(key)}`: {plain(value)}" for key, value in changed.items())
        lines += ["Settings that differ from the preset's:\n", *settings, ""]
    quality = quality if isinstance(quality, dict) else {}
    figures = {key: value for key, value in quality.items() if type(value) in (int, float) and key != "step"}
    if figures:
        lines += ["## Figures\n", "Measured by the training itself, on pictures that it did not learn from:\n",
                  "| figure | value |", "|---|---:|", *(f"| {plain(key)} | {value:.4g} |" for key, value in figures.items()), ""]
    return "\n".join([*lines, USE.format(name=shlex.quote(plain(name))), UNSAID])


def plain(value) -> str:
    """What a file says, as text that is no Markdown."""
    return "".join(each for each in shortened(value) if each not in "`|<>[]*\\")
