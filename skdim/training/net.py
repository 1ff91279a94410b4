"""A skorch net that trains an encoder, by gradients or by the closed form."""

import copy
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, PrintLog
from skorch.utils import TeeGenerator
from torch import Generator, Tensor, nn

from skdim.closed_form import Sums
from skdim.devices import device_or_cpu
from skdim.encoders import LAYERS, Basis, Features
from skdim.inputs import Samples
from skdim.objectives import AbstractCriterion, Batch
from skdim.random import seeded, unlocked
from skdim.saving import mapped
from skdim.training.callbacks import StopTraining
from skdim.training.closed_form import LookSums, find_basis, solve_for, sum_looks, weights_of
from skdim.training.progress import Progress, summary_of
from skdim.training.steps import (
    SCHEDULES,
    Batches,
    Looks,
    Schedule,
    Terms,
    compile_terms,
    computing_in,
    mean_of,
)
from skdim.views import View

# Training has diverged if a mean term is larger; sums are divided by the number of addends.
DIVERGED = 1e6

# Samples whose looks are scored at once.
SCORED_AT_ONCE = 64
GIVEN = ("module", "criterion")

# Settings of a training: names in the net, and as parameters of estimators.
SETTINGS = {
    "batch_size": "batch_size",
    "lr": "learning_rate",
    "verbose": "verbose",
    "precision": "precision",
    "compiling": "compile",
    "schedule": "schedule",
}


