"""The form of a new training as plain values: what is wrong with them, which Config they make, and what fills them.

Values come from a browser, so they may be anything; what can't be used gets a sentence, and nothing is thrown away. Knows nothing
about components.
"""

import html
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

from r2f import config, runner, source
from r2f.config import Config, ConfigError
from r2f.pair import BadPair, checked_arguments, read_pair_json
from r2f.source import BadSource, Folder
from r2f.ui.words import both, two

SOURCES = ("drawn", "folders", "zips", "prepared")
WHOLE = {"image_size": (32, 1024), "steps": (1, 10_000_000), "batch_size": (1, 50), "sample_steps": (0, 1_000_000),
         "seed": (0, 2 ** 31 - 1)}  # least and most of the whole numbers
MINUTES = (0.1, 1440.0)  # between two checkpoints
DEFAULTS = {each.name: each.default for each in fields(Config)}
SETTINGS = tuple(name for name in ("preset", "image_size", "steps", "batch_size", "precision", "sample_steps",
                                   "checkpoint_minutes", "seed", "tensorboard") if name in DEFAULTS)
FIELDS = ("source", "rime", "flowers", "data", *SETTINGS, "start_from", "name", "also")
FAULTY = ("zips", *(name for name in FIELDS if name not in ("source", "preset", "precision", "tensorboard")))  # can be wrong
PICTURES = "pictures"  # the folder under the root in which zips are unpacked: no run is called so
WHERE = ("rime", "flowers", "data", "drawn", "run", "start_from")  # of Config's settings, those that are no other field's matter


def read(values: Mapping, root: Path,
         pairs: Mapping[str, object] | None = None) -> tuple[Config | None, dict[str, str], list[Folder]]:
    """(Config, faults, folders): the Config that the form describes, or None and by field a sentence in HTML for what is wrong;
    and the folders it takes pictures from, as far as they are there.

    `pairs` are those on offer, by name, as folders or with a `folder`.
    """
    faults, options, folders = {}, {"preset": text(values, "preset")}, []
    if options["preset"] not in config.PRESETS:
        options["preset"] = "r2f"
    for name, (least, most) in WHOLE.items():
        number = whole(values.get(name), least, most)
        if number is None or name == "image_size" and number % 4:
            faults[name] = both("ts_multiple" if name == "image_size" else "ts_whole", least=f"{least:,}", most=f"{most:,}")
        else:
            options[name] = number
    minutes = real(values.get("checkpoint_minutes"), *MINUTES)
    if minutes is None:
        faults["checkpoint_minutes"] = both("ts_minutes", least=f"{MINUTES[0]:g}", most=f"{MINUTES[1]:g}")
    else:
        options["checkpoint_minutes"] = minutes
    options["precision"] = text(values, "precision") or "auto"
    if "tensorboard" in SETTINGS:
        options["tensorboard"] = values.get("tensorboard") is True
    if fault := fault_of_name(text(values, "name"), root):
        faults["name"] = fault
    _read_pictures(values, options, faults, folders)
    pair = text(values, "start_from")
    if pair:
        offer = (pairs or {}).get(pair, pair)
        options["start_from"] = str(Path(getattr(offer, "folder", offer)).absolute())
        if not (Path(options["start_from"]) / "pair.json").is_file():
            faults["start_from"] = both("ts_no_pair", pair=pair)
    if faults:
        return None, faults, folders
    also = known(values.get("also"))
    options = {"load_size": load_size(options["preset"], options["image_size"]), **options, **also}
    try:
        settings = config.preset(options.pop("preset"), **options)
    except (ConfigError, TypeError) as error:
        return None, {fault_field(str(error)): html.escape(str(error), quote=False)}, folders
    if settings.start_from and (fault := fault_of_shape(settings, pair)):
        return None, {"start_from": fault}, folders
    return settings, {}, folders


def fault_of_shape(settings: Config, pair: str) -> str:
    """Why a training can't begin with that pair, and which preset could; a folder that is no pair, the trainer will name."""
    try:
        networks = checked_arguments(read_pair_json(settings.start_from))
    except BadPair:
        return ""

    def fit(wanted: Config) -> bool:
        return all(networks.get(key) == value for key, value in wanted.generator_arguments.items())

    if fit(settings):
        return ""
    fits = [name for name in config.PRESETS if fit(config.preset(name))]
    return both("ts_other_shape", pair=pair, fits=" / ".join(fits)) if fits else both("ts_no_shape", pair=pair)


