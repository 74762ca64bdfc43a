"""What a training takes of the machine at this moment: memory, the GPU's memory, the disk. Cheap enough for every step.

Asks the backend that Keras has loaded already, and loads none. What can't be told is None.
"""

import contextlib
import ctypes
import os
import resource
import shutil
import sys
from functools import cache
from pathlib import Path

MEGABYTE = 1024 * 1024  # as memory is sold; files and disks are counted in millions, as in every sentence about them


def now(folder: Path, gpu: bool) -> dict[str, int | None]:
    """By name, in megabytes: memory of this process now, the most it has held, the GPU's in use and in all, free disk."""
    used, total = gpu_megabytes() if gpu else (None, None)
    free = None
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(folder).free // 1_000_000
    return {"memory_now_megabytes": memory_megabytes(), "memory_megabytes": peak_megabytes(), "gpu_megabytes": used,
            "gpu_total_megabytes": total, "disk_free_megabytes": free}


def memory_megabytes() -> int | None:
    """The memory that this process holds; known on Linux."""
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // MEGABYTE
    return None


def peak_megabytes() -> int:
    """The most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (MEGABYTE if sys.platform == "darwin" else 1024)


def gpu_megabytes() -> tuple[int | None, int | None]:
    """What the backend holds of the first GPU's memory, and the most that it may."""
    used = total = None
    with contextlib.suppress(Exception):  # a driver without an answer is no reason to end a training
        if tensorflow := backend("tensorflow"):
            used, total = tensorflow.config.experimental.get_memory_info("GPU:0")["current"], cuda_bytes()
        elif jax := backend("jax"):
            said = jax.local_devices()[0].memory_stats()
            used, total = said["bytes_in_use"], said.get("bytes_limit")
        elif torch := backend("torch"):
            used, total = torch.cuda.memory_reserved(), torch.cuda.mem_get_info()[1]
    return tuple(None if each is None else each // MEGABYTE for each in (used, total))


def backend(name: str):
    """The module of that backend, if it is the one Keras computes with."""
    import keras
    return sys.modules.get(name) if keras.backend.backend() == name else None


@cache
def cuda_bytes() -> int | None:
    """All the memory of the first visible NVIDIA GPU, by its driver: TensorFlow does not tell."""
    driver, device, size = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), ctypes.c_size_t()
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0) or driver.cuDeviceTotalMem_v2(ctypes.byref(size), device):
        return None
    return size.value
