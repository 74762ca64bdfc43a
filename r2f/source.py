"""What a person points at -> folders of pictures: a folder, a zip, or a prepared data set.

A zip comes from a stranger: only files with a picture's suffix leave it, never to a place outside their folder, and no more
of them than the limits below. Whether they are pictures is for `images` to say. Knows nothing about pixels or duplicates.
"""

import io
import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from r2f.images import MAX_BYTES, PICTURE_SUFFIXES, list_pictures

MOST_FILES = 20_000  # pictures taken out of one zip
MOST_BYTES = 8_000_000_000  # of them together, unpacked
MOST_DIRECTORY_BYTES = 16_000_000  # of the zip's table of contents, which is read into memory: about 150,000 files
SPARE_BYTES = 500_000_000  # of the disk that stay free
MOST_FOLDERS, MOST_DEPTH = 2_000, 4  # looked through to find where the pictures are
SETS = {"trainA": ("flower", False), "trainB": ("rime", False), "testA": ("flower", True), "testB": ("rime", True)}
WORDS = {"rime": ("rime", "trainb", "testb"), "flower": ("flower", "flowers", "flower-painting", "traina", "testa")}


class BadSource(ValueError):
    """There are no pictures to be had from there; the message says why and what to do."""


@dataclass(frozen=True)
class Folder:
    """Pictures of one kind, all in one folder."""

    name: str  # what reports call it
    path: Path
    domain: str = ""  # rime or flower, or nothing if its name does not say
    test: bool = False  # held out
    elsewhere: int = 0  # pictures in folders below it, which do not belong to it


def find(source: str | Path, unpack_into: str | Path | None = None, domain: str = "") -> list[Folder]:
    """The folders of pictures in a folder or a zip.

    A prepared data set (trainA and trainB, testA and testB if there) gives two to four, anything else one. Where several
    folders hold pictures, the one named like the domain is meant ("rime", "flower-painting"). With `domain` ("rime" or
    "flower") the answer is always one folder, and is called that. A zip is unpacked to a new folder in `unpack_into`.

    Raises BadSource, which says what was looked for and where.
    """
    source = Path(source)
    if source.is_dir():
        counts, start = _counts(source), source
    elif source.is_file():
        if unpack_into is None:
            raise BadSource(f"{source.name} is a file; name a folder of pictures.")
        start = unpack(source, Path(unpack_into) / (domain or source.stem), domain)
        counts = _counts(start)
    else:
        raise BadSource(f"There is no folder or zip {source}; check the path.")
    chosen = _choose(counts, source.name or str(source), domain)
    if not domain and _is_dataset(counts, chosen):
        return [Folder(name, start / chosen / name, kind, test) for name, (kind, test) in SETS.items() if chosen / name in counts]
    said = [PurePosixPath(part).stem.lower() for part in (source.resolve() / chosen).parts]
    kind = domain or next((kind for part in reversed(said) for kind, words in WORDS.items() if part in words), "")
    elsewhere = sum(counts.values()) - counts[chosen] if chosen == PurePosixPath(".") else 0
    return [Folder(domain or source.name or str(source), start / chosen, kind, said[-1] in ("test", "testa", "testb"), elsewhere)]


def together(sources: list[str | Path], unpack_into: str | Path | None = None) -> list[Folder]:
    """`find` for several at once; each folder is called by as much of the end of its path as tells them apart."""
    found = []
    for number, source in enumerate(map(Path, sources)):
        for folder in find(source, unpack_into and Path(unpack_into) / str(number)):
            place = source.absolute() if folder.name == source.name else source.absolute() / folder.name
            found.append((place.parts, folder))
    if len(found) > len({parts for parts, _ in found}):
        raise BadSource("A folder is named twice; name each one once.")
    depth = next(depth for depth in range(1, 100) if len({parts[-depth:] for parts, _ in found}) == len(found))
    return [replace(folder, name="/".join(parts[-depth:])) for parts, folder in found]


def unpack(archive: str | Path, folder: str | Path, domain: str = "", progress: Callable[[int, int], None] | None = None) -> Path:
    """Take the pictures out of a zip, to a folder that is not there yet; it appears whole or not at all.

    Only the folder inside the zip that `find` would choose is taken, without the folders around it. `progress(done, total)` is
    called before each picture; what it raises ends the unpacking, and nothing is left. Raises BadSource for whatever is not a
    plain zip of pictures within the limits.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadSource(f"{folder} exists already; choose another folder to unpack {archive.name} into.")
    part = folder.with_name(f".{folder.name}.unfinished")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        with _OneGulpAtMost(archive) as file, zipfile.ZipFile(file) as contents:
            members = _members(contents, archive.name)
            chosen = _choose(Counter(path.parent for path in members), archive.name, domain, zipped=True)
            taken = {path.relative_to(chosen): info for path, info in members.items()
                     if path.parent == chosen or (path.parent.parent == chosen and path.parent.name in SETS)}
            _check_room(taken, archive.name, part)
            for done, (path, info) in enumerate(taken.items()):
                if progress:
                    progress(done, len(taken))
                _extract(contents, info, part / path)
        part.replace(folder)
    except BadSource:
        raise
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError) as error:
        raise BadSource(f"{archive.name} is damaged or not a plain zip ({error}); please pack it anew.") from error
    except OSError as error:
        raise BadSource(f"{archive.name} can't be unpacked to {folder}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


class _OneGulpAtMost(io.FileIO):
    """zipfile reads the table of contents in one piece, however large it says it is: not with us."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = max(0, os.fstat(self.fileno()).st_size - self.tell())
        if size > MOST_DIRECTORY_BYTES:
            raise zipfile.BadZipFile("its table of contents is too long")
        return super().read(size)