def options_of(settings: Config) -> dict:
    """What `runner.start` is given: what differs from the preset, and where the pictures are."""
    plain = config.preset(settings.preset)
    changed = {each.name: getattr(settings, each.name) for each in fields(Config)
               if each.name != "run" and getattr(settings, each.name) != getattr(plain, each.name)}
    return {"preset": settings.preset} | changed


def _read_pictures(values: Mapping, options: dict, faults: dict, folders: list[Folder]) -> None:
    """Put the places of the pictures into `options` and `folders`, or why not into `faults`."""
    place = text(values, "source")
    if place == "zips":  # until they are unpacked; then they are folders
        faults["zips"] = both("ts_zips_first")
    elif place == "prepared":
        try:
            folders += found(values.get("data"))
            root = folders[0].path.parent
            if len(folders) < 2:
                faults["data"] = both("ts_not_prepared", path=values.get("data"))
            options["data"] = str(root)
        except BadSource as error:
            faults["data"] = complaint(error)
    elif place == "folders":
        for name, domain in (("rime", "rime"), ("flowers", "flower")):
            try:
                folders += found(values.get(name), domain)
                options[name] = str(folders[-1].path)
            except BadSource as error:
                faults[name] = complaint(error)
        if len(folders) == 2 and folders[0].path == folders[1].path:
            faults["flowers"] = both("ts_same_folder")
    else:
        options["drawn"] = True


def found(path: object, domain: str = "") -> list[Folder]:
    """`source.find` for what was typed; a folder on this machine, from where the page was started. Raises BadSource."""
    typed = path.strip() if isinstance(path, str) else ""
    if not typed or "\0" in typed:
        raise BadSource("")
    try:
        folder = Path(typed).expanduser().absolute()
        changed = folder.stat().st_mtime_ns
    except (OSError, RuntimeError) as error:  # RuntimeError: ~somebody who is not there
        raise BadSource(f"There is no folder {typed}; check the path.") from error
    if not folder.is_dir():
        raise BadSource(f"{typed} is a file; name a folder of pictures.")
    return list(_find(folder, domain, changed))


@lru_cache(maxsize=32)
def _find(folder: Path, domain: str, _changed: int) -> tuple[Folder, ...]:
    try:
        return tuple(source.find(folder, domain=domain))
    except OSError as error:
        raise BadSource(f"{folder} can't be read: {error.strerror or error}.") from error


def complaint(error: BadSource | str) -> str:
    """A BadSource's sentence as HTML, in both languages where it is a common one."""
    sentence = str(error)
    if not sentence:
        return both("ts_folder_empty")
    for pattern, chinese in ((r"There is no folder (?P<path>.*); check the path\.", "这里没有文件夹 {path}；请检查路径。"),
                             (r"(?P<path>.*) is a file; name a folder of pictures\.", "{path} 是一个文件；请给出图片文件夹。"),
                             (r"There are no pictures \(JPEG, PNG or WEBP\) in (?P<path>.*)\.",
                              "{path} 里没有图片（JPEG、PNG 或 WEBP）。")):
        if match := re.fullmatch(pattern, sentence, re.DOTALL):
            return two(html.escape(sentence, quote=False), html.escape(chinese.format(**match.groupdict()), quote=False))
    return html.escape(sentence, quote=False)


def fault_of_name(name: str, root: Path) -> str:
    """Why a new run can't be called so, in HTML; nothing where it can."""
    try:
        runner.named(root, name)
    except runner.NoRun:
        return both("ts_name_bad")
    return both("ts_name_taken", name=name, free=free_name(root, name)) if is_taken(name, root) else ""


def is_taken(name: str, root: Path) -> bool:
    """Whether something is called so already; a name with a slash or the like is somebody's typing, and never taken."""
    return bool(runner.NAME.fullmatch(name)) and (name.lower() == PICTURES or os.path.lexists(root / name))


