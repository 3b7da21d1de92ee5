"""How training tells how far it is, and how it is told to end."""

from __future__ import annotations

import os
import signal
import sys
from io import StringIO

import pytest

from training.fit import Progress, StopRequest
from training.progress import ProgressLine, describe


class Terminal(StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def progress(step: int = 7, ended: bool = False, accuracy: float | None = 0.9912) -> Progress:
    return Progress(
        network="quick",
        epoch=2,
        epochs=8,
        step=step,
        steps=429,
        loss=0.53,
        holdout_accuracy=accuracy,
        epoch_ended=ended,
        seconds_left=83,
    )


def test_a_line_tells_epoch_step_loss_holdout_accuracy_and_time_left() -> None:
    assert describe(progress()) == "quick  epoch 2/8  step   7/429  loss 0.5300  holdout 99.12%  1:23 left"
    assert "holdout      –" in describe(progress(accuracy=None))


def test_a_terminal_shows_one_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 0.05, 0.2, 0.25, 0.3])
    monkeypatch.setattr("training.progress.time.monotonic", lambda: next(now))
    out = Terminal()
    line = ProgressLine(out)
    for step in (1, 2, 3):
        line(progress(step))
    line(progress(429, ended=True))
    shown = out.getvalue().split("\r\033[K")[1:]
    assert [text.split("step")[1].split()[0] for text in shown] == ["2/429", "429/429"]
    assert [text.endswith("\n") for text in shown] == [False, True]


def test_elsewhere_it_is_plain_lines_one_an_epoch_and_every_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 10.0, 31.0, 32.0, 33.0])
    monkeypatch.setattr("training.progress.time.monotonic", lambda: next(now))
    out = StringIO()
    line = ProgressLine(out)
    for step in (1, 2, 3):
        line(progress(step))
    line(progress(429, ended=True))
    assert [text.split("step")[1].split()[0] for text in out.getvalue().splitlines()] == ["2/429", "429/429"]
    assert "\r" not in out.getvalue()
    assert "\033" not in out.getvalue()


def test_a_signal_before_training_ends_everything() -> None:
    with StopRequest().on_signals(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)


def test_the_first_signal_ends_training_and_the_second_everything(capfd: pytest.CaptureFixture[str]) -> None:
    stop = StopRequest()
    with stop.on_signals():
        stop.begin()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.reason == "SIGINT"
        assert "SIGINT: training ends with the best weights so far" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_second_signal_counts_also_where_its_exception_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: lost.append(raised.exc_type))
    stop = StopRequest()
    with stop.on_signals():
        stop.begin()
        os.kill(os.getpid(), signal.SIGINT)
        Finalized()
        for still_raises in (stop.elapsed_share, stop.end, stop.check):
            with pytest.raises(KeyboardInterrupt):
                still_raises()
    assert not lost, "a traceback on the terminal"


def test_what_else_finalizers_lose_is_still_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finalized:
        def __del__(self) -> None:
            raise ValueError

    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: lost.append(raised.exc_type))
    with StopRequest().on_signals():
        Finalized()
    Finalized()
    assert lost == [ValueError, ValueError]


def test_a_signal_before_training_whose_exception_is_lost_still_ends_everything() -> None:
    stop = StopRequest()
    with stop.on_signals():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        stop.begin()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            stop.check()


def test_a_signal_after_the_time_limit_is_the_first_one(capfd: pytest.CaptureFixture[str]) -> None:
    stop = StopRequest(limit_seconds=1e-9)
    with stop.on_signals():
        stop.begin()
        assert stop.elapsed_share() > 1
        stop.end()
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.reason == "the time limit of 1e-09 seconds"
    assert "SIGTERM: nearly done" in capfd.readouterr().err


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest().on_signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_without_a_limit_no_time_is_ever_over() -> None:
    stop = StopRequest()
    stop.begin()
    assert stop.elapsed_share() == 0
    assert stop.reason is None


def test_two_trainings_share_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("training.fit.time.monotonic", lambda: now)
    stop = StopRequest(limit_seconds=100)
    now = 50.0  # before training, no time runs
    stop.begin(until=0.4)
    now = 70.0
    assert stop.elapsed_share() == pytest.approx(0.5)
    now = 91.0
    assert stop.elapsed_share() > 1
    assert stop.reason == "the time limit of 100 seconds"
    stop.end()
    now = 100.0  # half of the whole time is left for the second one
    stop.begin()
    assert stop.reason is None
    now = 125.0
    assert stop.elapsed_share() == pytest.approx(0.5)
    assert stop.reason is None
    now = 150.0
    assert stop.elapsed_share() == pytest.approx(1)
    assert stop.reason == "the time limit of 100 seconds"


def test_a_second_training_without_any_time_left_is_over_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("training.fit.time.monotonic", lambda: now)
    stop = StopRequest(limit_seconds=100)
    stop.begin(until=0.4)
    now = 130.0
    stop.end()
    stop.begin()
    now = 131.0
    assert stop.elapsed_share() > 1
    assert stop.reason == "the time limit of 100 seconds"


def test_what_was_asked_for_holds_for_a_second_training_too() -> None:
    stop = StopRequest()
    with stop.on_signals():
        stop.begin(until=0.4)
        os.kill(os.getpid(), signal.SIGTERM)
        stop.end()
        stop.begin()
        assert (stop.asked_for, stop.reason) == (True, "SIGTERM")
