"""This Python as a person types it, for sentences that are copied to a command line. Knows nothing about what is run."""

import shlex
import sys
from pathlib import Path


def python() -> str:
    """The path of this Python, from the working directory where it lies in it; quoted for a shell."""
    path = Path(sys.executable)
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))
