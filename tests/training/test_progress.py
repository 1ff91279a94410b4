"""The display of progress: lines without control characters in logs, a bar in terminals."""

import logging

import pytest

from skdim.training import progress
from skdim.training.progress import Progress, duration


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is moved."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (0.4, "0.4 s"), (9.6, "10 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_in_words(seconds, text):
    assert duration(seconds) == text


def test_lines_come_every_ten_seconds_with_what_is_left(clock, capsys):
    shown = Progress(1000, 4, shown=True)
    for step in range(1, 21):
        clock(2.0)
        shown.advance(20)
        if step == 10:
            shown.describe("bound 3.2 nats")
    shown.close()

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "fit will take about 1 min 40 s"
    assert lines[1] == "12%, 1 min 28 s left"
    assert lines[2] == "24%, 1 min 16 s left, epoch 1/4, bound 3.2 nats"
    assert lines[-1] == "epoch 1/4, bound 3.2 nats, 40 s"
    assert not any("\r" in line or "\x1b" in line for line in lines)


def test_short_trainings_print_their_end_only(clock, capsys):
    shown = Progress(100, 1, shown=True)
    clock(3.0)
    shown.advance(100)
    shown.describe("loss 0.5")
    shown.close()

    assert capsys.readouterr().out == "epoch 1/1, loss 0.5, 3 s\n"


def test_nothing_is_printed_if_nothing_is_to_be_shown(clock, capsys, caplog):
    hidden = Progress(1000, 1, shown=False)
    with caplog.at_level(logging.INFO, logger="skdim"):
        clock(2.0)
        hidden.advance(10)
        hidden.describe("loss 0.5")
        hidden.close()

    assert capsys.readouterr() == ("", "")
    assert caplog.messages == ["fit will take about 3 min 20 s"]


def test_terminals_have_a_bar(clock, capsys, monkeypatch):
    monkeypatch.setattr(progress, "draws_bars", lambda: True)
    shown = Progress(100, 2, shown=True)
    shown.describe("bound 3.2 nats")
    shown.advance(50)
    shown.bar.refresh()
    shown.close()

    printed = capsys.readouterr().out
    assert "50%" in printed
    assert "epoch 1/2, bound 3.2 nats" in printed