class EncoderNet(NeuralNet):
    """Train an encoder together with a criterion.

    The parts of skorch's loop that read numbers from the device in every batch are replaced: terms
    are stored as detached tensors and read once per epoch.

    Parameters
    ----------
    module : Module
        Maps samples to :class:`~skdim.encoders.Features`, standardisation included.
    criterion : AbstractCriterion
    view : View
        Applied to samples before encoding.
    **kwargs : Any
        Parameters of :class:`skorch.NeuralNet`.

    Notes
    -----
    Callbacks receive all events of skorch. Batches are :class:`~skdim.objectives.Batch`; ``loss``
    in ``on_batch_end`` is a tensor on the device; the history has no entries per batch. Optimizers
    with closures (LBFGS) cannot be used.
    """

    # Whether there is only this process.
    is_single = True
    callbacks: Any
    callbacks_: list[Any]
    device: str
    optimizer_: Any
    verbose: int

    def __init__(
        self, module: nn.Module, criterion: AbstractCriterion, *, view: View, **kwargs: Any
    ) -> None:
        self.view = view
        self.schedule: str | Schedule = "constant"
        self.precision = "float32"
        self.compiling: bool | str = False
        self.look_sums: LookSums | None = None
        super().__init__(module, criterion, train_split=None, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickling: each weight once, on the CPU."""
        # skorch would pickle modules twice, and cannot pickle classes that cloudpickle can.
        state = {name: value for name, value in vars(self).items() if name not in GIVEN}
        if torch.device(self.device).type != "cpu":
            # Together, since the criterion may share modules with the encoder.
            copies = copy.deepcopy((self.module_, self.criterion_))
            state["module_"], state["criterion_"] = (part.cpu() for part in copies)
        if self.optimizer_ is not None:
            state["optimizer_"] = mapped(
                self.optimizer_.state_dict(),
                lambda leaf, _: leaf.detach().cpu() if isinstance(leaf, Tensor) else leaf,
            )
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, on the CPU if the device is not available."""
        self.__dict__.update(state)
        for name in GIVEN:
            setattr(self, name, getattr(self, f"{name}_"))
        if torch.device(self.device).type != "cpu":
            self.device = str(device_or_cpu(self.device))
            self.module_.to(self.device)
            self.criterion_.to(self.device)
        if self.optimizer_ is not None:
            optimizer, self.optimizer_ = self.optimizer_, None
            self.make_optimizer()
            self.optimizer_.load_state_dict(optimizer)

    def get_default_callbacks(self) -> list[tuple[str, Callback]]:
        """Return a callback that prints epochs if ``verbose`` is above 1."""
        return [("print_log", PrintLog())] if self.verbose > 1 else []

    def plan(self, callbacks: list[Any], settings: dict[str, Any]) -> None:
        """Set the callbacks and the settings (names of SETTINGS) of the next training."""
        for name, value in settings.items():
            setattr(self, name, value)
        self.limit = DIVERGED * self.criterion_.n_summed
        self.callbacks = callbacks
        self.initialize_callbacks()

    def clear_callbacks(self) -> None:
        """Delete the callbacks and a user's schedule, which need not be picklable."""
        self.callbacks = None
        self.callbacks_ = []
        self.schedule = self.schedule if isinstance(self.schedule, str) else "constant"

    # skorch has no public method for this.
    def _initialize_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """Leave the optimizer to ``make_optimizer``, whose imports take seconds."""
        self.optimizer_ = None
        return self

    def make_optimizer(self) -> None:
        """Build the optimizer if there is none."""
        if self.optimizer_ is None:
            verbose, self.verbose = self.verbose, 0  # skorch would print a message.
            super()._initialize_optimizer()
            self.verbose = verbose

    def drop_state(self) -> None:
        """Delete gradients and the optimizer; sums of the closed form stay for ``partial_fit``."""
        if self.optimizer_ is not None:
            self.optimizer_.zero_grad(set_to_none=True)
        self.optimizer_ = None

    def state(self) -> dict[str, Any]:
        """Return the weights and buffers of encoder and criterion."""
        return {"module": self.module_.state_dict(), "criterion": self.criterion_.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Set weights and buffers to a result of ``state``."""
        self.module_.load_state_dict(state["module"])
        self.criterion_.load_state_dict(state["criterion"])

    def train(
        self,
        rows: Samples,
        held_out: Samples | None,
        *,
        epochs: int,
        generator: Generator,
        solving: bool = False,
    ) -> None:
        """Train for some epochs; unlike ``fit`` of skorch, raise KeyboardInterrupt.

        Parameters
        ----------
        rows : Samples
        held_out : Samples or None
            Samples to score after each epoch.
        epochs : int
        generator : Generator
            Source of the draws of shuffling, views, negatives and priors.
        solving : bool, default=False
            Whether to start with the closed form, which counts as an epoch if ``epochs`` is 0.

        Raises
        ------
        FloatingPointError
            If a term of the loss or a code is not finite or too large.
        """
        # Deleted afterwards, since data and generators must not be pickled.
        self.held_out, self.generator = held_out, generator
        n_epochs = max(epochs, 1)
        self.progress = Progress(n_epochs * len(rows), n_epochs, shown=self.verbose == 1)
        n_batches = len(self.get_iterator(rows, training=True))
        self.step, self.n_steps = 0, epochs * n_batches
        if epochs:
            self.make_optimizer()
        n_before = len(self.history)
        compiling = self.compiling and epochs
        self.compute_terms = compile_terms(self, rows.device) if compiling else self.terms
        self.notify("on_train_begin", X=rows, y=None)
        try:
            # The history is longer, and the steps are fewer, if a callback resumed a training.
            if solving and len(self.history) == n_before:
                (self.solve if epochs else self.run_closed_form)(rows, generator)
            self.fit_loop(rows, epochs=(self.n_steps - self.step) // n_batches)
        except StopTraining:
            pass
        finally:
            self.progress.close()
            del self.held_out, self.generator, self.compute_terms, self.progress
            self._set_training(False)
            # An interrupted epoch has no loss.
            if len(self.history) and "loss" not in self.history[-1]:
                self.history.pop()
        self.notify("on_train_end", X=rows, y=None)
        self.check_encoder(rows)

    def solve(self, rows: Samples, generator: Generator) -> tuple[dict[str, float], float]:
        """Set encoder and criterion by the closed form of all samples so far; see ``solve_for``."""
        self._set_training(False)
        with computing_in(self.precision, rows.device):
            if self.look_sums is None:
                self.look_sums = LookSums(find_basis(self.module_, self.view, rows, generator), {})
            self.look_sums += self.sum_all_looks(rows, generator, self.look_sums.basis)
        return solve_for(self.module_, self.criterion_, self.look_sums)

    def sum_all_looks(self, rows: Samples, generator: Generator, basis: Basis) -> dict[str, Sums]:
        """Return the sums over the looks of all samples."""
        names, advance = weights_of(self.criterion_), self.progress.advance
        return sum_looks(self.module_, self.view, rows, generator, basis, names, advance)

    def run_closed_form(self, rows: Samples, generator: Generator) -> None:
        """Solve the closed form as one epoch, with a learning rate of 0."""
        started = time.perf_counter()
        self.notify("on_epoch_begin", dataset_train=rows, dataset_valid=self.held_out)
        terms, spread = self.solve(rows, generator)
        values = {**terms, "loss": sum(terms.values()), "spread": spread, "learning_rate": 0.0}
        self.history[-1].update(values, seconds=time.perf_counter() - started)
        self.progress.describe(summary_of(self.criterion_, terms))
        self.check_finite(terms)
        held_out = None if self.held_out is None else self.get_iterator(self.held_out)
        self.run_single_epoch(held_out, False, "valid", self.validation_step)
        self.notify("on_epoch_end", dataset_train=rows, dataset_valid=self.held_out)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks, which may wait for other threads that train."""
        with unlocked():
            super().notify(method_name, **kwargs)

    def get_split_datasets(
        self, X: Samples, y: Any = None, **fit_params: Any
    ) -> tuple[Samples, Samples | None]:
        """Return the samples to train on and those held out."""
        return X, self.held_out

    def get_iterator(self, dataset: Samples, training: bool = False) -> Batches:
        """Return the batches of an epoch."""
        return Batches(dataset, self.batch_size, self.generator, shuffle=training)

    def run_single_epoch(
        self,
        iterator: Iterable[Batch] | None,
        training: bool,
        prefix: str,
        step_fn: Callable[..., dict[str, Tensor]],
        **fit_params: Any,
    ) -> None:
        """Run an epoch and record its means in the history."""
        if iterator is None:
            return
        started = time.perf_counter()
        self._set_training(training)
        steps, sizes = [], []
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            self.notify("on_batch_end", batch=batch, training=training, **step)
            steps.append(step)
            sizes.append(len(batch.index))
            if training:
                self.progress.advance(len(batch.index))
        means = self.agree(mean_of(steps, sizes))
        self.history[-1].update(means)
        if training:
            self.history.record("learning_rate", self.optimizer_.param_groups[0]["lr"])
            self.history.record("seconds", time.perf_counter() - started)
            self.progress.describe(summary_of(self.criterion_, means))
        # Ratios may be NaN: the count may be 0.
        terms = {name: means[name] for name, value in steps[0].items() if value.ndim == 0}
        self.check_finite(terms, self.limit)

    def agree(self, means: dict[str, float]) -> dict[str, float]:
        """Return the means on which all processes agree."""
        return means

    @torch.no_grad()
    def check_encoder(self, rows: Samples) -> None:
        """Raise a FloatingPointError if the codes are not finite or too large."""
        self._set_training(False)
        rows = rows.single()
        features = self.module_(rows[rows.numbers[: self.batch_size]])
        finite = torch.stack([getattr(features, layer).isfinite().all() for layer in LAYERS])
        largest = features.code.abs().amax()
        self.check_finite({"largest code": largest.where(finite.all(), math.nan).item()})

    def check_finite(self, means: dict[str, float], limit: float = DIVERGED) -> None:
        """Raise a FloatingPointError if a value is not finite or too large."""
        diverged = {name: mean for name, mean in means.items() if not abs(mean) < limit}
        if diverged:
            raise FloatingPointError(
                f"Training diverged in epoch {len(self.history)}: "
                + ", ".join(f"{name} = {value:g}" for name, value in diverged.items())
                + f", at a learning rate of {self.lr:g}. Lower learning_rate, or check X for "
                "extreme values."
            )

    def train_step(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor]:
        """Take one optimizer step.

        Returns
        -------
        dict of str to Tensor of shape () or (2,)
            Terms, notes of the batch, ``loss`` (sum of the terms) and ``spread`` (of the codes),
            all detached.
        """
        schedule = SCHEDULES[self.schedule] if isinstance(self.schedule, str) else self.schedule
        factor = schedule(self.step / self.n_steps)
        self.step += 1
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr * factor
        self.optimizer_.zero_grad(set_to_none=True)
        terms, code = self.compute_terms(batch)
        loss = torch.stack(list(terms.values())).sum()
        loss.backward()
        named = TeeGenerator(self.get_all_learnable_params())  # For several callbacks.
        self.notify("on_grad_computed", named_parameters=named, batch=batch, training=True)
        self.optimizer_.step()
        spread = code.detach().float().std(dim=0).mean()
        recorded = {**terms, **batch.notes, "loss": loss, "spread": spread}
        # A copy: the next compiled step overwrites the results of this one.
        values = torch.cat([value.detach().reshape(-1) for value in recorded.values()])
        parts = values.split([value.numel() for value in recorded.values()])
        return {
            name: part.reshape(value.shape)
            for (name, value), part in zip(recorded.items(), parts, strict=True)
        }

    def look(self, batch: Batch) -> tuple[Tensor, ...]:
        """Draw looks at the samples of a batch."""
        samples = batch.x if batch.looks is None else batch.looks
        return self.view(samples.float(), batch.generator)

    def terms(self, batch: Batch, looks: Looks | None = None) -> Terms:
        """Return the terms, and the codes of the first look; looks are drawn if None."""
        return self.compare(self.module_, self.criterion_, looks or self.look(batch), batch)

    def compare(self, module: nn.Module, criterion: nn.Module, looks: Looks, batch: Batch) -> Terms:
        """Compute ``terms`` by a module and a criterion."""
        with computing_in(self.precision, batch.x.device):
            features: Features = module(torch.cat(looks))
            encoded, batch = self.gather(features.split(len(looks)), batch)
            return criterion(encoded, batch), encoded[0].code

    def gather(self, looks: Sequence[Features], batch: Batch) -> tuple[Sequence[Features], Batch]:
        """Return the features and the samples of the whole batch: here the given ones."""
        return looks, batch

    @torch.no_grad()
    def validation_step(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor]:
        """Score held-out samples, or looks if these are given or the criterion scores them."""
        criterion = self.criterion_
        if batch.looks is None and not criterion.scores_looks:
            return {"validation_score": criterion.score(self.module_(batch.x), batch)}
        looks = EncoderNet.look(self, batch)  # Other classes have a generator for each process.
        features = self.module_(torch.cat(looks)).split(len(looks))
        return {"validation_score": criterion.score_looks(features, batch)}

    def score_rows(self, rows: Samples, seed: int) -> float | None:
        """Return the score of samples, with all draws seeded; None if the criterion has none."""
        generator = Generator(device=rows.device).manual_seed(seed)
        # Drawn looks do not depend on the batch size of the training.
        size = SCORED_AT_ONCE if self.criterion_.scores_looks else self.batch_size
        # All samples are compared with equally many.
        overlap = self.criterion_.compares_samples
        batches = Batches(rows, size, generator, shuffle=False, overlap=overlap)
        sizes = [len(numbers) for numbers in batches.indices()]
        with seeded(seed, rows.device):
            steps = [self.validation_step(batch) for batch in batches]
        if steps[0]["validation_score"] is None:
            return None
        return mean_of(steps, sizes)["validation_score"]
