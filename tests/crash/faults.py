"""Every operation of a save x {fail once, fail for ever, lie, die}, and every operation of a resume x {fail}."""

import errno
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from disk import Disk, die, ever, once
from promise import ERRNOS, SITUATIONS, arguments, newest, report, state

from r2f import checkpoint


def attempt(root: Path, folder: Path, save, fault) -> tuple[bool, Disk]:
    """Whether the save succeeded, and the disk it was made on."""
    with Disk(root, fault) as disk:
        try:
            checkpoint.commit(folder, save[0], state(*save))
            return True, disk
        except OSError:
            return False, disk


def attempt_and_die(root: Path, folder: Path, save, number: int) -> bool:
    """The save in a process that ends without a word at its k-th operation. Whether it was said to be on disk before."""
    said, says = os.pipe()
    child = os.fork()
    if child == 0:
        with Disk(root, die(number)) as disk:
            disk.die = lambda: os._exit(9)
            checkpoint.commit(folder, save[0], state(*save))
            os.write(says, b"committed")
        os._exit(0)
    os.close(says)
    os.waitpid(child, 0)
    committed = os.read(said, 9) == b"committed"
    os.close(said)
    return committed


def main(scratch: Path, situations=None, only=None) -> None:
    cases, wrong, operations = Counter(), [], Counter()
    for name, situation in SITUATIONS.items():
        if situations and name not in situations:
            continue
        plain = scratch / "plain"
        folder = situation.lay(plain)
        shutil.copytree(plain, scratch / "clean")
        done, disk = attempt(scratch / "clean", scratch / "clean" / folder.name, situation.save, None)
        kinds = [kind for kind, _ in disk.operations]
        operations[name] = len(kinds)
        wrong += [f"{name}, undisturbed: {each}" for each in situation.after(scratch / "clean" / folder.name, True)]
        ways = [("once, no room", once, errno.ENOSPC), ("once, broken", once, errno.EIO),
                ("once, too many files", once, errno.EMFILE),
                *((f"for ever, {how}", ever, code) for how, code in ERRNOS.items()), ("lie", once, "lie"), ("die", None, None)]
        for number, kind in enumerate(kinds):
            for way, fault, code in ways:
                if (way == "lie" and kind != "write") or (only and way not in only):
                    continue
                root = scratch / "case"
                shutil.copytree(plain, root)
                case = root / folder.name
                if way == "die":
                    committed = attempt_and_die(root, case, situation.save, number) or None
                else:
                    committed, _ = attempt(root, case, situation.save, fault(number, code))
                cases[way] += 1
                where = f"{name}, operation {number} ({kind} {disk.operations[number][1]}), {way}"
                if way == "lie" and committed:
                    wrong.append(f"{where}: said to be saved")
                wrong += [f"{where}: {each}" for each in situation.after(case, committed)]
                again, after = attempt(root, case, (50, 0), None)  # and the next save finds its way
                if not again or newest(case) != (50, 0) or any(each.name.startswith(".") for each in case.iterdir()):
                    wrong.append(f"{where}: the next save failed, or left something: {sorted(os.listdir(case))}")
                shutil.rmtree(root)
        for folder_of in (plain, scratch / "clean"):  # a resume never goes on from an older one because a read failed for once
            case = folder_of / folder.name
            if not case.exists():
                continue
            right = newest(case)
            with Disk(folder_of) as disk:
                newest(case)
            for number in range(len(disk.operations)):
                for way, code in (("resume, too many files", errno.EMFILE), ("resume, no permission", errno.EACCES)):
                    with Disk(folder_of, once(number, code)):
                        found = newest(case)
                    cases[way] += 1
                    if found != right and not str(found).startswith("no checkpoint can be read: [Errno"):
                        wrong.append(f"{name}, {way} at operation {number}: {found} and not {right}")
            shutil.rmtree(folder_of)
        shutil.rmtree(plain, ignore_errors=True)
    report(cases=cases, total=sum(cases.values()), operations=operations, violations=len(wrong), first=wrong[:10])


if __name__ == "__main__":
    given = arguments()
    with tempfile.TemporaryDirectory(dir=given.get("scratch")) as scratch:
        main(Path(scratch), given.get("situations"), given.get("ways"))