def _members(contents: zipfile.ZipFile, name: str) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The pictures in a zip by their paths there. A zip that tries tricks is refused as a whole."""
    members = {}
    for info in contents.infolist():
        path = path_inside(info.filename)
        if path is None:
            raise BadSource(f"{name} wants to write outside its folder ({info.filename}); it is not unpacked.")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BadSource(f"{name} holds a link ({path.name}); please pack the pictures themselves.")
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
        if info.is_dir() or hidden or path.suffix.lower() not in PICTURE_SUFFIXES:
            continue
        if info.flag_bits & 1:
            raise BadSource(f"{name} is protected by a password; please pack it without.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadSource(f"{name} is packed in an unusual way; please pack it anew as a plain zip.")
        if path in members:
            raise BadSource(f"{name} holds {path.name} twice; please pack it anew.")
        members[path] = info
    return members


def path_inside(name: str) -> PurePosixPath | None:
    """Where the file of that name lies in its zip, or None where that is outside. Some packers write a backslash for "/"."""
    path = PurePosixPath(name.replace("\\", "/"))
    return None if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", str(path)) else path


def _check_room(taken: dict, name: str, folder: Path) -> None:
    total = sum(info.file_size for info in taken.values())
    if len(taken) > MOST_FILES:
        raise BadSource(f"{name} holds {len(taken):,} pictures, more than the {MOST_FILES:,} allowed; please pack fewer.")
    if total > MOST_BYTES:
        raise BadSource(f"{name} unpacks to {total / 1e9:.1f} GB, more than the {MOST_BYTES / 1e9:.0f} GB allowed; "
                        "please pack fewer or smaller pictures.")
    free = shutil.disk_usage(folder).free
    if total + SPARE_BYTES > free:
        raise BadSource(f"{name} unpacks to {total / 1e9:.1f} GB and only {free / 1e9:.1f} GB of the disk are free; "
                        "please make room first.")


def _extract(contents: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    """A file larger than a picture may be is cut just above that limit: `images` then says that it is too large."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contents.open(info) as packed, path.open("xb") as file:
        left = MAX_BYTES + 1
        while left > 0 and (piece := packed.read(min(left, 1 << 20))):  # never more than the zip declares: zipfile sees to it
            file.write(piece)
            left -= len(piece)


def _counts(root: Path) -> Counter:
    """How many files with a picture's suffix there are in the folder and those below it, by relative path.

    Links to folders count too, but no folder counts twice: one that lies below the root goes by its own path, not by a link.
    """
    counts, seen, tops = Counter(), set(), [str(root)]
    for top in tops:  # the links that are found on the way come last
        for here, below, _ in os.walk(top):
            state = os.stat(here)
            if (state.st_dev, state.st_ino) in seen:
                below.clear()
                continue
            seen.add((state.st_dev, state.st_ino))
            if len(seen) > MOST_FOLDERS:
                raise BadSource(f"{root} has more than {MOST_FOLDERS:,} folders in it; name the one with the pictures.")
            path = PurePosixPath(Path(here).relative_to(root).as_posix())
            below[:] = sorted(name for name in below if not name.startswith(".")) if len(path.parts) < MOST_DEPTH else []
            tops += [link for name in below if os.path.islink(link := os.path.join(here, name))]
            if count := len(list_pictures(here)):
                counts[path] = count
    return counts


def _choose(counts: Counter, name: str, domain: str, zipped: bool = False) -> PurePosixPath:
    """The folder that is meant, of all that hold pictures; for a prepared data set, the one that holds its sets."""
    if not domain:
        roots = {path.parent for path in counts if path.name == "trainA"}
        roots = [root for root in sorted(roots) if _is_dataset(counts, root)]
        if len(roots) == 1:
            return roots[0]
    if PurePosixPath(".") in counts:
        return PurePosixPath(".")
    if len(counts) == 1:
        return next(iter(counts))
    words = WORDS[domain] if domain else [word for words in WORDS.values() for word in words]
    meant = [path for path in counts if path.name.lower() in words]
    if len(meant) == 1:
        return meant[0]
    if not counts:
        raise BadSource(f"There are no pictures (JPEG, PNG or WEBP) in {name}.")
    shown = ", ".join(f"{path} ({count:,})" for path, count in sorted(counts.items())[:8])
    more = f" and {len(counts) - 8} more" if len(counts) > 8 else ""
    remedy = "unpack it and name the one that is meant" if zipped else "name the one that is meant"
    if zipped and not domain:
        remedy += ", or make a data set with r2f.data prepare, which takes the zip as --rime and as --flowers"
    raise BadSource(f"{name} has {len(counts)} folders with pictures: {shown}{more}; {remedy}.")


def _is_dataset(counts: Counter, root: PurePosixPath) -> bool:
    return root / "trainA" in counts and root / "trainB" in counts
