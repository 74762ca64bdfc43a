"""Pairs as an attacker would write them, each a function of a good one's folder; digests and sizes match wherever they can.

Run as a program it reads those named on its standard input and prints what happened, and how much memory it took (Linux).
"""

import hashlib
import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

HOSTILE = {}


def hostile(name):
    return lambda function: HOSTILE.setdefault(name, function)


def make(name: str, good: Path, folder: Path) -> Path:
    """The hostile pair of this name as `folder`, made from a good one; returns what is to be loaded."""
    shutil.copytree(good, folder)
    result = HOSTILE[name](folder)
    return result if isinstance(result, Path) else folder


def edit(folder, **values):
    info = json.loads((folder / "pair.json").read_text())
    (folder / "pair.json").write_text(json.dumps({**info, **values}))


def networks(folder, **values):
    edit(folder, networks={**json.loads((folder / "pair.json").read_text())["networks"], **values})


def text(folder, change):
    path = folder / "pair.json"
    path.write_bytes(change(path.read_bytes()))


def seal(folder, name="bloom.safetensors"):
    """Make size and SHA-256 in pair.json match again, as an attacker would."""
    files, path = json.loads((folder / "pair.json").read_text())["files"], folder / name
    with open(path, "rb") as file:
        files[name] = {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}
    edit(folder, files=files)


def arrays(folder, change):
    path = folder / "bloom.safetensors"
    save_file(change(load_file(path)), path)
    seal(folder)


def first(values):
    return sorted(values)[0]


def header(folder, change):
    """Rewrite the header of bloom.safetensors; `change` gets it parsed and gives it back, or gives bytes."""
    path = folder / "bloom.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    changed = change(json.loads(content[8:8 + length]))
    changed = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + length:])
    seal(folder)


def offsets(folder, change):
    def changed(values):
        keys = sorted(values, key=lambda key: values[key]["data_offsets"])
        change([values[key] for key in keys])
        return values
    header(folder, changed)


# What is in the folder
hostile("no pair.json")(lambda f: (f / "pair.json").unlink())
hostile("weights missing")(lambda f: (f / "bloom.safetensors").unlink())
hostile("not a folder")(lambda f: f / "pair.json")
hostile("no folder at all")(lambda f: f / "nowhere")
hostile("a zero byte in the folder's name")(lambda f: f / "a\0b")


@hostile("the folder is a link")
def _(folder):
    os.symlink(folder, folder.with_name(f"{folder.name}-link"))
    return folder.with_name(f"{folder.name}-link")


@hostile("pair.json is a link")
def _(folder):
    shutil.move(folder / "pair.json", folder / "real.json")
    os.symlink("real.json", folder / "pair.json")


@hostile("weights are a link")
def _(folder):
    shutil.move(folder / "bloom.safetensors", folder / "elsewhere")
    os.symlink(folder / "elsewhere", folder / "bloom.safetensors")


@hostile("weights are a link to themselves")
def _(folder):
    (folder / "frost.safetensors").unlink()
    os.symlink("frost.safetensors", folder / "frost.safetensors")


def instead(name, make_it):
    def change(folder):
        (folder / name).unlink()
        make_it(folder / name)
    return change


hostile("pair.json is a pipe")(instead("pair.json", os.mkfifo))
hostile("weights are a pipe")(instead("bloom.safetensors", os.mkfifo))
hostile("weights are a folder")(instead("bloom.safetensors", os.mkdir))
hostile("weights are an endless device")(instead("bloom.safetensors", lambda path: os.symlink("/dev/zero", path)))


@hostile("weights are a socket")
def _(folder):
    (folder / "bloom.safetensors").unlink()
    before = os.getcwd()
    os.chdir(folder)  # the name of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("bloom.safetensors")
    finally:
        os.chdir(before)


