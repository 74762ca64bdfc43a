"""The Hub: pairs that were published there, fetched by commit and checked. Knows nothing about networks.

Nothing is downloaded before its size is known, nothing but a pair's three files is, and nothing is used before its SHA-256 was
compared. Once fetched, a pair of a known commit needs no network.
"""

import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from r2f.files import shortened
from r2f.pair import MOST_HEADER_BYTES, MOST_PAIR_JSON_BYTES, MOST_PARAMETERS, NETWORKS, BadPair, read_pair, read_pair_json

log = logging.getLogger("r2f")

COMMIT = re.compile("[0-9a-f]{40}")
WEIGHTS = tuple(f"{name}.safetensors" for name in NETWORKS)
MOST_BYTES = {"pair.json": MOST_PAIR_JSON_BYTES, **dict.fromkeys(WEIGHTS, 4 * MOST_PARAMETERS + MOST_HEADER_BYTES)}
ANSWER_SECONDS = 10.0


def fetch_pair(name: str, revision: str | None = None) -> Path:
    """The folder of a published pair, `name` being "owner/repository": fetched once, its files verified, ready for `load_pair`.

    `revision` is a commit of 40 digits, which pins the pair for good; a branch, a tag or None (the newest) is resolved to one,
    which the log names. Raises BadPair, also where the Hub can't be reached.
    """
    from huggingface_hub import HfApi, cached_assets_path, hf_hub_download
    if not name.strip():
        raise BadPair("Please name a repository; it looks like owner/name.")
    with hub_errors(name, revision):
        pinned = COMMIT.fullmatch(revision or "")
        if pinned:
            folder = cached_assets_path("rime2flower", namespace=name, subfolder=revision)
            if is_fetched(folder):
                return folder
        found = HfApi().model_info(name, revision=revision or "main", files_metadata=True, timeout=ANSWER_SECONDS)
        commit = str(found.sha)
        if not COMMIT.fullmatch(commit) or pinned and commit != revision:
            raise BadPair(f"{name}: the Hub answered with commit {shortened(commit)} where {revision or 'main'} was asked for; "
                          "nothing was fetched.")
        if not pinned:
            log.info("%s: %s is commit %s; name that as the revision to keep to it", name, revision or "the newest", commit)
        published = {file.rfilename: file for file in found.siblings or ()}
        for file, most in MOST_BYTES.items():
            size = published[file].size if file in published else None
            if size is None:
                raise BadPair(f"{name} is not a pair: its commit {commit[:12]} has no {file} of a known size.")
            if size > most:
                raise BadPair(f"{name} is not a pair: its {file} has {size:,} bytes, and at most {most:,} are fetched.")
        folder = cached_assets_path("rime2flower", namespace=name, subfolder=commit)
        if is_fetched(folder):
            return folder
        try:
            hf_hub_download(name, "pair.json", revision=commit, local_dir=folder)
            info = read_pair_json(folder)
            for file in WEIGHTS:
                stated, lfs = info["files"][file], published[file].lfs
                if published[file].size != stated["bytes"] or lfs and lfs.sha256 != stated["sha256"]:
                    raise BadPair(f"{name}: {file} on the Hub is not the one that its pair.json describes; it was not fetched.")
            for file in WEIGHTS:
                hf_hub_download(name, file, revision=commit, local_dir=folder)
            read_pair(folder)
            return folder
        except BadPair as error:
            forget(folder)
            raise BadPair(str(error).replace(f"{folder}/", f"{name}: ").replace(str(folder), name)) from error


def is_fetched(folder: Path) -> bool:
    """Whether the pair is there and verifies; one that does not is deleted, to be fetched anew."""
    if not all((folder / file).exists() for file in MOST_BYTES):
        return False
    try:
        read_pair(folder)
        return True
    except BadPair as error:
        log.warning("%s It is fetched anew.", error)
        forget(folder)
        return False


def forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def hub_errors(name: str, revision: str | None) -> Iterator[None]:
    """Turn what huggingface_hub raises into one sentence."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HFValidationError,
        HTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    try:
        yield
    except BadPair:
        raise
    except HFValidationError as error:
        raise BadPair(f"{shortened(name)} is not the name of a repository; it looks like owner/name.") from error
    except RevisionNotFoundError as error:
        raise BadPair(f"{name} has no revision {shortened(revision or 'main')} on the Hub.") from error
    except RepositoryNotFoundError as error:
        raise BadPair(f"There is no repository {name} on the Hub, or it is private and you are not logged in.") from error
    except EntryNotFoundError as error:
        raise BadPair(f"{name} could not be fetched from the Hub: {first_line(error)}.") from error
    except (OSError, HTTPError, ValueError, RuntimeError) as error:
        raise BadPair(f"{name} could not be fetched from the Hub: {first_line(error)}; try again later.") from error


def first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return shortened(lines[0] if lines else type(error).__name__)
