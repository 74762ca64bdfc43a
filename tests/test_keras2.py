"""Files in tests/fixtures/keras2 are of real Keras 2; tests/fixtures/make_keras2_fixture.py says how they were made."""

import json
import os
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from r2f import keras2
from r2f.keras2 import BadH5, newest_last, read_generator, read_here
from r2f.pair import load_pair, weight_shapes, write_pair

EXECUTABLE = sys.executable
FIXTURE = Path(__file__).parent / "fixtures" / "keras2"
ATOB, BTOA = FIXTURE / "g_model_AtoB_002500.h5", FIXTURE / "g_model_BtoA_002500.h5"


def largest_difference(networks):
    expected = np.load(FIXTURE / "expected.npz")
    return max(np.abs(np.asarray(networks[name](expected["pictures"])) - expected[direction]).max()
               for name, direction in (("bloom", "BtoA"), ("frost", "AtoB")))


def test_the_pair_paints_what_keras_2_painted_with_the_file(tmp_path):
    """A is flowers and B is rime there, so BtoA is bloom. 1e-3 of the range -1 to 1 is an eighth of a level of 8 bits."""
    (arguments, frost, _), (_, bloom, _) = read_generator(ATOB), read_generator(BTOA)
    write_pair(tmp_path / "pair", {"bloom": bloom, "frost": frost}, {"networks": arguments}, "float32")
    networks, _ = load_pair(tmp_path / "pair", "float32")
    single = largest_difference(networks)
    for network in networks.values():
        network.set_weights([weight.astype(np.float16) for weight in network.get_weights()])
    half = largest_difference(networks)
    for layer in (layer for network in networks.values() for layer in network.layers if hasattr(layer, "epsilon_on")):
        layer.epsilon_on = "variance"
    other = largest_difference(networks)
    print(f"\nlargest difference from Keras 2: {single:.1e} in single precision, {half:.1e} in half, "
          f"{other:.1e} with the epsilon on the variance")
    assert single < 1e-3 < 1e-2 < other
    assert half < 3e-2


def test_the_arrays_are_those_of_our_generator_without_the_biases_that_instance_norm_takes_away():
    arguments, arrays, image_size = read_here(ATOB)
    assert (arguments["filters"], arguments["blocks"], image_size) == (4, 2, 32)
    assert {key: array.shape for key, array in arrays.items()} == weight_shapes(arguments)
    assert not any("bias" in key for key in arrays)


def test_the_inputs_of_a_kernel_are_turned_because_the_seed_puts_a_blocks_result_first():
    kernel = np.arange(12, dtype=np.float32).reshape(1, 1, 12, 1)
    assert newest_last(kernel, "20.Conv2D.kernel", 1).ravel().tolist() == [8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3]
    assert newest_last(kernel[:, :, :4], "08.Conv2D.kernel", 1).ravel().tolist() == [0, 1, 2, 3]


def test_a_file_of_save_weights_has_no_description_and_is_read_too(tmp_path):
    with h5py.File(ATOB) as saved, h5py.File(tmp_path / "weights.h5", "w") as bare:
        for name in saved["model_weights"]:
            saved.copy(saved["model_weights"][name], bare, name)
        bare.attrs["layer_names"] = [name.encode() for name in saved["model_weights"].attrs["layer_names"]]  # as older ones did
    _, arrays, image_size = read_here(tmp_path / "weights.h5")
    assert image_size is None
    assert all(np.array_equal(array, arrays[key]) for key, array in read_here(ATOB)[1].items())


KERNEL = "model_weights/conv2d/conv2d/kernel:0"
GROUP, NAME = KERNEL.rsplit("/", 1)


def in_h5(change):
    def changed(path):
        with h5py.File(path, "r+") as h5:
            change(h5, path)
    return changed


def kernel(make):
    """Put something else where the first kernel is; `make(group, path)` does it."""
    def change(h5, path):
        h5.move(KERNEL, "elsewhere")
        make(h5[GROUP], path)
    return in_h5(change)


def description(change):
    def changed(h5, path):
        config = json.loads(h5.attrs["model_config"])
        change(config["config"]["layers"])
        h5.attrs["model_config"] = json.dumps(config)
    return in_h5(changed)


def of_kind(layers, kind):
    return next(layer for layer in layers if layer["class_name"] == kind)


def another_file(group, path):
    shutil.copy(ATOB, path.with_name("other.h5"))
    group[NAME] = h5py.ExternalLink(path.with_name("other.h5"), KERNEL)


def loop_of_links(group, path):
    group[NAME] = h5py.SoftLink("/" + KERNEL)


def virtual(group, path):
    layout = h5py.VirtualLayout((7, 7, 3, 4), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "elsewhere", (7, 7, 3, 4))
    group.create_virtual_dataset(NAME, layout)


def plain_of(shape, **options):
    return lambda group, path: group.create_dataset(NAME, shape, **{"dtype": "f4", **options})


def not_finite(h5, path):
    h5[KERNEL][0, 0, 0, 0] = np.nan


def instead(make):
    def changed(path):
        path.unlink()
        make(path)
    return changed