# pair.json
hostile("empty")(lambda f: text(f, lambda _: b""))
hostile("not JSON")(lambda f: text(f, lambda _: b"<html>not found</html>"))
hostile("not UTF-8")(lambda f: text(f, lambda t: t.replace(b'"step": 1', b'"step": "\xff\xfe"')))
hostile("half a surrogate pair")(lambda f: text(f, lambda t: t.replace(b'"step": 1', b'"step": "\\ud800"')))
hostile("nested deeply")(lambda f: text(f, lambda _: b'{"format": 1, "x": ' + b"[" * 90_000 + b"]" * 90_000 + b"}"))
hostile("nested nearly as deeply as may be")(lambda f: text(f, lambda _: b'{"format": ' + b"[" * 900 + b"]" * 900 + b"}"))
hostile("a list")(lambda f: text(f, lambda t: b"[" + t + b"]"))
hostile("a number")(lambda f: text(f, lambda _: b"1"))
hostile("NaN")(lambda f: text(f, lambda t: t.replace(b'"step": 1', b'"step": NaN')))
hostile("infinite")(lambda f: text(f, lambda t: t.replace(b'"step": 1', b'"step": -Infinity')))
hostile("a float beyond all floats")(lambda f: text(f, lambda t: t.replace(b'"step": 1', b'"step": 1e999')))
hostile("an integer of 100,000 digits")(lambda f: text(f, lambda t: t.replace(b'"step": 1', b'"step": ' + b"9" * 100_000)))
hostile("a name twice")(lambda f: text(f, lambda t: t.replace(b'"step": 1', b'"format": 1')))
hostile("pair.json of 2 GB")(lambda f: os.truncate(f / "pair.json", 2 << 30))
hostile("a step that is a page")(lambda f: edit(f, step="<script>alert(1)</script>"))
hostile("a step that is true")(lambda f: edit(f, step=True))
hostile("a size that is a page")(lambda f: edit(f, image_size="<b>"))
hostile("format of the future")(lambda f: edit(f, format=99))
hostile("format is a list")(lambda f: edit(f, format=[9] * 50_000))
hostile("format is true")(lambda f: edit(f, format=True))
hostile("a path in a name")(lambda f: edit(f, files={"../bloom.safetensors": {"sha256": "0" * 64, "bytes": 1}}))
hostile("files is a list")(lambda f: edit(f, files=["bloom.safetensors", "frost.safetensors"]))
hostile("no sizes")(lambda f: edit(f, files={f"{name}.safetensors": {"sha256": "0" * 64} for name in ("bloom", "frost")}))
hostile("a short digest")(lambda f: edit(f, files={f"{n}.safetensors": {"sha256": "", "bytes": 1} for n in ("bloom", "frost")}))
hostile("no networks")(lambda f: edit(f, networks=None))
hostile("numbers of another kind")(lambda f: edit(f, numbers="object"))
hostile("numbers is a list")(lambda f: edit(f, numbers=[]))
hostile("more filters than there is memory")(lambda f: networks(f, filters=100_000))
hostile("a million blocks of one filter")(lambda f: networks(f, filters=1, blocks=500_000))
hostile("filters of 4,000 digits")(lambda f: networks(f, filters=10 ** 4000))
hostile("minus one filter")(lambda f: networks(f, filters=-1))
hostile("the largest generator, without its weights")(lambda f: networks(f, filters=240, blocks=9))
hostile("a true number of filters")(lambda f: networks(f, filters=True))
hostile("a residual of code")(lambda f: networks(f, residual="__import__('os').system('true')"))
hostile("an argument nobody knows")(lambda f: networks(f, custom_objects={}))

# Weights
hostile("a byte changed")(lambda f: (f / "frost.safetensors").write_bytes((f / "frost.safetensors").read_bytes()[:-1] + b"!"))
hostile("cut short")(lambda f: os.truncate(f / "frost.safetensors", 2000))
hostile("of no bytes")(lambda f: (os.truncate(f / "bloom.safetensors", 0), seal(f))[0])
hostile("of seven bytes")(lambda f: (os.truncate(f / "bloom.safetensors", 7), seal(f))[0])
hostile("padded to 4 GB")(lambda f: os.truncate(f / "bloom.safetensors", 4 << 30))
hostile("an extra key")(lambda f: arrays(f, lambda a: {**a, "extra": np.zeros(1, np.float16)}))
hostile("a key missing")(lambda f: arrays(f, lambda a: {k: v for k, v in a.items() if k != first(a)}))
hostile("another dtype")(lambda f: arrays(f, lambda a: {**a, first(a): a[first(a)].astype(np.float32)}))
hostile("another shape")(lambda f: arrays(f, lambda a: {**a, first(a): np.zeros((1, 1), np.float16)}))
hostile("a weight that is not a number")(lambda f: arrays(f, lambda a: {**a, first(a): np.full_like(a[first(a)], np.nan)}))
hostile("an infinite weight")(lambda f: arrays(f, lambda a: {**a, first(a): np.full_like(a[first(a)], -np.inf)}))
hostile("numbers said to be float32")(lambda f: edit(f, numbers="float32"))
hostile("an absurd shape")(lambda f: offsets(f, lambda e: e[0].update(shape=[2 ** 40, 2 ** 40, 3, 4])))
hostile("a negative shape")(lambda f: offsets(f, lambda e: e[0].update(shape=[-7, -7, 3, 4])))
hostile("an unknown dtype")(lambda f: offsets(f, lambda e: e[0].update(dtype="PICKLE")))
hostile("overlapping offsets")(lambda f: offsets(f, lambda e: e[1].update(data_offsets=e[0]["data_offsets"][:1] + [
    e[0]["data_offsets"][0] + e[1]["data_offsets"][1] - e[1]["data_offsets"][0]])))
