"""python -m r2f.device: which device a training here would use.

Asked in a process of its own, because only Keras knows which device it uses and importing it costs seconds; remembered in
memory and beside the runs, for this machine, backend and versions. Imports no Keras, and on native Windows nothing that needs
more than that has.
"""

import argparse
import contextlib
import ctypes
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

LOOK_SECONDS = 120.0  # a process that imports Keras; 5 to 20 are usual
LOOK = (sys.executable, "-m", "r2f.device", "--look")
MEMORY_FILE = ".device.json"  # in the folder of runs
NEEDS_WSL2 = ("GPU training needs WSL2: on native Windows neither TensorFlow nor JAX can use a GPU. Install WSL2, and start "
              "rime2flower inside it.")
GPU_PACKAGES = {"tensorflow": "tensorflow[and-cuda]", "jax": "jax[cuda13]", "torch": "a torch built for CUDA"}


class DeviceError(ValueError):
    """The device can't be told, or nothing can be measured on it; the message is the sentence to show."""


@dataclass(frozen=True)
class Device:
    """What a training that is started here computes on."""

    kind: str  # "gpu" or "cpu"
    name: str
    memory_bytes: int | None  # of the GPU; on a CPU, of the machine or of the container
    cores: int  # of the machine
    count: int  # GPUs that Keras sees, of which a training uses one
    backend: str  # name and version
    precision: str  # what "auto" is here
    advice: str | None = None  # one sentence where a GPU is not used though it might be

    @property
    def sentence(self) -> str:
        memory = f", {self.memory_bytes / 1e9:.0f} GB" if self.memory_bytes else ""
        if self.kind == "gpu":
            return f"{self.name}{memory}"
        return f"no GPU here: {self.name}, {cores_said(self.cores)}{memory}"


_cache: dict[tuple[str, str], Device] = {}  # by folder of runs and machine
_describing, _writing = threading.Lock(), threading.Lock()


def known(root: Path | str) -> Device | None:
    """The device, where it was asked for before on this machine and with these versions; at once."""
    if sys.platform == "win32":
        return Device("cpu", processor_name(), None, cores(), 0, "", "float32", NEEDS_WSL2)
    key = machine_key()
    if (str(root), key) not in _cache:
        stored = remembered(root)["devices"].get(key)
        with contextlib.suppress(TypeError):  # written by another version
            _cache[str(root), key] = Device(**stored)
    return _cache.get((str(root), key))


def describe(root: Path | str, limit_seconds: float = LOOK_SECONDS) -> Device:
    """The device; the first time this takes as long as importing Keras. Raises DeviceError where Keras can't be asked."""
    with _describing:
        if found := known(root):
            return found
        from r2f.runner import environment  # not at the top: it needs what native Windows lacks
        # What a training that runs there needs must not be taken from it.
        variables = {**environment(), "TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
                     "TF_CPP_MIN_LOG_LEVEL": "3"}
        try:
            done = subprocess.run(LOOK, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=limit_seconds)
            found = Device(**json.loads(done.stdout.splitlines()[-1]))
        except subprocess.TimeoutExpired as error:
            raise DeviceError(f"Keras did not say within {limit_seconds:.0f} seconds which device it uses.") from error
        except (OSError, ValueError, IndexError, TypeError) as error:
            said = [line for line in getattr(locals().get("done"), "stderr", "").splitlines() if line.strip()][-1:]
            raise DeviceError(f"Keras could not say which device it uses: {said[0] if said else error}") from error
        key = machine_key()
        _cache[str(root), key] = found
        remember(root, lambda all_of_it: all_of_it["devices"].update({key: asdict(found)}))
        return found


