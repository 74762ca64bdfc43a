import json
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import keras
import pytest

from r2f import device
from r2f.device import Device, DeviceError

ROOT = Path(__file__).parents[1]
H200 = Device("gpu", "NVIDIA H200", 150_000_000_000, 16, 1, "jax 0.10.2", "bfloat16")


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    monkeypatch.setattr(device, "_cache", {})


@pytest.fixture
def answer(monkeypatch, tmp_path):
    """Let a small program answer in Keras's place; gives how often it was asked."""
    def says(program: str):
        asked = tmp_path / "asked"
        asked.write_text("")
        monkeypatch.setattr(device, "LOOK", (sys.executable, "-c", f"open({str(asked)!r}, 'a').write('x')\n{program}"))
        return lambda: len(asked.read_text())
    return says


def test_the_device_here_is_the_one_keras_computes_on_and_this_process_stays_without(tmp_path):
    code = f"""
import sys
from r2f import device
found = device.describe({str(tmp_path)!r})
print("keras" in sys.modules, "tensorflow" in sys.modules, found == device.known({str(tmp_path)!r}))
print(found.sentence, "|", found.backend, "|", found.precision)"""
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    told, sentence = done.stdout.splitlines()
    print(sentence)
    assert told == "False False True"
    found, = (Device(**each) for each in json.loads((tmp_path / device.MEMORY_FILE).read_text())["devices"].values())
    assert found.backend.startswith(f"{keras.backend.backend()} ") and found.cores >= 1 and found.memory_bytes > 10**8
    assert found.kind in ("cpu", "gpu") and found.precision in ("float32", "bfloat16")


def test_it_is_asked_once_and_remembered_on_disk_and_forgotten_with_another_version(answer, tmp_path, monkeypatch):
    asked = answer(f"print('noise'); print({json.dumps(asdict(H200))!r})")
    assert device.known(tmp_path) is None
    threads = [threading.Thread(target=device.describe, args=(tmp_path,)) for _ in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert device.known(tmp_path) == H200 and asked() == 1
    device._cache.clear()  # the page is started again
    assert device.known(tmp_path) == device.describe(tmp_path) == H200 and asked() == 1
    monkeypatch.setenv("KERAS_BACKEND", "another")
    assert device.known(tmp_path) is None
    device.describe(tmp_path)
    assert asked() == 2
    monkeypatch.delenv("KERAS_BACKEND")
    assert device.known(tmp_path) == H200


@pytest.mark.parametrize("content", [
    "", "{", "[]", "{}", '{"devices": 3, "speeds": {}}', '{"devices": {"KEY": {"kind": "gpu"}}, "speeds": {}}',
    '{"devices": {"KEY": null}, "speeds": {}}'])
def test_a_damaged_memory_is_no_memory(answer, tmp_path, content):
    asked = answer(f"print({json.dumps(asdict(H200))!r})")
    (tmp_path / device.MEMORY_FILE).write_text(content.replace("KEY", device.machine_key()))
    assert device.known(tmp_path) is None
    assert device.describe(tmp_path) == H200 and asked() == 1
    device._cache.clear()
    assert device.known(tmp_path) == H200


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(answer, tmp_path):
    answer(f"print({json.dumps(asdict(H200))!r})")
    (tmp_path / "file").write_text("")
    assert device.describe(tmp_path / "file" / "runs") == H200 == device.known(tmp_path / "file" / "runs")


@pytest.mark.parametrize("program,sentence", [
    ("raise ImportError('no keras in sight')", "could not say which device it uses: ImportError: no keras in sight"),
    ("print('{}')", "could not say which device it uses"), ("", "could not say which device it uses"),
    ("import time; time.sleep(600)", "did not say within 1 seconds"),
])
def test_where_keras_cannot_say_it_one_sentence_does(answer, tmp_path, program, sentence):
    answer(program)
    with pytest.raises(DeviceError, match=sentence) as error:
        device.describe(tmp_path, limit_seconds=1.0 if "sleep" in program else 60.0)
    assert "\n" not in str(error.value)
    assert device.known(tmp_path) is None  # it is asked again next time


def test_the_sentence_names_gpu_and_memory_or_says_that_there_is_none():
    assert H200.sentence == "NVIDIA H200, 150 GB"
    assert replace(H200, memory_bytes=None).sentence == "NVIDIA H200"
    cpu = Device("cpu", "AMD EPYC", 25_300_000_000, 2, 0, "tensorflow 2.21.0", "bfloat16")
    assert cpu.sentence == "no GPU here: AMD EPYC, 2 cores, 25 GB"
    assert replace(cpu, cores=1, memory_bytes=None).sentence == "no GPU here: AMD EPYC, 1 core"


def test_what_computes_is_told_by_its_make(monkeypatch):
    assert device.hardware() == device.processor_name()
    monkeypatch.setattr("r2f.networks.on_gpu", lambda: True)
    monkeypatch.setattr(device, "gpus", lambda backend: ("NVIDIA H200", 1))
    for version, said in (("570.86.15", "NVIDIA H200, driver 570.86.15"), (None, "NVIDIA H200")):
        monkeypatch.setattr(device, "gpu_driver", lambda version=version: version)
        assert device.hardware() == said


def test_native_windows_is_told_that_a_gpu_needs_wsl2(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    found = device.describe(tmp_path)
    assert found.advice == device.NEEDS_WSL2 and "needs WSL2" in found.advice and found.kind == "cpu"
    assert not list(tmp_path.iterdir())
    code = "import sys\nsys.modules['fcntl'] = None\nfrom r2f import device"  # native Windows lacks it
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


def test_a_gpu_that_the_backend_does_not_use_is_named_with_the_remedy(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H200'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("r2f.networks.on_gpu", lambda: False)
    backend = keras.backend.backend()
    assert device.look().advice == f"{backend} does not use the NVIDIA H200 that is there; install " \
                                   f"{device.GPU_PACKAGES[backend]}, and start again."
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")  # hidden on purpose
    assert device.look().advice is None
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    program.write_text("#!/bin/sh\nexit 9\n")  # no driver
    assert device.look().advice is None
