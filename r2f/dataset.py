"""Two folders of pictures -> a prepared data set: trainA and testA (flowers), trainB and testB (rime), and dataset.json.

Nothing twice, the split a function of the pictures and a seed, the files copied as they are. The folder appears whole or not at
all, and nothing is replaced that was not made here. Knows nothing about trainings.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from r2f.doctor import NOUNS, Report, examine
from r2f.likeness import Picture
from r2f.source import SPARE_BYTES, BadSource, Folder

FORMAT = 1  # of dataset.json
MADE_BY = "rime2flower"
TEST = 168  # pictures of each domain that the 2023 project held out
MOST_TEST = 6  # a sixth of the pictures at most is held out, if no number is asked for
LEAST_TEST, SPARED = 8, 4  # but so many, which a training needs for figures of quality, where that is a quarter at most
TRAIN_AND_TEST = {"rime": ("trainB", "testB"), "flower": ("trainA", "testA")}


class NotOurs(ValueError):
    """What is at the place of the data set was not made here, or is being made; the message says what to do."""


def prepare(rime: Folder, flowers: Folder, out: str | Path, test: int | None = None, seed: int = 0, image_size: int = 256,
            min_side: int = 0, progress: Callable[[int, int], None] | None = None) -> tuple[dict, Report]:
    """Write the data set to `out`; returns what is in its dataset.json, and the doctor's report on the two folders.

    Of pictures that show the same, the largest stays; one that is in both domains stays in neither; those with a short side
    below `min_side` pixels are left out. `test` pictures of each domain are held out: 168 if not said, but no more than a sixth,
    but at least 8 where there are 32 or more.
    A picture is held out by its content, so a few more pictures move few others. A data set made here earlier is replaced
    if nothing in it was added or changed, and left alone if it is the same. If `out` is a link, it stays one.

    Raises BadSource if there is too little to learn from or too little room, NotOurs where `out` holds something else, a
    picture that was changed, one of the two folders, or the working directory.
    """
    out = Path(os.path.realpath(out))
    _check_place(out, rime, flowers)
    report = examine([rime, flowers], image_size, progress)
    kept, left_out = _chosen(report, min_side)
    sets, notes = {}, []
    for folder in (rime, flowers):
        mine = sorted((picture for picture in kept if picture.folder == folder.name),
                      key=lambda picture: hashlib.sha256(f"{seed} {picture.digest}".encode()).digest())
        count = _test_count(len(mine), test, folder.domain, notes)
        train, held_out = TRAIN_AND_TEST[folder.domain]
        sets[held_out], sets[train] = mine[:count], mine[count:]
    paths = {folder.name: folder.path for folder in (rime, flowers)}
    pictures = {name: dict(sorted((each.name, each.digest) for each in files)) for name, files in sorted(sets.items())}
    info = {"format": FORMAT, "made_by": MADE_BY, "seed": seed, "counts": {name: len(files) for name, files in pictures.items()},
            "notes": notes, "digest": hashlib.sha256(json.dumps(pictures, sort_keys=True).encode()).hexdigest(),
            "left_out": left_out, "pictures": pictures}
    with _unfinished(out) as part:
        made_earlier = _made_here(out)
        if made_earlier and made_earlier["digest"] == info["digest"]:
            return made_earlier, report
        needed = sum((paths[each.folder] / each.name).stat().st_size for files in sets.values() for each in files)
        if needed + SPARE_BYTES > (free := shutil.disk_usage(part).free):
            raise BadSource(f"The data set takes {needed / 1e9:.1f} GB and only {free / 1e9:.1f} GB of the disk are free; "
                            "please make room first.")
        for name, files in sets.items():
            if files:  # an empty folder is nothing to hold out
                (part / name).mkdir()
            for each in files:
                shutil.copyfile(paths[each.folder] / each.name, part / name / each.name)
        (part / "dataset.json").write_text(json.dumps(info, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        _put(part, out, made_earlier)
    return info, report


def read_info(folder: str | Path) -> dict | None:
    """The dataset.json of a data set made here; None where there is none."""
    try:
        info = json.loads((Path(folder) / "dataset.json").read_text(encoding="utf-8"))
        return info if (info["made_by"], info["format"]) == (MADE_BY, FORMAT) and isinstance(info["pictures"], dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def differences(folder: str | Path, report: Report) -> list[str]:
    """One sentence for each picture that is not as dataset.json in the folder says; `report` is the doctor's on the folder."""
    info = read_info(folder)
    if info is None:
        return []
    now = {picture.label: picture.digest for picture in report.pictures}
    then = {f"{name}/{file}": digest for name, files in info["pictures"].items() for file, digest in files.items()}
    said = {label: "can't be read any more" if (Path(folder) / label).exists() else "is missing since the data set was made"
            for label in then.keys() - now.keys()}
    said |= {label: "was added since the data set was made" for label in now.keys() - then.keys()}
    said |= {label: "has changed since the data set was made" for label in then.keys() & now.keys() if then[label] != now[label]}
    return [f"{label} {what}." for label, what in sorted(said.items())]


