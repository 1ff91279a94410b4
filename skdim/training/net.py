"""A skorch net whose module is an encoder and whose criterion is an objective."""

import copy
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.utils import TeeGenerator
from torch import Generator, Tensor

from skdim.encoders import LAYERS, Features
from skdim.inputs import Samples
from skdim.objectives import Batch
from skdim.random import seeded, unlocked
from skdim.saving import mapped
from skdim.training.batches import Batches, mean_of
from skdim.training.closed_form import LookSums
from skdim.training.precision import computing_in, device_or_cpu
from skdim.training.progress import EpochLog, Progress, summary_of
from skdim.training.schedules import SCHEDULES
from skdim.training.solving import SolvingMixin
from skdim.training.stopping import StopTraining
from skdim.views import View

__all__ = ["EncoderNet"]

# A mean term beyond this is no bound on anything: training has left the road. Of terms that are
# sums, it is so many times the number of addends.
DIVERGED = 1e6

# Samples of which looks are scored at once.
SCORED_AT_ONCE = 64

GIVEN = ("module", "criterion")


class EncoderNet(SolvingMixin, NeuralNet):
    """Train an encoder by an objective.

    The encoder is skorch's module, the objective its criterion: criteria may have weights, and
    critics train along. Of skorch's loop, what reads a number back from the device in every
    batch is replaced: terms are kept as detached tensors and read once an epoch.

    Parameters
    ----------
    module : Module
        Samples to :class:`~skdim.encoders.Features`, standardisation included.
    criterion : AbstractCriterion
    view : View
        What is done to samples before encoding.
    **kwargs : Any
        Of :class:`skorch.NeuralNet`.

    Notes
    -----
    Callbacks receive ``on_train_begin``, ``on_train_end``, ``on_epoch_begin``, ``on_epoch_end``,
    ``on_batch_begin``, ``on_batch_end`` and ``on_grad_computed`` as in skorch. Batches are
    :class:`~skdim.objectives.Batch`; ``loss`` in ``on_batch_end`` is a tensor on the device;
    the history has no entries a batch; a closure-driven optimizer (LBFGS) cannot be used.
    """

    callbacks: Any
    callbacks_: list[Any]
    device: str
    optimizer_: Any
    verbose: int

    def __init__(self, module: Any, criterion: Any, *, view: View, **kwargs: Any) -> None:
        self.view = view
        self.schedule = "constant"
        self.precision = "float32"
        self.compiling: bool | str = False
        self.look_sums: LookSums | None = None
        super().__init__(module, criterion, train_split=None, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: each weight once, on the CPU.

        skorch keeps what it was given beside what it trains: here the same two modules. And it
        pickles what it trains by itself, which no other pickler then sees: cloudpickle could not
        take in classes that stand in no file.
        """
        if not self.initialized_:
            state: dict[str, Any] = super().__getstate__()
            return state
        state = {name: value for name, value in vars(self).items() if name not in GIVEN}
        if torch.device(self.device).type != "cpu":
            # At once, since the criterion may share modules with the encoder.
            copies = copy.deepcopy((self.module_, self.criterion_))
            state["module_"], state["criterion_"] = (part.cpu() for part in copies)
        if self.optimizer_ is not None:
            state["optimizer_"] = mapped(
                self.optimizer_.state_dict(),
                lambda leaf, _: leaf.detach().cpu() if isinstance(leaf, Tensor) else leaf,
            )
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take back what ``__getstate__`` gave, on the CPU where the device is not here."""
        if not state["initialized_"]:
            super().__setstate__(state)
            return
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
        """Return the callback that prints a line an epoch where ``verbose`` asks for it."""
        return [("print_log", EpochLog())]

    def plan(self, schedule: str, callbacks: list[Any], settings: dict[str, Any]) -> None:
        """Set what may differ from one training to the next.

        Parameters
        ----------
        schedule : str
            A name in ``SCHEDULES``.
        callbacks : list
            skorch callbacks of this training.
        settings : dict
            ``batch_size``, ``lr``, ``verbose``, ``precision``, ``compiling``.
        """
        self.schedule = schedule
        for name, value in settings.items():
            setattr(self, name, value)
        self.limit = DIVERGED * self.criterion_.n_summed
        self.callbacks = callbacks
        self.initialize_callbacks()

    def clear_callbacks(self) -> None:
        """Let the callbacks go: they are the user's, and need not be picklable."""
        self.callbacks = None
        self.callbacks_ = []

    # skorch has no public hook that leaves the optimizer out.
    def _initialize_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """Leave the optimizer to ``make_optimizer``: importing what it needs takes seconds."""
        self.optimizer_ = None
        return self

    def make_optimizer(self) -> None:
        """Make the optimizer where there is none."""
        if self.optimizer_ is None:
            verbose, self.verbose = self.verbose, 0  # It would print that it does so again.
            super()._initialize_optimizer()
            self.verbose = verbose

    def drop_state(self) -> None:
        """Delete what only more training needs: gradients and the state of the optimizer.

        With Adam, that is three times the weights. The sums of the closed form stay, so that
        ``partial_fit`` can add to them.
        """
        if self.optimizer_ is not None:
            self.optimizer_.zero_grad(set_to_none=True)
        self.optimizer_ = None

    def state(self) -> dict[str, Any]:
        """Weights and buffers of encoder and objective."""
        return {"module": self.module_.state_dict(), "criterion": self.criterion_.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Set weights and buffers from what ``state`` gave."""
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
        """Train for some epochs; unlike ``fit``, let Ctrl-C through.

        Parameters
        ----------
        rows : Samples
            Samples to train on.
        held_out : Samples or None
            Samples to score after each epoch.
        epochs : int
        generator : Generator
            Of shuffling, views, negatives and priors.
        solving : bool, default=False
            Whether to begin with the closed form; alone, without epochs, it counts as one.

        Raises
        ------
        FloatingPointError
            If a term of the loss, or what the encoder has come to give, is not finite or beyond
            all bounds.
        """
        # Held during the loop only: neither data nor generators belong in a pickle.
        self.held_out, self.generator = held_out, generator
        n_epochs = max(epochs, 1)
        self.progress = Progress(n_epochs * len(rows), n_epochs, shown=self.verbose == 1)
        n_batches = len(self.get_iterator(rows, training=True))
        self.step, self.n_steps = 0, epochs * n_batches
        if epochs:
            self.make_optimizer()
        n_before = len(self.history)
        self.weigh = self.compiled(self.terms, rows.device) if epochs else self.terms
        self.notify("on_train_begin", X=rows, y=None)
        try:
            # Less, where a checkpoint was taken up.
            if solving and len(self.history) == n_before:
                (self.solve if epochs else self.run_closed_form)(rows, generator)
            self.fit_loop(rows, epochs=(self.n_steps - self.step) // n_batches)
        except StopTraining:
            pass
        finally:
            self.progress.close()
            del self.held_out, self.generator, self.weigh, self.progress
            self._set_training(False)
            # An epoch that was interrupted has no loss.
            if len(self.history) and "loss" not in self.history[-1]:
                self.history.pop()
        self.notify("on_train_end", X=rows, y=None)
        self.check_encoder(rows)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks, which may wait for those of other trainings."""
        with unlocked():
            super().notify(method_name, **kwargs)

    def record(self, values: dict[str, float]) -> None:
        """Write values into the history of this epoch."""
        for name, value in values.items():
            self.history.record(name, value)

    def compiled(self, run: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
        """Return a function as it is, or compiled if that was asked for."""
        mode = self.compiling
        if not mode:
            return run
        if not isinstance(mode, str):
            # Small networks are bound by the launches of their kernels: CUDA graphs launch them
            # all at once.
            mode = "reduce-overhead" if device.type == "cuda" else "default"
        # Batches have one of two sizes; a step for each is faster than one for any.
        return torch.compile(run, dynamic=False, mode=mode)

    def get_split_datasets(
        self, X: Samples, y: Any = None, **fit_params: Any
    ) -> tuple[Samples, Samples | None]:
        """Hand skorch the rows to train on and those held out."""
        return X, self.held_out

    def get_iterator(self, dataset: Samples, training: bool = False) -> Batches:
        """Index whole tensors instead of loading sample by sample."""
        return Batches(dataset, self.batch_size, self.generator, shuffle=training)

    def run_single_epoch(
        self,
        iterator: Iterable[Batch] | None,
        training: bool,
        prefix: str,
        step_fn: Callable[..., dict[str, Tensor]],
        **fit_params: Any,
    ) -> None:
        """Run an epoch and write its means into the history; see skorch."""
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
        ratios = {name for name, value in steps[0].items() if value.ndim}
        self.record(means)
        if training:
            self.history.record("learning_rate", self.optimizer_.param_groups[0]["lr"])
            self.history.record("seconds", time.perf_counter() - started)
            self.progress.describe(summary_of(self.criterion_, means))
        # A ratio may have no number: nothing was counted.
        terms = {name: mean for name, mean in means.items() if name not in ratios}
        self.check_finite(terms, self.limit)

    def agree(self, means: dict[str, float]) -> dict[str, float]:
        """Return the means to decide by: here those of the one process that trains."""
        return means

    @torch.no_grad()
    def check_encoder(self, rows: Samples) -> None:
        """Check the encoder after the last step: no loss was computed after it."""
        self._set_training(False)
        features = self.module_(rows[rows.numbers[: self.batch_size]])
        finite = torch.stack([getattr(features, layer).isfinite().all() for layer in LAYERS])
        largest = features.code.abs().amax()
        self.check_finite({"largest code": largest.where(finite.all(), math.nan).item()})

    def check_finite(self, means: dict[str, float], limit: float = DIVERGED) -> None:
        """Stop a training that has diverged, before its features are used."""
        strange = {name: mean for name, mean in means.items() if not abs(mean) < limit}
        if strange:
            raise FloatingPointError(
                f"Training diverged in epoch {len(self.history)}: "
                + ", ".join(f"{name} = {value:g}" for name, value in strange.items())
                + f", at a learning rate of {self.lr:g}. Lower learning_rate, or look for extreme "
                "values in X."
            )

    def train_step(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor]:
        """Take one optimizer step.

        Returns
        -------
        dict of str to Tensor of shape () or (2,)
            Each term, what objectives noted, the sum ``loss`` of the terms and the ``spread`` of
            the codes, all detached.
        """
        factor = SCHEDULES[self.schedule](self.step / self.n_steps)
        self.step += 1
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr * factor
        self.optimizer_.zero_grad(set_to_none=True)
        looks = self.look(batch)
        with computing_in(self.precision, batch.x.device):
            terms, code = self.weigh(torch.cat(looks), len(looks), batch)
        loss = torch.stack(list(terms.values())).sum()
        loss.backward()
        # A plain generator would be empty for the second callback that reads it.
        named = TeeGenerator(self.get_all_learnable_params())
        self.notify("on_grad_computed", named_parameters=named, batch=batch, training=True)
        self.optimizer_.step()
        spread = code.detach().float().std(dim=0).mean()
        recorded = {**terms, **batch.notes, "loss": loss, "spread": spread}
        # One new tensor for all: what a compiled step gives is overwritten by the next one.
        values = torch.cat([value.detach().reshape(-1) for value in recorded.values()])
        parts = values.split([value.numel() for value in recorded.values()])
        return {
            name: part.reshape(value.shape)
            for (name, value), part in zip(recorded.items(), parts, strict=True)
        }

    def look(self, batch: Batch) -> tuple[Tensor, ...]:
        """Draw looks at the samples of a batch."""
        return self.view(batch.x.float(), batch.generator)

    def terms(self, x: Tensor, n_looks: int, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Encode all looks in one pass; give the terms, and the codes of the first look."""
        features: Features = self.module_(x)
        looks, batch = self.gather(features.split(n_looks), batch)
        return self.criterion_(looks, batch), looks[0].code

    def gather(self, looks: list[Features], batch: Batch) -> tuple[list[Features], Batch]:
        """Return what the objective is computed from: the whole batch, as one process trains."""
        return looks, batch

    @torch.no_grad()
    def validation_step(self, batch: Batch, **fit_params: Any) -> dict[str, Tensor]:
        """Score held-out samples as they are, or looks at them if the objective asks for looks."""
        criterion = self.criterion_
        if not criterion.scores_looks:
            return {"validation_score": criterion.score(self.module_(batch.x), batch)}
        # Not ``look``, by which each of several processes looks at its own share.
        looks = self.view(batch.x.float(), batch.generator)
        features: Features = self.module_(torch.cat(looks))
        return {"validation_score": criterion.score_looks(features.split(len(looks)), batch)}

    def score_rows(self, rows: Samples, seed: int) -> float | None:
        """Score samples, batch by batch; the same number for the same seed.

        Returns
        -------
        float or None
            None if the objective measures nothing.
        """
        generator = Generator(device=rows.device).manual_seed(seed)
        # Where looks are drawn, they are the same for any batch size.
        size = SCORED_AT_ONCE if self.criterion_.scores_looks else self.batch_size
        batches = Batches(rows, size, generator, shuffle=False)
        steps, sizes = [], []
        with seeded(seed, rows.device):
            for batch in batches:
                steps.append(self.validation_step(batch))
                sizes.append(len(batch.index))
        if steps[0]["validation_score"] is None:
            return None
        return mean_of(steps, sizes)["validation_score"]
