"""Stands in for the trainer in tests of the runner: what it does to the run directory is what `train` does, without Keras.

It takes the run's lock by the same call, writes the same status and metrics, and ends on a stop request and on SIGTERM with the
same states and exit codes, so that whatever the runner promises about it holds for the trainer. Started as
`python standin.py r2f.train --run=DIR [options]`; the second word is what a trainer's command line has, too.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from r2f.run import Run, RunBusy, write_json  # noqa: E402

COMMAND = (sys.executable, __file__, "r2f.train")
STEP_SECONDS = 0.01


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--x-fail", help="print this sentence and end with exit code 2")
    parser.add_argument("--x-deaf", action="store_true", help="mind neither a stop request nor SIGTERM")
    parser.add_argument("--x-deaf-to-requests", action="store_true", help="mind no stop request")
    parser.add_argument("--x-print", type=int, default=0, help="lines printed at every step")
    parser.add_argument("--x-step-seconds", type=float, default=STEP_SECONDS, help="how long a step takes")
    parser.add_argument("--x-environment", action="store_true", help="print the environment")
    options = parser.parse_known_args()[0]
    run, signals = Run(options.run), []
    if options.x_fail:
        print(options.x_fail, file=sys.stderr)
        return 2
    if options.x_environment:
        print(json.dumps(dict(os.environ)))
    try:
        with run.locked():
            run.stop.unlink(missing_ok=True)
            signal.signal(signal.SIGTERM, (lambda *_: None) if options.x_deaf else (lambda number, _: signals.append(number)))
            write_json(run.config, {"steps": options.steps})
            with open(run.path / "held", "a") as file:  # how often it ran, and by whom
                file.write(f"{os.getpid()}\n")
            step = run.read_status().get("step", 0) if options.resume else 0
            kept = {name: value for name, value in run.read_status().items() if name not in ("exit_code", "ended")}
            values = dict(kept, total_steps=options.steps, pid=os.getpid(), started=time.time(), device="stand-in",
                          pairs_per_second=100.0, eta_seconds=1.0)
            state, reason = "finished", "finished"
            while step < options.steps:
                step += 1
                time.sleep(options.x_step_seconds)
                run.append_metrics(step=step, loss=1 / step, pairs_per_second=100.0, seconds=step / 100)
                run.write_status(**{**values, "state": "training", "step": step, "reason": None})
                for number in range(options.x_print):
                    print(f"line {number} of step {step}: " + "x" * 80)
                if signals or run.stop.exists() and not (options.x_deaf or options.x_deaf_to_requests):
                    state, reason = "stopped", "stopped by SIGTERM" if signals else "stopped on request"
                    break
            (run.checkpoints / f"step_{step:08d}").mkdir(parents=True, exist_ok=True)
            run.write_status(**{**values, "state": state, "step": step, "reason": reason})
    except RunBusy as error:
        print(error, file=sys.stderr)
        return 75
    return 128 + signals[0] if signals else 0


if __name__ == "__main__":
    sys.exit(main())