def _chosen(report: Report, min_side: int) -> tuple[list[Picture], list[dict]]:
    """The pictures that stay, and the files that don't with the reason."""
    domain = {folder.name: folder.domain for folder in report.sources}
    reasons = {}
    for picture in report.pictures:
        if picture.blank:
            reasons[picture] = "empty: a single colour"
        elif picture.short_side < min_side:
            reasons[picture] = f"short side of {picture.short_side} pixels, below {min_side}"
    for group in report.groups:
        staying = [picture for picture in group if picture not in reasons]
        if len({domain[picture.folder] for picture in group}) > 1:
            reasons.update((picture, "both rime and flower: " + " = ".join(each.label for each in group)) for picture in staying)
        elif staying:
            best = min(staying, key=lambda picture: (-picture.width * picture.height, picture.digest, picture.name))
            reasons.update((picture, f"the same picture as {best.label}" if picture.pixels == best.pixels
                            else f"nearly the same picture as {best.label}") for picture in staying if picture != best)
    left_out = [{"file": picture.label, "reason": reason} for picture, reason in reasons.items()]
    left_out += [{"file": each.name, "reason": sentence} for each in report.folders for sentence in each.unreadable]
    return [picture for picture in report.pictures if picture not in reasons], sorted(left_out, key=lambda each: each["file"])


def _test_count(count: int, wanted: int | None, domain: str, notes: list[str]) -> int:
    if wanted is not None and not 0 <= wanted < count:
        raise BadSource(f"--test is {wanted} and there are {count} {NOUNS[domain]}; some must be left to learn from.")
    if count < 2:
        raise BadSource(f"There are only {count} {NOUNS[domain]} to learn from, after what is left out; give at least 2.")
    if wanted is None and count // MOST_TEST < TEST:
        sixth = max(1, count // MOST_TEST)
        wanted = max(sixth, LEAST_TEST) if count >= SPARED * LEAST_TEST else sixth
        why = "a sixth" if wanted == sixth else "the fewest that give figures of quality"
        short = f"; figures of quality need {LEAST_TEST}" if wanted < LEAST_TEST else ""
        notes.append(f"{wanted:,} of {count:,} {NOUNS[domain]} are held out, {why}; {TEST} would be too many{short}.")
    return TEST if wanted is None else wanted


def _check_place(out: Path, rime: Folder, flowers: Folder) -> None:
    """Raises NotOurs where no data set may be written, before anything is looked at."""
    if Path.cwd().is_relative_to(out):
        raise NotOurs(f"{out} can't be replaced, because you are in it; name a folder below it, or go to another one first.")
    _made_here(out)
    for folder in (rime, flowers):
        if folder.path.resolve().is_relative_to(out):
            raise NotOurs(f"{folder.path} lies in {out}, which would be replaced; choose another folder for the data set.")


@contextmanager
def _unfinished(out: Path):
    """An empty folder beside `out` for this process alone; it is gone afterwards, also what a killed process left there."""
    part = out.with_name(f".{out.name}.unfinished")
    out.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(out.parent, os.O_RDONLY | os.O_CLOEXEC)  # of the folder around it: leaves nothing behind
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise NotOurs(f"Another data set is being written to {out.parent}; wait for it, or choose another folder.") from error
        for left_behind in (part, _replaced(out)):
            shutil.rmtree(left_behind, ignore_errors=True)
        part.mkdir()
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        os.close(lock)


def _replaced(out: Path) -> Path:
    return out.with_name(f".{out.name}.replaced")


def _made_here(out: Path) -> dict | None:
    """The dataset.json of what is at `out`, without its digest if a file has gone; None if there is nothing.

    Raises NotOurs for anything else, and where a picture has changed.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    info = read_info(out)
    if info is None:
        raise NotOurs(f"{out} exists and was not made by this command; choose another folder.")
    digests = {f"{name}/{file}": digest for name, files in info["pictures"].items() for file, digest in files.items()}
    expected = {"dataset.json"} | digests.keys()
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    if found - expected:
        raise NotOurs(f"{out} holds something that this command did not put there ({sorted(found - expected)[0]}); "
                      "choose another folder.")
    for name in sorted(found & digests.keys()):
        with (out / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digests[name]:
                raise NotOurs(f"{out / name} has changed since the data set was made; put it back as it was, delete it (it is "
                              "made anew), or choose another folder.")
    return info if found == expected else {**info, "digest": ""}  # a file has gone: it is made anew


def _put(part: Path, out: Path, made_earlier: dict | None) -> None:
    if made_earlier:
        out.rename(_replaced(out))
    part.rename(out)
    shutil.rmtree(_replaced(out), ignore_errors=True)
