"""A disk that fails on request, and one that forgets: what stands between checkpoint.py and the operating system in these tests.

`Disk` counts every operation of the commit on a folder and can make the k-th of them fail, all from the k-th on, or the process
die there; it never forces anything to the real disk, so that thousands of cases take seconds. It also keeps the list of changes,
from which `crash_states` makes every directory tree that a power cut may leave: what was not forced to disk may be there, be
there in part, as zeros, or not at all, and changes of names may reach the disk in any order. This is the pessimistic model of
ALICE (Pillai et al., OSDI 2014): only fsync of a file makes its content last, only fsync of its directory makes its name last.
"""

import builtins
import copy
import errno
import itertools
import os
import random
from pathlib import Path

import safetensors.numpy

from r2f import checkpoint

READS = {"stat", "list", "read", "open"}
TAKES_ROOM = {"create", "write", "mkdir", "fsync"}


class Died(BaseException):
    """The process is gone: from here on nothing of it reaches the disk."""


class Disk:
    """`with Disk(folder, fault):` every operation below the folder goes through `step`, numbered from 0 in `operations`.

    fault: None, or a function of (number, kind) that returns None, an errno to fail with, "die", or "lie".
    A write that fails or dies has written half of its bytes; one that lies has written a wrong bit and says nothing.
    """

    def __init__(self, folder: Path, fault=None):
        self.folder, self.fault = os.path.abspath(folder), fault
        self.operations: list[tuple[str, str]] = []
        self.changes: list[tuple] = []  # (kind, path, what)
        self.paths: dict[int, str] = {}  # of open file descriptors
        self.dead = False

    def step(self, kind: str, path: str) -> str | None:
        if self.dead:
            raise Died
        number = len(self.operations)
        self.operations.append((kind, os.path.relpath(path, self.folder)))
        outcome = self.fault(number, kind) if self.fault else None
        if outcome == "die":
            self.dead = True
            self.die()
        if outcome == "lie":
            return outcome
        if outcome is not None:
            raise OSError(outcome, os.strerror(outcome), path)

    def die(self):
        raise Died

    def inside(self, path, dir_fd=None) -> str | None:
        """The absolute path if it is the folder, below it, or on the way to it."""
        if isinstance(path, int):
            return self.paths.get(path)
        path = os.fspath(path)
        if dir_fd is not None:
            if dir_fd not in self.paths:
                return None
            path = os.path.join(self.paths[dir_fd], path)
        path = os.path.abspath(path)
        below, above = path.startswith(self.folder + os.sep), self.folder.startswith(path + os.sep)
        return path if path == self.folder or below or above else None

    def __enter__(self):
        self.real = {name: getattr(os, name) for name in ("open", "close", "fsync", "rename", "mkdir", "rmdir", "unlink", "stat",
                                                          "lstat", "listdir", "scandir")}
        for name in self.real:
            setattr(os, name, getattr(self, "os_" + name))
        checkpoint.open, self.save_file, checkpoint.save_file = self.open, checkpoint.save_file, self.write_safetensors
        return self

    def __exit__(self, *_):
        for name, function in self.real.items():
            setattr(os, name, function)
        del checkpoint.open
        checkpoint.save_file = self.save_file
        for descriptor in self.paths:
            os.close(descriptor)

    def os_open(self, path, flags, mode=0o777, *, dir_fd=None):
        inside = self.inside(path, dir_fd)
        if inside:
            self.step("open", inside)
        descriptor = self.real["open"](path, flags, mode, dir_fd=dir_fd)
        if inside:
            self.paths[descriptor] = inside
        return descriptor

    def os_close(self, descriptor):
        inside = self.paths.pop(descriptor, None)
        self.real["close"](descriptor)
        if inside:
            self.step("close", inside)

    def os_fsync(self, descriptor):
        inside = self.inside(descriptor)
        if not inside:
            return self.real["fsync"](descriptor)
        self.step("fsync", inside)
        self.changes.append(("fsync", inside, None))  # and nothing is forced in truth

    def os_rename(self, source, target, **options):
        inside = self.inside(target)
        if inside:
            self.step("rename", inside)
        self.real["rename"](source, target, **options)
        if inside:
            self.changes.append(("rename", os.path.abspath(source), inside))

    def os_mkdir(self, path, mode=0o777, *, dir_fd=None):
        inside = self.inside(path, dir_fd)
        if inside:
            self.step("mkdir", inside)
        self.real["mkdir"](path, mode, dir_fd=dir_fd)
        if inside:
            self.changes.append(("mkdir", inside, None))

    def os_rmdir(self, path, *, dir_fd=None):
        self.drop("rmdir", path, dir_fd)

    def os_unlink(self, path, *, dir_fd=None):
        self.drop("unlink", path, dir_fd)

    def drop(self, kind, path, dir_fd):
        inside = self.inside(path, dir_fd)
        if inside:
            self.step(kind, inside)
        self.real[kind](path, dir_fd=dir_fd)
        if inside:
            self.changes.append(("remove", inside, None))

    def os_stat(self, path, *, dir_fd=None, follow_symlinks=True):
        inside = self.inside(path, dir_fd)
        if inside:
            self.step("stat", inside)
        return self.real["stat"](path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    def os_lstat(self, path, *, dir_fd=None):
        return self.os_stat(path, dir_fd=dir_fd, follow_symlinks=False)

    def os_listdir(self, path="."):
        return self.listed("listdir", path)

    def os_scandir(self, path="."):
        return self.listed("scandir", path)

    def listed(self, name, path):
        inside = self.inside(path)
        if inside:
            self.step("list", inside)
        return self.real[name](path)

    def open(self, path, mode="r", **options):
        inside = self.inside(path)
        if not inside:
            return builtins.open(path, mode, **options)
        new = mode[0] in "wxa"
        self.step("create" if new else "open", inside)
        file = builtins.open(path, mode, **options)  # noqa: SIM115
        if new:
            self.changes.append(("create", inside, None))
        self.paths[file.fileno()] = inside
        return File(self, file, inside)

    def write_safetensors(self, state, path):
        """What the library's `save_file` does, in operations that can fail one by one."""
        content = safetensors.numpy.save(state)
        temporary = os.path.join(os.path.dirname(path), ".tmpABCDEF")
        with self.open(temporary, "wb") as file:
            file.write(content[:len(content) // 2])
            file.write(content[len(content) // 2:])
        os.rename(temporary, path)


class File:
    """An open file of a Disk."""

    def __init__(self, disk: Disk, file, path: str):
        self.disk, self.file, self.path = disk, file, path

    def write(self, content):
        try:
            if self.disk.step("write", self.path) == "lie":
                content = bytes(content[:-1]) + bytes([content[-1] ^ 1])
        except BaseException:
            self.put(content[:len(content) // 2])
            raise
        self.put(content)

    def put(self, content):
        self.file.write(content)
        self.file.flush()
        self.disk.changes.append(("write", self.path, bytes(content)))

    def read(self, *size):
        self.disk.step("read", self.path)
        return self.file.read(*size)

    def readinto(self, buffer):
        self.disk.step("read", self.path)
        return self.file.readinto(buffer)

    def readable(self):
        return self.file.readable()

    def fileno(self):
        return self.file.fileno()

    def flush(self):
        self.file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.disk.paths.pop(self.file.fileno(), None)
        self.file.close()
        self.disk.step("close", self.path)


def once(number: int, code: int):
    """The k-th operation fails, the others work."""
    return lambda at, kind: code if at == number else None


def ever(number: int, code: int):
    """From the k-th operation on the disk is full, may only be read, or is gone, according to the errno."""
    fails = {errno.ENOSPC: lambda kind: kind in TAKES_ROOM, errno.EROFS: lambda kind: kind not in READS | {"close"},
             errno.EIO: lambda kind: True}[code]
    return lambda at, kind: code if at >= number and fails(kind) else None


def die(number: int):
    return lambda at, kind: "die" if at == number else None


class Node:
    """A file or a directory as a power cut sees it: what lasts, and what was changed since."""

    def __init__(self, is_folder: bool):
        self.is_folder = is_folder
        self.lasting = {} if is_folder else b""  # name -> Node, or bytes
        self.content = {} if is_folder else b""
        self.pending: list[dict] = []  # of a directory: changes of names, each {name: Node or None}

    @classmethod
    def of(cls, path: Path) -> "Node":
        """What is on disk and lasts."""
        node = cls(path.is_dir())
        node.lasting = {each.name: cls.of(each) for each in path.iterdir()} if node.is_folder else path.read_bytes()
        node.content = copy.copy(node.lasting)
        return node

    def find(self, path: str) -> "Node":
        node = self
        for name in Path(path).parts:
            node = node.content[name]
        return node

    def rename(self, changes: dict):
        self.pending.append(changes)
        for name, node in changes.items():
            if node is None:
                self.content.pop(name, None)
            else:
                self.content[name] = node

    def apply(self, kind, path: str, what) -> None:
        """One change of a Disk; paths are relative to this directory."""
        above, name = os.path.split(path)
        match kind:
            case "mkdir" | "create":
                self.find(above).rename({name: Node(kind == "mkdir")})
            case "write":
                self.find(path).content += what
            case "rename":
                parent = self.find(above)
                parent.rename({name: None, os.path.basename(what): parent.content[name]})
            case "remove":
                self.find(above).rename({name: None})
            case "fsync":
                node = self.find(path)
                node.lasting, node.pending = copy.copy(node.content), []

    def choices(self) -> list[tuple["Node", list]]:
        """Everything below that a power cut may decide: (node, its possible contents)."""
        found, seen, waiting = [], set(), [self]
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if node.is_folder:
                if node.pending:
                    sizes = range(len(node.pending) + 1)
                    found.append((node, [kept for size in sizes for kept in itertools.combinations(node.pending, size)]))
                waiting += [*node.lasting.values(), *node.content.values(),
                            *(each for change in node.pending for each in change.values() if each)]
            elif node.content != node.lasting:
                size = len(node.content)
                found.append((node, [node.content, node.lasting, node.content[:size // 2], bytes(size)]))
        return found

    def tree(self, decided: dict) -> dict:
        """The directory tree that is left: {name: bytes or a tree}."""
        if not self.is_folder:
            return decided.get(id(self), self.lasting)
        names = dict(self.lasting)
        for change in decided.get(id(self), ()):
            for name, node in change.items():
                names.pop(name, None)
                if node is not None:
                    names[name] = node
        return {name: node.tree(decided) for name, node in names.items()}


def crash_states(root: Node, limit: int, chance: random.Random):
    """The trees that a power cut may leave now: all of them, or `limit` drawn by chance, all and nothing among them."""
    choices = root.choices()
    contents = [each for _, each in choices]
    total = 1
    for each in contents:
        total *= len(each)
    if total <= limit:
        decisions = itertools.product(*contents)
    else:
        decisions = itertools.chain([[each[0] for each in contents], [each[-1] for each in contents]],
                                    ([chance.choice(each) for each in contents] for _ in range(limit - 2)))
    for decision in decisions:
        yield root.tree({id(node): chosen for (node, _), chosen in zip(choices, decision, strict=True)})


def lay(tree: dict, folder: Path) -> None:
    """Write a tree to the real disk."""
    folder.mkdir()
    for name, content in tree.items():
        if isinstance(content, dict):
            lay(content, folder / name)
        else:
            (folder / name).write_bytes(content)
