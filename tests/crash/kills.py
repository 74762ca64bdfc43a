"""kill -9 at random times of a process that saves again and again, held against what it had said before it was killed."""

import os
import random
import signal
import statistics
import tempfile
import time
from pathlib import Path

from promise import arguments, report, state, violations

from r2f import checkpoint
from r2f.saver import Saver

NUMBERS = 40_000  # 160 kB, so that a save has a middle


def save_for_ever(folder: Path, life: int, says: int, pause: float, in_background: bool) -> None:
    """The training: from the newest checkpoint on, saves, and says when one begins and when it is on disk."""
    found = checkpoint.newest(folder)
    step = int(found[1]["seed/0000"][0]) if found else 0
    saver = Saver(folder)
    while True:
        step += 1
        content = state(step, life, NUMBERS)
        os.write(says, b"%d begins\n" % step)
        if in_background:
            saver.save(step, content, after=lambda step=step: os.write(says, b"%d saved\n" % step))
            time.sleep(pause)
        else:
            checkpoint.commit(folder, step, content)
            os.write(says, b"%d saved\n" % step)
            time.sleep(pause)


def main(folder: Path, kills: int, seed: int) -> None:
    chance, wrong, during, saves, background = random.Random(seed), [], 0, 0, 0
    times = []
    for step in range(1, 6):
        start = time.monotonic()
        checkpoint.commit(folder, step, state(step, 0, NUMBERS))
        times.append(time.monotonic() - start)
    one_save, last = statistics.median(times), (5, 0)
    for life in range(1, kills + 1):
        said, says = os.pipe()
        in_background = life % 2 == 0
        child = os.fork()
        if child == 0:
            try:
                save_for_ever(folder, life, says, one_save / 2, in_background)
            finally:
                os._exit(1)
        os.close(says)
        time.sleep(chance.uniform(0, 6 * one_save))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        lines = b""
        while more := os.read(said, 65536):
            lines += more
        os.close(said)
        if not os.WIFSIGNALED(status):
            wrong.append(f"life {life} ended by itself with {status}")
        begun = []  # and not said to be saved; in the background a save may begin while the one before is in flight
        for line in lines.split(b"\n")[:-1]:
            step, word = line.split()
            if word == b"begins":
                begun.append((int(step), life))
            else:
                last, saves, begun = (int(step), life), saves + 1, [each for each in begun if each[0] > int(step)]
        if begun:
            during += 1
            background += in_background
        found = violations(folder, {last, *begun}, 2, numbers=NUMBERS)
        wrong += [f"life {life}: {each}" for each in found]
        if not found:  # what is on disk is what the next life goes on from, said or not
            last = newest_of(folder)
    report(kills=kills, during=during, background=background, saves=saves, violations=len(wrong),
           first=wrong[:10], save_milliseconds=round(1000 * one_save, 1))


def newest_of(folder: Path) -> tuple[int, int]:
    step, life = checkpoint.newest(folder)[1]["seed/0000"]
    return int(step), int(life)


if __name__ == "__main__":
    given = arguments()
    with tempfile.TemporaryDirectory(dir=given.get("scratch")) as scratch:
        main(Path(scratch) / "checkpoints", given.get("kills", 60), given.get("seed", 5))