HOSTILE = {
    "a link to another file": kernel(another_file),
    "a link inside the file": kernel(lambda group, path: group.__setitem__(NAME, h5py.SoftLink("/elsewhere"))),
    "a loop of links": kernel(loop_of_links),
    "a dangling link": kernel(lambda group, path: group.__setitem__(NAME, h5py.SoftLink("/nowhere"))),
    "a virtual dataset of another file": kernel(virtual),
    "an array kept in another file": kernel(plain_of((7, 7, 3, 4), external=[("/etc/passwd", 0, 7 * 7 * 3 * 4 * 4)])),
    "a group for an array": kernel(lambda group, path: group.create_group(NAME)),
    "an array of a petabyte": kernel(plain_of((7, 7, 3, 10 ** 12), chunks=(7, 7, 3, 1024))),
    "a compressed array": kernel(plain_of((7, 7, 3, 4), compression="gzip")),
    "an array that was never written": kernel(plain_of((7, 7, 3, 4))),
    "another shape": kernel(lambda group, path: group.create_dataset(NAME, data=np.zeros((7, 7, 4, 4), "f4"))),
    "filters for a hundred gigabytes": kernel(plain_of((7, 7, 3, 10_000))),
    "no dimensions": kernel(lambda group, path: group.create_dataset(NAME, data=np.float32(1))),
    "double precision": kernel(lambda group, path: group.create_dataset(NAME, data=np.zeros((7, 7, 3, 4)))),
    "text for numbers": kernel(plain_of((7, 7, 3, 4), dtype=h5py.string_dtype())),
    "a weight that is not a number": in_h5(not_finite),
    "a group that holds itself": in_h5(lambda h5, path: (h5.move(GROUP, "apart"), h5["model_weights/conv2d"].__setitem__(
        "conv2d", h5["model_weights"]))),
    "no layer_names": in_h5(lambda h5, path: h5["model_weights"].attrs.__delitem__("layer_names")),
    "layer_names of numbers": in_h5(lambda h5, path: h5["model_weights"].attrs.__setitem__("layer_names", np.arange(9))),
    "layer_names of paths": in_h5(lambda h5, path: h5["model_weights"].attrs.__setitem__("layer_names", ["../../etc", "/", "."])),
    "50,000 layer_names": in_h5(lambda h5, path: h5["model_weights"].attrs.__setitem__("layer_names", np.array([b"a"] * 50_000))),
    "a layer too few": in_h5(lambda h5, path: h5["model_weights"].attrs.__setitem__(
        "layer_names", h5["model_weights"].attrs["layer_names"][:-3])),
    "layers in another order": in_h5(lambda h5, path: h5["model_weights"].attrs.__setitem__(
        "layer_names", h5["model_weights"].attrs["layer_names"][::-1])),
    "model_weights is a link": in_h5(lambda h5, path: (h5.move("model_weights", "w"), h5.__setitem__(
        "model_weights", h5py.SoftLink("/w")))),
    "code in its description": description(lambda layers: layers[3].update(class_name="Lambda")),
    "another epsilon": description(lambda layers: of_kind(layers, "InstanceNormalization")["config"].update(epsilon=1e-5)),
    "the result of a block last": description(lambda layers: of_kind(layers, "Concatenate")["inbound_nodes"][0].reverse()),
    "another padding": description(lambda layers: of_kind(layers, "Conv2D")["config"].update(padding="valid")),
    "a description that is a bomb": in_h5(lambda h5, path: h5.attrs.__setitem__("model_config", "[" * 60_000)),
    "a description that is a list": in_h5(lambda h5, path: h5.attrs.__setitem__("model_config", "[]")),
    "an empty file": lambda path: os.truncate(path, 0),
    "half a file": lambda path: os.truncate(path, path.stat().st_size // 2),
    "another kind of file": lambda path: path.write_bytes((FIXTURE / "expected.npz").read_bytes()),
    "30 GB": lambda path: os.truncate(path, 30 << 30),
    "nothing": Path.unlink,
    "a pipe": instead(os.mkfifo),
    "a folder": instead(os.mkdir),
    "a link": instead(lambda path: os.symlink(ATOB, path)),
}


def test_every_hostile_file_is_refused_with_one_sentence(tmp_path):
    refused = {}
    for number, (name, change) in enumerate(HOSTILE.items()):
        path = tmp_path / str(number) / "g_model_AtoB_002500.h5"
        path.parent.mkdir()
        shutil.copy(ATOB, path)
        change(path)
        try:
            read_here(path)
        except BadH5 as error:
            refused[name] = str(error)
    print(f"\n{len(refused)} of {len(HOSTILE)} hostile .h5 files refused with one sentence")
    assert set(HOSTILE) - set(refused) == set()
    for name, sentence in refused.items():
        assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 400 + 2 * len(str(tmp_path)), (name, sentence)
    for name, says in (("a link to another file", "are not followed"), ("an array of a petabyte", "1000000000000 filters"),
                       ("another epsilon", "epsilon"), ("code in its description", "Lambda"),
                       ("another shape", "not [7, 7, 3, 4]"), ("nothing", "is missing")):
        assert says in refused[name], refused[name]


def test_a_file_that_makes_the_hdf5_library_loop_or_crash_takes_only_its_own_process_with_it(tmp_path, monkeypatch):
    path = tmp_path / "g_model_AtoB_002500.h5"
    for code in ("import time; time.sleep(60)", "import os; os.abort()", "print('nothing was written')"):
        monkeypatch.setattr(keras2.sys, "executable", tmp_path / "reader")
        (tmp_path / "reader").write_text(f"#!{EXECUTABLE}\n{code}\n")
        (tmp_path / "reader").chmod(0o755)
        monkeypatch.setattr(keras2, "MOST_SECONDS", 1)
        with pytest.raises(BadH5, match="is damaged: "):
            read_generator(path)


def test_the_reader_tells_its_refusal_in_the_words_of_the_one_who_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(FIXTURE / "expected.npz", "other.h5")
    with pytest.raises(BadH5, match="^other.h5 is damaged or not a .h5 file that Keras 2 saved"):
        read_generator("other.h5")
