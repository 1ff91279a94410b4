"""The closed form as an epoch of a net."""

import time
from typing import Any

from torch import Generator

from skdim.closed_form import Sums
from skdim.encoders import Basis
from skdim.inputs import Samples
from skdim.training.closed_form import (
    LookSums,
    Solution,
    find_basis,
    solve_for,
    sum_looks,
    weights_of,
)
from skdim.training.precision import computing_in
from skdim.training.progress import Progress, summary_of
from skdim.views import View

__all__ = ["SolvingMixin"]


class SolvingMixin:
    """Set a net's encoder and Gaussian critics by the closed form, in place of steps."""

    module_: Any
    criterion_: Any
    view: View
    precision: str
    look_sums: LookSums | None
    held_out: Samples | None
    progress: Progress
    # What a net has.
    notify: Any
    record: Any
    check_finite: Any
    get_iterator: Any
    run_single_epoch: Any
    validation_step: Any
    _set_training: Any

    def solve(self, rows: Samples, generator: Generator) -> Solution:
        """Set the encoder and its Gaussian critics by the closed form.

        Parameters
        ----------
        rows : Samples
            Samples; what earlier calls have summed is kept.
        generator : Generator
            Of the view.

        Returns
        -------
        Solution
        """
        self._set_training(False)
        self.look_sums = self.summed(rows, generator)
        return solve_for(self.module_, self.criterion_, self.look_sums)

    def run_closed_form(self, rows: Samples, generator: Generator) -> None:
        """Solve the closed form as one epoch, whose learning rate is 0.

        Its terms are minus the weighted information between looks, in nats.
        """
        started = time.perf_counter()
        self.notify("on_epoch_begin", dataset_train=rows, dataset_valid=self.held_out)
        found = self.solve(rows, generator)
        self.record(
            {
                **found.terms,
                "loss": sum(found.terms.values()),
                "spread": found.spread,
                "learning_rate": 0.0,
                "seconds": time.perf_counter() - started,
            }
        )
        self.progress.describe(summary_of(self.criterion_, found.terms))
        self.check_finite(found.terms)
        if self.held_out is not None:
            held_out = self.get_iterator(self.held_out)
            self.run_single_epoch(held_out, False, "valid", self.validation_step)
        self.notify("on_epoch_end", dataset_train=rows, dataset_valid=self.held_out)

    def summed(self, rows: Samples, generator: Generator) -> LookSums:
        """Sum over the looks at samples, beside what is known."""
        with computing_in(self.precision, rows.device):
            if self.look_sums is None:
                self.look_sums = LookSums(find_basis(self.module_, rows, generator), {})
            return self.look_sums + self.sums_of_all(rows, generator, self.look_sums.basis)

    def sums_of_all(self, rows: Samples, generator: Generator, basis: Basis) -> dict[str, Sums]:
        """Sum over the looks at all samples: here in this process alone."""
        names = weights_of(self.criterion_)
        advance = self.progress.advance
        return sum_looks(self.module_, self.view, rows, generator, basis, names, advance)
