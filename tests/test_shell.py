import sys
from pathlib import Path

import pytest

from r2f.shell import python


@pytest.mark.parametrize("executable,folder,typed", [
    ("/home/me/rime/.venv/bin/python", "/home/me/rime", ".venv/bin/python"),
    ("/usr/bin/python3", "/home/me/rime", "/usr/bin/python3"),
    ("/home/me/my rime/.venv/bin/python", "/home/me", "'my rime/.venv/bin/python'"),
])
def test_this_python_is_named_as_it_is_typed_in_the_working_directory(executable, folder, typed, monkeypatch):
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(Path, "cwd", lambda: Path(folder))
    assert python() == typed
