import sys
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from r2f import usage


def test_memory_now_grows_and_shrinks_with_what_is_held_and_the_peak_stays(tmp_path):
    before = usage.now(tmp_path, gpu=False)
    held = np.ones(40_000_000)
    during = usage.now(tmp_path, gpu=False)
    del held
    after = usage.now(tmp_path, gpu=False)
    print(before, during, after, sep="\n")
    assert after["disk_free_megabytes"] > 0 and after["gpu_megabytes"] is after["gpu_total_megabytes"] is None
    assert after["memory_megabytes"] >= during["memory_megabytes"] >= 300
    if sys.platform == "linux":
        assert during["memory_now_megabytes"] - before["memory_now_megabytes"] > 250
        assert during["memory_now_megabytes"] - after["memory_now_megabytes"] > 250
        assert after["memory_megabytes"] >= after["memory_now_megabytes"]


def test_it_is_cheap_enough_for_every_step(tmp_path):
    began = time.process_time()
    for _ in range(1000):
        usage.now(tmp_path, gpu=False)
    microseconds = 1e3 * (time.process_time() - began)
    print(f"{microseconds:.0f} microseconds of processor time")
    assert microseconds < 1000


def backends(monkeypatch, name):
    """Stand-ins that answer as the backends do on a GPU that holds 3 of 24 gigabytes."""
    gigabyte = 1 << 30
    said = {"bytes_in_use": 3 * gigabyte, "bytes_limit": 24 * gigabyte}
    modules = {
        "tensorflow": SimpleNamespace(config=SimpleNamespace(experimental=SimpleNamespace(
            get_memory_info=lambda device: {"current": 3 * gigabyte, "peak": 5 * gigabyte} if device == "GPU:0" else None))),
        "jax": SimpleNamespace(local_devices=lambda: [SimpleNamespace(memory_stats=lambda: said)]),
        "torch": SimpleNamespace(cuda=SimpleNamespace(memory_reserved=lambda: 3 * gigabyte,
                                                      mem_get_info=lambda: (21 * gigabyte, 24 * gigabyte))),
    }
    monkeypatch.setitem(sys.modules, name, modules[name])
    monkeypatch.setattr(keras.backend, "backend", lambda: name)
    monkeypatch.setattr(usage, "cuda_bytes", lambda: 24 * gigabyte)


@pytest.mark.parametrize("name", ["tensorflow", "jax", "torch"])
def test_the_memory_of_a_gpu_is_asked_of_the_backend_that_computes(name, tmp_path, monkeypatch):
    backends(monkeypatch, name)
    found = usage.now(tmp_path, gpu=True)
    assert (found["gpu_megabytes"], found["gpu_total_megabytes"]) == (3 * 1024, 24 * 1024)


@pytest.mark.parametrize("name", ["tensorflow", "jax", "torch"])
def test_a_gpu_that_does_not_answer_is_none(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, SimpleNamespace())
    monkeypatch.setattr(keras.backend, "backend", lambda: name)
    found = usage.now(tmp_path / "nowhere", gpu=True)
    assert found["gpu_megabytes"] is found["gpu_total_megabytes"] is found["disk_free_megabytes"] is None
