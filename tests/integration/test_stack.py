"""The laptop stack: what becomes of the training that it starts."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from local.stack import run_training


def test_ctrl_c_in_the_demo_leaves_training_to_end_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stands for a training that goes on to export after the first Ctrl-C.
    training = tmp_path / "python"
    training.write_text('#!/bin/sh\ntrap \'\' INT\nsleep 1\ntouch "$(dirname "$0")/written"\n')
    training.chmod(0o755)
    monkeypatch.setattr("local.stack.sys.executable", str(training))
    ctrl_c = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    ctrl_c.start()
    run_training("train")
    ctrl_c.join()
    assert (tmp_path / "written").exists()
