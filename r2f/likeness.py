"""Which pictures show the same: pixel for pixel, or in another size, compression or colouring, marked or mirrored.

Every picture is looked at once, small, and its SHA-256 taken; then only numbers are compared. Knows nothing about data sets.
"""

import hashlib
import os
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from r2f.images import MAX_BYTES, UnreadablePicture, read_picture

LOOK_SIDE = 128  # pixels of the long side at which pictures are compared: a JPEG of a camera is decoded at an eighth
CORRELATION, CORRELATION_OF_HASH, HASH_BITS = 0.92, 0.5, 4  # alike from here; see `alike`
GREY_LEVELS = 8  # a picture is grey if in 99 of 100 pixels red, green and blue differ by no more
BLANK_LEVELS = 4  # a picture is empty if its pixels deviate from their mean by no more


@dataclass(frozen=True)
class Picture:
    """A picture that could be read."""

    folder: str  # the name of its Folder
    name: str  # of the file
    width: int  # pixels, upright
    height: int
    digest: str  # SHA-256 of the file
    pixels: str  # the same for pictures with the same pixels: the digest of one of them
    grey: bool
    blank: bool
    warmth: float  # mean of red - blue, -255 to 255

    label = property(lambda self: f"{self.folder}/{self.name}")
    short_side = property(lambda self: min(self.width, self.height))


@dataclass(frozen=True)
class Look:
    """A picture at LOOK_SIDE, and what is compared of it."""

    picture: Picture
    thumbnail: str  # digest of the pixels at LOOK_SIDE
    tones: np.ndarray  # float32 (2, 768): 16 x 16 colours less their mean, of length 1; as it is, and mirrored
    steps: np.ndarray  # float32 (2, 64): is it darker to the left, -1 or 1; as it is, and mirrored


def look(folder: str, path: Path) -> Look | UnreadablePicture:
    """Look at the picture, of the folder that is called so; why it can't be read is returned, not raised."""
    try:
        path.name.encode()
        with path.open("rb") as file:
            small_enough = os.fstat(file.fileno()).st_size <= MAX_BYTES
            digest = hashlib.file_digest(file, "sha256").hexdigest() if small_enough else ""
        pixels = read_picture(path, LOOK_SIDE)
        with Image.open(path) as header:  # it has been read, so its header can be
            sides = sorted(header.size)
    except UnreadablePicture as error:
        return error
    except UnicodeEncodeError:  # from an old zip, say; no list and no page could show it
        shown = path.name.encode(errors="replace").decode()
        return UnreadablePicture(f"{shown} has a name that is no text; please rename it.")
    except OSError as error:
        return UnreadablePicture(f"{path.name} cannot be opened ({error.strerror}); check that it may be read.")
    height, width = sides if pixels.shape[0] <= pixels.shape[1] else sides[::-1]
    sparse = pixels[::2, ::2]
    picture = Picture(folder, path.name, width, height, digest, digest,
                      grey=bool(np.percentile(np.ptp(sparse, axis=2), 99) <= GREY_LEVELS),
                      blank=bool(sparse.std(axis=(0, 1)).max() <= BLANK_LEVELS),
                      warmth=float(sparse[..., 0].mean() - sparse[..., 2].mean()))
    small = Image.fromarray(pixels)
    tones = np.asarray(small.resize((16, 16), Image.Resampling.BOX), np.float32)
    tones = np.stack([tones, tones[:, ::-1]]).reshape(2, -1)
    tones -= tones.mean()
    greys = np.asarray(small.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    greys = np.stack([greys, greys[:, ::-1]])
    return Look(picture, hashlib.sha256(pixels.tobytes()).hexdigest(), tones / max(float(np.linalg.norm(tones[0])), 1e-6),
                 np.where(greys[..., 1:] > greys[..., :-1], 1, -1).astype(np.float32).reshape(2, -1))


def with_pixels(looks: list[Look], paths: dict) -> list[Picture]:
    """The pictures, those with the same pixels in files that differ marked as the same. Few need to be decoded in full."""
    candidates = defaultdict(dict)
    for each in looks:
        where = (each.thumbnail, each.picture.width, each.picture.height)
        candidates[where].setdefault(each.picture.digest, each.picture)
    first = {}
    for files in candidates.values():
        decoded = {}
        for digest, picture in sorted(files.items()) if len(files) > 1 else ():
            pixels = hashlib.sha256(read_picture(paths[picture.folder] / picture.name).tobytes()).hexdigest()
            first[digest] = decoded.setdefault(pixels, digest)
    return [replace(each.picture, pixels=first.get(each.picture.digest, each.picture.digest)) for each in looks]


def alike(looks: list[Look], block: int = 512) -> list[tuple[int, int]]:
    """Pairs that show the same, as few as join all that do: each picture with the first that it is joined to by any chain.

    Two show the same if their colours, 16 x 16 of them, correlate; or nearly all steps from left to right of 9 x 8 grey
    levels go the same way and the colours correlate somewhat. The first survives margins, the second watermarks and another
    colouring. Mirrored pictures count as well, empty ones don't.
    """
    places = [place for place, each in enumerate(looks) if not each.picture.blank]
    if not places:
        return []
    tones, steps = (np.stack([getattr(looks[place], name) for place in places]) for name in ("tones", "steps"))
    first = np.arange(len(places))  # of the pictures joined so far; every pair at once would need memory in the square of them
    for start in range(0, len(places), block):
        for mirrored in (0, 1):
            correlation = tones[start:start + block, 0] @ tones[start:, mirrored].T
            bits = (64 - steps[start:start + block, 0] @ steps[start:, mirrored].T) / 2
            alike = (correlation >= CORRELATION) | ((bits <= HASH_BITS) & (correlation >= CORRELATION_OF_HASH))
            alike = np.triu(alike, 1)
            for one in np.flatnonzero(alike.any(axis=1)):
                joined = np.zeros(len(places), bool)
                joined[first[start + one]] = joined[first[start:][alike[one]]] = True
                first[joined[first]] = joined.argmax()
    return sorted((places[one], places[other]) for other, one in enumerate(first) if one < other)


def group(pictures: list[Picture], pairs: list[tuple[int, int]]) -> list[tuple[Picture, ...]]:
    """What is joined by any chain of pairs, or has the same pixels; in the order of the first picture of each."""
    leader = list(range(len(pictures)))

    def find(place):
        while leader[place] != place:
            leader[place] = place = leader[leader[place]]
        return place

    first = {}
    same = [(first.setdefault(picture.pixels, place), place) for place, picture in enumerate(pictures)]
    for one, other in same + pairs:
        one, other = sorted((find(one), find(other)))
        leader[other] = one
    groups = defaultdict(list)
    for place, picture in enumerate(pictures):
        groups[find(place)].append(picture)
    return [tuple(group) for group in groups.values() if len(group) > 1]
