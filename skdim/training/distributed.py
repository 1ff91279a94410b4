"""One model on several processes: each encodes its share of a batch."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Generator as Reading
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from torch import Generator, Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from skdim.closed_form import Sums
from skdim.encoders import LAYERS, Basis, Features
from skdim.inputs import ArraySamples, Samples
from skdim.objectives import Batch
from skdim.training.net import EncoderNet
from skdim.training.processes import (
    GatherFeatures,
    add_up,
    ask_all,
    gather_rows,
    is_shared,
    sizes_of_parts,
    start_accelerate,
    tell_all,
)
from skdim.training.steps import Batches, Looks, Terms, computing_in

__all__ = ["AcceleratedNet", "Shares", "choose_net"]

# Samples that are compared over processes.
COMPARED_ROWS = 64


class Shares(Batches):
    """The batches of an epoch, of which this process reads its share.

    All processes have the same samples and draw the same order; ``own_generator`` seeds the reading
    of samples, which differ on each. The shares of a batch differ in size by at most one. ``x`` of
    a batch is the share; ``index`` and ``y`` are those of the whole batch. No share has a single
    sample, so that a batch may be larger than ``batch_size`` where this is below four samples per
    process. Raise a ValueError for fewer than two samples per process, in ``rows`` or in
    ``batch_size``.
    """

    def __init__(
        self,
        rows: Samples,
        batch_size: int,
        generator: Generator,
        own_generator: Generator,
        *,
        shuffle: bool,
        rank: int,
        n_processes: int,
    ) -> None:
        super().__init__(rows, batch_size, generator, shuffle=shuffle)
        self.own_generator = own_generator
        self.rank = rank
        self.n_processes = n_processes
        least = 2 * n_processes
        if min(batch_size, len(rows)) < least:
            raise ValueError(
                f"batch_size={batch_size} and {len(rows)} training samples are divided among "
                f"{n_processes} processes. Both must be at least {least}, two per process. Raise "
                "batch_size, which counts the samples of all processes, or launch fewer."
            )
        self.n_batches = min(self.n_batches, len(rows) // least)

    def read(self, indices: Sequence[Tensor]) -> Reading[Tensor, None, None]:
        """Read this process's share of each batch."""
        shares = [index.tensor_split(self.n_processes)[self.rank] for index in indices]
        # Reading is seeded by the state of the generator, which must differ in each epoch.
        torch.empty(1, device=self.own_generator.device).uniform_(generator=self.own_generator)
        return self.rows.read(shares, self.own_generator)


