"""What the tests of the trainer share: a run that nobody disturbed, and one model whose step is traced once."""

from dataclasses import replace
from pathlib import Path

from tiny import OPTIONS, TINY

from r2f import checkpoint, config, data
from r2f.run import Run

STEPS = TINY["steps"]


def start(path, drawn_folder, *more):
    from r2f import train
    return train.main(["--run", str(path), "--data", str(drawn_folder), *OPTIONS, *more])


def losses(path):
    """Metrics without what depends on the clock and the process."""
    other = ("pairs_per_second", "seconds", "memory_megabytes", "memory_now_megabytes", "gpu_megabytes", "measuring_seconds")
    return [{k: v for k, v in line.items() if k not in other} for line in Run(path).read_metrics()]


def final_digest(path):
    return checkpoint.verify(checkpoint.newest(Run(path).checkpoints)[0])["files"]


def state_at(path, step):
    return checkpoint.restore(Run(path).checkpoints / f"step_{step:08d}")


def different(state, other):
    """Names of the arrays that are not equal bit by bit."""
    assert set(state) == set(other)
    return [name for name in state if state[name].tobytes() != other[name].tobytes()]


class Machine:
    """One model whose step is traced once, to go on from many states."""

    def __init__(self, path: Path):
        from r2f import train
        self.settings = replace(config.from_json(Run(path).config.read_text()), sample_steps=0, milestone_steps=0)
        self.pictures = data.load_pictures(self.settings)
        self.model = train.build(self.settings)
        self.fresh = checkpoint.state_of(self.model)

    def built(self, settings):
        """In place of `train.build`: the model as new, without tracing its step again."""
        checkpoint.set_state(self.model, self.fresh)
        return self.model

    def go_on(self, path, state, step, batches=None, **changes):
        """Train from a state at a step to the end, in a run directory of its own; the recorder."""
        from r2f import recorder, train
        from r2f.ending import EndRequest
        from r2f.heartbeat import Heartbeat
        checkpoint.set_state(self.model, state)
        settings, run = replace(self.settings, **changes), Run(path)
        path.mkdir(exist_ok=True)
        with Heartbeat(run) as heartbeat:
            made = recorder.Recorder(run, settings, self.pictures, step, None, heartbeat, EndRequest())
            try:
                self.model.fit((batches or train.Batches)(self.pictures, settings, step), epochs=1, shuffle=False, verbose=0,
                               callbacks=[made])
            finally:
                made.saver.close()
        return made
