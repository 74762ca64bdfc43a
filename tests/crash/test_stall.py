"""What a checkpoint costs the training, at the real size of the default preset: the models are built, not trained."""

import os
import time

import pytest

from r2f import checkpoint, config
from r2f.saver import Saver


@pytest.mark.crash
def test_a_checkpoint_of_the_default_preset_holds_the_training_up_for_less_than_one_percent(tmp_path, say):
    from r2f.train import build
    settings = config.preset("r2f")
    model = build(settings)
    snapshots, stolen, lasted, gaps, refused = [], [], [], [], []
    saver = Saver(tmp_path)
    for step in range(1, 4):
        start = time.perf_counter()
        state = checkpoint.state_of(model)
        snapshots.append(time.perf_counter() - start)
        start, used = time.perf_counter(), time.process_time()
        saver.save(step, state)
        refused.append(time.perf_counter() - start)
        gap, last = 0.0, time.perf_counter()
        while saver.busy:
            time.sleep(0.001)
            gap, last = max(gap, time.perf_counter() - last), time.perf_counter()
        saver.flush()
        stolen.append(time.process_time() - used)
        lasted.append(time.perf_counter() - start)
        gaps.append(gap)
    size = sum(array.nbytes for array in state.values())
    stall = max(snapshots) + max(refused) + max(stolen) / os.cpu_count()  # on a CPU the training wants every core
    say(f"state of {len(state)} arrays, {size / 1e6:.0f} MB: copied in {min(snapshots):.2f}-{max(snapshots):.2f} s, written in "
        f"{min(lasted):.1f}-{max(lasted):.1f} s in the background with {min(stolen):.2f}-{max(stolen):.2f} s of processor time, "
        f"the training's thread kept waiting {1000 * max(gaps):.0f} ms at most; {stall:.1f} s a save, "
        f"{100 * stall / (60 * settings.checkpoint_minutes):.2f} % of {settings.checkpoint_minutes:.0f} minutes")
    assert size > 300e6
    assert stall < 0.01 * 60 * settings.checkpoint_minutes
    found = checkpoint.newest(tmp_path)[1]
    assert all(checkpoint.identical(found[name], state[name]) for name in state)