class AcceleratedNet(EncoderNet):
    """Train an encoder on several processes, with the result of one process.

    Each process encodes its share of each batch. Features are gathered, so that all processes
    compute the same loss from the whole batch, and the gradients of the weights are averaged.
    Outside of ``train``, the net of each process is independent of the others.
    """

    accelerator: Any
    averaged: tuple[nn.Module, nn.Module]

    def plan(self, callbacks: list[Any], settings: dict[str, Any]) -> None:
        """Set what may differ between trainings; only the first process prints."""
        quiet = {} if start_accelerate().is_main_process else {"verbose": 0}
        super().plan(callbacks, settings | quiet)

    def train(
        self,
        rows: Samples,
        held_out: Samples | None,
        *,
        epochs: int,
        generator: Generator,
        solving: bool = False,
    ) -> None:
        """Train together with the other processes; see :meth:`EncoderNet.train`.

        Raises
        ------
        ValueError
            If the samples differ between processes, or a weight has no gradient.
        """
        self.accelerator = start_accelerate()
        # Views of different samples would leave the common generator in different states.
        entropy = [generator.initial_seed(), self.accelerator.process_index]
        seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]) >> 1
        self.own_generator = Generator(device=generator.device).manual_seed(seed)
        self.averaged = self.module_, self.criterion_
        try:
            check_same_rows(rows)
            if epochs and not self.alone:
                self.averaged = averaging(self.module_), averaging(self.criterion_)
            with warnings.catch_warnings():
                # 1x1 kernels are equal in memory for both strides.
                warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
                super().train(rows, held_out, epochs=epochs, generator=generator, solving=solving)
        finally:
            # They must not be pickled.
            del self.accelerator, self.own_generator, self.averaged

    def get_iterator(self, dataset: Samples, training: bool = False) -> Batches:
        """Return shares of the training samples, and all held-out samples."""
        if not training:
            return super().get_iterator(dataset)
        return Shares(
            dataset,
            self.batch_size,
            self.generator,
            self.own_generator,
            shuffle=True,
            rank=self.accelerator.process_index,
            n_processes=self.accelerator.num_processes,
        )

    def sums_of_all(self, rows: Samples, generator: Generator, basis: Basis) -> dict[str, Sums]:
        """Return the sums over the looks of all samples, each process with its share."""
        n, rank = self.accelerator.num_processes, self.accelerator.process_index
        share = rows.part(np.arange(rank, len(rows), n))
        own = super().sums_of_all(share, self.own_generator, basis)
        if self.alone:
            return own
        return {
            name: part.map(lambda tensor: add_up(tensor, rows.device)) for name, part in own.items()
        }

    def run_single_epoch(
        self,
        iterator: Iterable[Batch] | None,
        training: bool,
        prefix: str,
        step_fn: Callable[..., dict[str, Tensor]],
        **fit_params: Any,
    ) -> None:
        """Run an epoch; then copy the running statistics of the first process."""
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if training and not self.alone:
            for buffer in [*self.module_.buffers(), *self.criterion_.buffers()]:
                torch.distributed.broadcast(buffer, src=0)

    @property
    def alone(self) -> bool:  # type: ignore[override]
        """Whether this process computes whole batches."""
        return bool(self.accelerator.num_processes == 1)

    def agree(self, means: dict[str, float]) -> dict[str, float]:
        """Return the means of the first process, which may be rounded differently on others."""
        return tell_all(means)

    def look(self, batch: Batch) -> tuple[Tensor, ...]:
        """Draw looks of the share of this process, from its own generator."""
        return super().look(replace(batch, generator=self.own_generator))

    def terms(self, batch: Batch, looks: Looks | None = None) -> Terms:
        """Encode looks at the own share; return the terms and the codes of the whole batch."""
        return self.compare(*self.averaged, looks or self.look(batch), batch)

    def compare(self, module: nn.Module, criterion: nn.Module, looks: Looks, batch: Batch) -> Terms:
        """Compute ``terms`` by a module and a criterion."""
        sizes = sizes_of_parts(len(batch.index), self.accelerator.num_processes)
        with computing_in(self.precision, batch.x.device):
            features: Features = module(torch.cat(looks))
            layers = [getattr(f, layer) for f in features.split(len(looks)) for layer in LAYERS]
            gathered = iter(GatherFeatures.apply(sizes, self.accelerator.process_index, *layers))
            encoded = [Features(*[next(gathered) for _ in LAYERS]) for _ in looks]
            whole = replace(batch, x=gather_rows(batch.x, sizes))
            return criterion(encoded, whole), encoded[0].code

    def on_grad_computed(
        self, net: NeuralNet, named_parameters: Iterable[tuple[str, Tensor]], **kwargs: Any
    ) -> None:
        """Raise a ValueError, in the first step, for weights without a gradient."""
        if self.step > 1 or self.alone:
            return
        idle = [
            name
            for name, weight in named_parameters
            if weight.requires_grad and weight.grad is None
        ]
        if idle:
            raise ValueError(
                f"The loss does not depend on these weights: {', '.join(idle)}. Training on "
                "several processes needs a gradient of every weight. Remove them, or call "
                "requires_grad_(False) on them."
            )


def choose_net(device: str | torch.device) -> type[EncoderNet]:
    """Return the class of the net: the one of several processes if ``device`` asks for it."""
    return AcceleratedNet if is_shared(device) else EncoderNet


def averaging(part: nn.Module) -> nn.Module:
    """Wrap a module such that the gradients of its weights, if any, are averaged."""
    learns = any(weight.requires_grad for weight in part.parameters())
    return DistributedDataParallel(part) if learns else part


def check_same_rows(rows: Samples) -> None:
    """Raise a ValueError, on all processes, if their samples differ.

    Of streams, whose samples may be random, only the number is compared.
    """
    size, n, rows = 0.0, len(rows), rows.single()
    if isinstance(rows, ArraySamples):
        size = rows[rows.evenly_spaced(COMPARED_ROWS)].cpu().double().abs().mean().item()
    given = ask_all((n, size))
    counts, sizes = zip(*given, strict=True)
    # Earlier computations may be rounded differently on each process.
    if len(set(counts)) > 1 or not np.allclose(sizes, sizes[0], rtol=1e-4):
        listed = ", ".join(f"{count} samples of mean size {size:.6g}" for count, size in given)
        raise ValueError(
            f"X differs between processes: {listed}. Pass all of X to fit on each process, which "
            "divides it itself."
        )