hostile("short offsets")(lambda f: offsets(f, lambda e: e[0].update(data_offsets=[0, 1])))
hostile("offsets beyond the end")(lambda f: offsets(f, lambda e: e[-1].update(data_offsets=[2 ** 62, 2 ** 63])))
hostile("offsets of text")(lambda f: offsets(f, lambda e: e[0].update(data_offsets=["0", "1"])))
hostile("no offsets")(lambda f: offsets(f, lambda e: e[0].pop("data_offsets")))
hostile("a header of text")(lambda f: header(f, lambda h: b"hello"))
hostile("a header with a name twice")(
    lambda f: header(f, lambda h: json.dumps(h).encode()[:-1] + 2 * b',"__metadata__":{}' + b"}"))
hostile("a header nested deeply")(lambda f: header(f, lambda h: b"[" * 150_000))
hostile("a header of a million names")(lambda f: header(f, lambda h: json.dumps({str(i): 0 for i in range(1_000_000)}).encode()))
hostile("a header that is a list")(lambda f: header(f, lambda h: [h]))
hostile("metadata that is a bomb of numbers")(lambda f: header(f, lambda h: {**h, "__metadata__": [1]}))


def lie(length):
    def change(folder):
        path = folder / "bloom.safetensors"
        path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
        seal(folder)
    return change


hostile("the header's length is a lie")(lie(2 ** 64 - 1))
hostile("the header's length is the file's")(lie(10_000))
hostile("the header's length is nothing")(lie(0))


@hostile("weights full of holes")
def _(folder):
    """The largest allowed generator, whose file takes no room on the disk: all of it is there, and the digest is wrong."""
    os.truncate(folder / "bloom.safetensors", 500 << 20)
    info = json.loads((folder / "pair.json").read_text())
    info["files"]["bloom.safetensors"]["bytes"] = 500 << 20
    edit(folder, files=info["files"])


def megabytes(what):
    """VmRSS, the memory in use now, or VmHWM, the most since `forget_peak`."""
    return int(Path("/proc/self/status").read_text().partition(f"{what}:")[2].split()[0]) / 1024


def forget_peak():
    Path("/proc/self/clear_refs").write_text("5")


def make_all(good: Path, corpus: Path) -> dict[str, str]:
    corpus.mkdir()
    return {name: str(make(name, good, corpus / str(number))) for number, name in enumerate(HOSTILE)}


def main(good: Path, folders: dict[str, str]) -> None:
    from r2f.pair import BadPair, load_pair, read_pair, read_pair_json
    read_pair(good)  # a hostile one gets no further than this: importing Keras would show
    before = megabytes("VmRSS")
    forget_peak()
    control = len(bytearray(100 << 20)) and megabytes("VmHWM") - before
    refused, wrong, slowest, most = {}, {}, 0.0, 0.0
    for name, folder in folders.items():
        before, started = megabytes("VmRSS"), time.monotonic()
        forget_peak()
        try:
            read_pair_json(folder)
        except BadPair:
            pass
        except BaseException as error:
            wrong[name] = f"read_pair_json: {type(error).__name__}: {error}"
        try:
            load_pair(folder)
            wrong[name] = "loaded"
        except BadPair as error:
            refused[name] = str(error)
        except BaseException as error:
            wrong[name] = f"{type(error).__name__}: {error}"
        slowest, most = max(slowest, time.monotonic() - started), max(most, megabytes("VmHWM") - before)
    print(json.dumps({"folders": len(folders), "refused": refused, "wrong": wrong, "slowest_seconds": round(slowest, 3),
                      "extra_megabytes": round(most, 1),
                      "megabytes_of_100": round(control, 1), "keras": "keras" in sys.modules}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.load(sys.stdin))
