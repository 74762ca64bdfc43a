"""Damage: every file of a checkpoint in many ways, and single bits anywhere in it. Detected or harmless, never a wrong state."""

import random
import shutil
import tempfile
from pathlib import Path

from promise import arguments, newest, report, state

from r2f import checkpoint

WAYS = {
    "missing": lambda path, other: path.unlink(),
    "empty": lambda path, other: path.write_bytes(b""),
    "cut": lambda path, other: path.write_bytes(path.read_bytes()[:-1]),
    "cut in half": lambda path, other: path.write_bytes(path.read_bytes()[:path.stat().st_size // 2]),
    "zeros": lambda path, other: path.write_bytes(bytes(path.stat().st_size)),
    "longer": lambda path, other: path.write_bytes(path.read_bytes() + b"\0"),
    "of the checkpoint before": lambda path, other: shutil.copy(other, path),
    "a directory": lambda path, other: (path.unlink(), path.mkdir()),
}


def main(scratch: Path, flips: int) -> None:
    folder, chance, wrong = scratch / "checkpoints", random.Random(4), []
    for step in (1, 2):
        checkpoint.commit(folder, step, state(step))
    last, before = folder / "step_00000002", folder / "step_00000001"
    intact = {name: (last / name).read_bytes() for name in (checkpoint.STATE, checkpoint.MANIFEST)}
    assert set(intact) == {path.name for path in last.iterdir()}
    whole = 0
    for name, content in intact.items():
        for way, damage in WAYS.items():
            damage(last / name, before / name)
            whole += 1
            if newest(folder) != (1, 0):
                wrong.append(f"{name} {way}: resume starts from {newest(folder)}")
            if (last / name).is_dir():
                (last / name).rmdir()
            (last / name).write_bytes(content)
    detected = harmless = 0
    places = [(name, at) for name, content in intact.items() for at in range(len(content))]
    for _ in range(flips):
        name, at = chance.choice(places)
        content = bytearray(intact[name])
        content[at] ^= chance.randint(1, 255)
        (last / name).write_bytes(content)
        found = newest(folder)
        detected += found == (1, 0)
        harmless += found == (2, 0)
        if found not in ((1, 0), (2, 0)):
            wrong.append(f"{name}, byte {at} now {content[at]}: {found}")
        if found == (2, 0) and name == checkpoint.STATE:
            wrong.append(f"{name}, byte {at} now {content[at]}: not noticed")
        (last / name).write_bytes(intact[name])
    if newest(folder) != (2, 0):
        wrong.append("the checkpoint itself can't be read")
    report(files=whole, bytes=flips, detected=detected, harmless=harmless, violations=len(wrong), first=wrong[:10])


if __name__ == "__main__":
    given = arguments()
    with tempfile.TemporaryDirectory(dir=given.get("scratch")) as scratch:
        main(Path(scratch), given.get("flips", 500))
