"""Power cuts: every directory tree that one may leave, at every operation of a save, and what a resume makes of it."""

import os
import random
import shutil
import tempfile
from pathlib import Path

from disk import Disk, Node, crash_states, lay
from promise import SITUATIONS, Situation, arguments, report, state, violations

from r2f import checkpoint

LONG = {**SITUATIONS, "four saves, one after the other": None}


def main(scratch: Path, limit: int, situations=None) -> None:
    chance, wrong, cuts, trees = random.Random(3), [], 0, 0
    for name, situation in LONG.items():
        if situations and name not in situations:
            continue
        saves = [situation.save] if situation else [(40, 0), (50, 0), (50, 1), (60, 0)]
        situation = situation or Situation([(10, 0), (20, 0), (30, 0)], (40, 0))
        root = scratch / "root"
        folder = situation.lay(root)
        model = Node.of(root)  # all of it lasts
        with Disk(root) as disk:
            ends = []
            for step, version in saves:
                checkpoint.commit(folder, step, state(step, version))
                ends.append(len(disk.changes))
        seen = set()
        for number in range(len(disk.changes) + 1):
            if number:
                kind, path, change = disk.changes[number - 1]
                path = os.path.relpath(path, root)
                if not path.startswith(".."):
                    model.apply(kind, "" if path == "." else path, change)
            done = sum(end <= number for end in ends)  # so many saves were said to be on disk
            last = saves[done - 1] if done else max(situation.valid, default=None)
            legal = {last, *saves[done:done + 1]}
            least = min(2, len({step for step, _ in situation.valid} | {step for step, _ in saves[:done]}))
            cuts += 1
            for tree in crash_states(model, limit, chance):
                key = (frozen(tree), done)
                if key in seen:
                    continue
                seen.add(key)
                left = scratch / "left"
                lay(tree, left)
                found = violations(left / folder.name, legal, least, situation.damaged_names)
                if not found and len(seen) % 10 == 0:  # the training goes on from what is left
                    with Disk(left):
                        checkpoint.commit(left / folder.name, 70, state(70))
                    found = violations(left / folder.name, {(70, 0)}, min(2, least + 1), situation.damaged_names)
                wrong += [f"{name}, power cut after {disk.changes[number - 1][:2] if number else 'nothing'}: {each}"
                          for each in found]
                shutil.rmtree(left)
        trees += len(seen)
        shutil.rmtree(root)
    report(power_cuts=cuts, trees=trees, violations=len(wrong), first=wrong[:10])


def frozen(tree):
    return tuple((name, frozen(each) if isinstance(each, dict) else each) for name, each in sorted(tree.items()))


if __name__ == "__main__":
    given = arguments()
    with tempfile.TemporaryDirectory(dir=given.get("scratch")) as scratch:
        main(Path(scratch), given.get("limit", 64), given.get("situations"))