def remembered(root: Path | str) -> dict:
    """{"devices": {machine: Device}, "speeds": {machine: [what was measured]}}, of as much of it as can be read."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        stored = json.loads((Path(root) / MEMORY_FILE).read_text(encoding="utf-8"))
        if all(isinstance(stored[name], dict) for name in ("devices", "speeds")):
            return stored
    return {"devices": {}, "speeds": {}}


def remember(root: Path | str, change: Callable[[dict], None]) -> None:
    """Change what is remembered. A disk that is full or read-only is no reason to fail."""
    from r2f.run import write_json
    with _writing, contextlib.suppress(OSError):
        Path(root).mkdir(parents=True, exist_ok=True)
        stored = remembered(root)
        change(stored)
        write_json(Path(root) / MEMORY_FILE, stored)


@functools.cache  # a page asks with every look, and what is installed does not change under it
def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine_key() -> str:
    """What an answer holds for: this machine as it is now, this backend, these versions."""
    def content(path: Path) -> str | None:
        with contextlib.suppress(OSError):
            return path.read_text(errors="replace")
        return None

    keras_json = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    parts = [platform.node(), processor_name(), cores(), platform.python_version(),
             *(os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "KERAS_BACKEND", "JAX_PLATFORMS", "OMP_NUM_THREADS")),
             content(keras_json), content(Path("/proc/driver/nvidia/version")), Path("/dev/dxg").exists(),
             *(version(package) for package in ("keras", "tensorflow", "jax", "jaxlib", "torch"))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def cores_said(count: int) -> str:
    return f"{count} core{'s' * (count != 1)}"


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith("model name")).partition(":")[2].strip()
    return platform.processor() or platform.machine() or "processor"


def machine_memory() -> int | None:
    """Bytes of the machine's memory, or of what the container may use."""
    from r2f.preflight import CGROUP
    found = []
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            found.append(int((CGROUP / limit).read_text()))
    return min(found, default=None)


def look() -> Device:
    """Ask Keras, in this process."""
    import keras

    from r2f.networks import dtype_policy, on_gpu
    backend = keras.backend.backend()
    version = f"{backend} {getattr(sys.modules.get(backend), '__version__', '')}".strip()
    precision = dtype_policy("auto").removeprefix("mixed_")
    if on_gpu():
        name, count = gpus(backend)
        return Device("gpu", name, gpu_memory(), cores(), count, version, precision)
    advice = None
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") not in ("", "-1") and (card := nvidia_card()):
        advice = f"{backend} does not use the {card} that is there; install {GPU_PACKAGES[backend]}, and start again."
    return Device("cpu", processor_name(), machine_memory(), cores(), 0, version, precision, advice)


def gpus(backend: str) -> tuple[str, int]:
    """The name of the GPU that a training would use, and how many its backend sees."""
    module = sys.modules[backend]
    if backend == "torch":
        return module.cuda.get_device_name(0), module.cuda.device_count()
    if backend == "jax":
        return module.devices()[0].device_kind, len(module.devices())
    cards = module.config.list_physical_devices("GPU")
    return module.config.experimental.get_device_details(cards[0]).get("device_name", "GPU"), len(cards)


def hardware() -> str:
    """What computes, by its make: the processor, or the GPU with its driver. Asks Keras, in this process."""
    import keras

    from r2f.networks import on_gpu
    if not on_gpu():
        return processor_name()
    name, driver = gpus(keras.backend.backend())[0], gpu_driver()
    return f"{name}, driver {driver}" if driver else name


def gpu_driver() -> str | None:
    """The version of the NVIDIA driver."""
    with contextlib.suppress(OSError, AttributeError):  # there is none
        driver, version = ctypes.CDLL("libnvidia-ml.so.1"), ctypes.create_string_buffer(80)
        if not driver.nvmlInit_v2() and not driver.nvmlSystemGetDriverVersion(version, len(version)):
            return version.value.decode(errors="replace")
    return None


def gpu_memory() -> int | None:
    from r2f.usage import cuda_bytes
    with contextlib.suppress(OSError, AttributeError):  # no NVIDIA driver
        return cuda_bytes()
    return None


def nvidia_card() -> str | None:
    """The name of the first NVIDIA GPU that the driver knows, whoever can use it."""
    program = shutil.which("nvidia-smi") or shutil.which("nvidia-smi", path="/usr/lib/wsl/lib")
    with contextlib.suppress(OSError, IndexError, subprocess.SubprocessError):
        return program and subprocess.run([program, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True,
                                          timeout=20, check=True).stdout.splitlines()[0].strip() or None
    return None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m r2f.device", description="Say which device a training here would use.")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="FOLDER",
                        help="folder of runs, where it is remembered (default runs)")
    parser.add_argument("--look", action="store_true", help="ask Keras in this process, print JSON and remember nothing")
    options = parser.parse_args(arguments)
    if options.look:
        print(json.dumps(asdict(look())))
        return 0
    try:
        found = describe(options.runs)
    except DeviceError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{found.sentence}; {found.backend}, {found.precision}")
    if found.advice:
        print(found.advice)
    return 0


if __name__ == "__main__":
    sys.exit(main())