def free_name(root: Path, stem: str) -> str:
    """The first of stem-1, stem-2 … that no run has; a number at the stem's end is left out first."""
    stem = re.sub(r"-\d+$", "", stem)[:50].rstrip() or "run"
    return next(name for number in range(1, 100_000) if not os.path.lexists(root / (name := f"{stem}-{number}")))


def fault_field(sentence: str) -> str:
    """The field that a ConfigError's sentence is about; `also` where it has none."""
    name = sentence.partition(" ")[0]
    return name if name in FAULTY else "also"


def load_size(preset: str, image_size: int) -> int:
    """The short side that pictures are kept at, pixels: as much larger than the crops as in the preset."""
    plain = config.preset(preset)
    return max(image_size, round(plain.load_size * image_size / plain.image_size))


def of_preset(name: str) -> dict:
    """The fields that a preset decides."""
    plain = config.preset(name)
    decided = ("preset", "image_size", "steps", "batch_size", "precision")
    return {each: getattr(plain, each) for each in decided} | {"also": {}}


def fresh(root: Path, gpu: bool) -> dict:
    """The form as it is before anything was entered."""
    preset = "r2f" if gpu else "lite"
    plain = config.preset(preset)
    return {"source": "drawn", "rime": "", "flowers": "", "data": "", "start_from": "", "also": {},
            "name": free_name(root, preset), **{each: getattr(plain, each) for each in SETTINGS}}


def cloned(settings: Config, root: Path, name: str, pairs: Mapping[str, object] | None = None) -> dict:
    """The form that makes the same training again, under a new name."""
    plain = config.preset(settings.preset)
    place = "drawn" if settings.drawn else "prepared" if settings.data else "folders"
    also = {each.name: getattr(settings, each.name) for each in fields(Config)
            if each.name not in (*SETTINGS, *WHERE) and getattr(settings, each.name) != getattr(plain, each.name)}
    if settings.load_size == load_size(settings.preset, settings.image_size):
        also.pop("load_size", None)
    elif settings.image_size != plain.image_size:
        also["load_size"] = settings.load_size
    folders = {str(Path(getattr(offer, "folder", offer)).absolute()): each for each, offer in (pairs or {}).items()}
    pair = folders.get(settings.start_from, settings.start_from)
    return {"source": place, "rime": settings.rime, "flowers": settings.flowers, "data": settings.data, "start_from": pair,
            **{each: getattr(settings, each) for each in SETTINGS}, "name": free_name(root, name), "also": also}


def remembered(values: object, otherwise: Callable[[], dict]) -> dict:
    """The form that a browser has kept; what it lacks is as in `otherwise()`."""
    kept = {name: value for name, value in values.items() if name in FIELDS} if isinstance(values, dict) else {}
    if kept.get("source") not in SOURCES or kept.get("preset") not in config.PRESETS:
        return otherwise()
    return otherwise() | kept | {"also": known(kept.get("also"))}


def settings_of(root: Path, name: str) -> Config | None:
    """The configuration of a run, also of one that has not written it yet; None where it can't be read."""
    try:
        options = runner.options_of(runner.named(root, name))
        return config.preset(options.pop("preset"), **options)
    except (runner.NoRun, ConfigError):
        return None


def newest(root: Path) -> tuple[str, Config | None]:
    """The run that was started last of those whose configuration can be read: its name and configuration; "" and None without."""
    names = (each.run.path.name for each in runner.runs(root))
    return next(((name, found) for name in names if (found := settings_of(root, name))), ("", None))


def known(values: object) -> dict:
    """Of these settings, those that Config has and that have no field, with values of its types."""
    if not isinstance(values, dict):
        return {}
    return {name: float(value) if isinstance(DEFAULTS[name], float) else value for name, value in values.items()
            if name in DEFAULTS and name not in (*SETTINGS, *WHERE)
            and (type(value) is type(DEFAULTS[name]) or isinstance(DEFAULTS[name], float) and type(value) is int)}


def text(values: Mapping, name: str) -> str:
    value = values.get(name)
    return value.strip() if isinstance(value, str) else ""


def whole(value: object, least: int, most: int) -> int | None:
    """A whole number within the limits, or None."""
    number = real(value, least, most)
    return int(number) if number is not None and number == int(number) else None


def real(value: object, least: float, most: float) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else float("nan")
    except ValueError:
        return None
    return number if least <= number <= most else None  # not a number is neither
