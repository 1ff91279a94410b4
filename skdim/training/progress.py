"""Progress of a training: a bar in terminals and notebooks, lines in logs."""

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

from tqdm.auto import tqdm

from skdim.bounds import BOUNDS
from skdim.objectives import AbstractCriterion, Information

LOGGER = logging.getLogger("skdim")

# Seconds between two lines in a log.
BETWEEN_LINES = 10.0
# The expected time of a training of more than LONG seconds is logged, after MEASURED seconds.
LONG, MEASURED = 10.0, 1.0

# Bounds on mutual information, in nats.
IN_NATS = (BOUNDS["dv"], BOUNDS["infonce"], BOUNDS["kl"])


class Progress:
    """Show the progress of a training, and the time left.

    In terminals and notebooks, this is a bar of tqdm; elsewhere lines without control characters,
    at most one every ten seconds. A training of more than ten seconds logs its expected time on
    the logger "skdim", also if ``shown`` is False. ``total`` samples are encoded over all epochs.
    """

    def __init__(self, total: int, n_epochs: int, *, shown: bool) -> None:
        self.total = total
        self.n_epochs = n_epochs
        self.shown = shown
        self.done = self.epoch = 0
        self.text = ""
        self.started = self.last_line = time.perf_counter()
        self.announced = False
        self.bar: Any = None
        if shown and draws_bars():
            self.bar = tqdm(
                total=total, unit=" samples", unit_scale=True, file=sys.stdout, leave=False
            )

    def advance(self, n: int) -> None:
        """Count samples that were trained on."""
        self.done += n
        now = time.perf_counter()
        if not self.announced and now - self.started > MEASURED:
            self.announced = True
            self.announce((now - self.started) * self.total / max(self.done, 1))
        if self.bar is not None:
            self.bar.update(n)
        elif self.shown and now - self.last_line > BETWEEN_LINES:
            self.write(now)

    def announce(self, seconds: float) -> None:
        """Log the expected time of a long training."""
        if seconds > LONG:
            text = f"fit will take about {duration(seconds)}"
            LOGGER.info(text)
            if self.shown:
                self.print(text)

    def describe(self, text: str) -> None:
        """Set the text next to the bar: the number and the terms of the epoch that has ended."""
        self.epoch += 1
        self.text = f"epoch {self.epoch}/{self.n_epochs}, {text}"
        if self.bar is not None:
            self.bar.set_postfix_str(self.text, refresh=False)

    def write(self, now: float) -> None:
        """Print a line."""
        self.last_line = now
        share = min(self.done / max(self.total, 1), 1.0)
        left = (now - self.started) * (1 - share) / max(share, 1e-9)
        parts = [f"{share:.0%}", f"{duration(left)} left", self.text]
        self.print(", ".join(part for part in parts if part))

    def print(self, text: str) -> None:
        """Print a line above the bar, if there is one."""
        if self.bar is None:
            print(text, flush=True)
        else:
            self.bar.write(text, file=sys.stdout)

    def close(self) -> None:
        """Remove the bar, and print the last epoch and the total time."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        if self.shown and self.text:
            self.print(f"{self.text}, {duration(time.perf_counter() - self.started)}")


def draws_bars() -> bool:
    """Whether the standard output is a terminal or a notebook."""
    in_notebook = any("notebook" in kind.__module__ for kind in tqdm.__mro__)
    return in_notebook or sys.stdout.isatty()


def duration(seconds: float) -> str:
    """Format seconds as "0.4 s", "45 s", "3 min 20 s" or "2 h 5 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {rest} s"
    return f"{rest} s" if rest else f"{seconds:.1f} s"


def summary_of(criterion: AbstractCriterion, terms: Mapping[str, float]) -> str:
    """Describe an epoch by its terms of information, or else by the loss."""
    found = [
        f"{part.name} {-terms[part.name] / part.weight:.3f}" + " nats" * (part.bound in IN_NATS)
        for part in criterion.members()
        if isinstance(part, Information) and part.name in terms
    ]
    return ", ".join(found) or f"loss {terms.get('loss', sum(terms.values())):.4g}"
