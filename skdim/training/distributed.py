"""One model on several processes: each encodes its share of a batch."""

import warnings
from collections.abc import Generator as Reading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from skorch import NeuralNet
from torch import Generator, Tensor, nn
from torch.nn.functional import pad
from torch.nn.parallel import DistributedDataParallel

from skdim.closed_form import Sums
from skdim.devices import start_accelerate
from skdim.encoders import LAYERS, Basis, Features
from skdim.inputs import ArraySamples, Samples
from skdim.objectives import Batch
from skdim.training.net import EncoderNet
from skdim.training.steps import Batches, Looks, Terms

# Samples that are compared over processes.
COMPARED_ROWS = 64

Value = TypeVar("Value")


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
        rank: int,
        n_processes: int,
    ) -> None:
        super().__init__(rows, batch_size, generator, shuffle=True)
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
        """Set callbacks and settings of the next training; only the first process prints."""
        quiet = {} if start_accelerate().is_main_process else {"verbose": 0}
        super().plan(callbacks, settings | quiet)

    def train(
        self,
        rows: Samples,
        held_out: Samples | None,
        *,
        epochs: int,
        generator: Generator,
        **kwargs: Any,
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
            if epochs and not self.is_single:
                self.averaged = averaging(self.module_), averaging(self.criterion_)
            with warnings.catch_warnings():
                # 1x1 kernels are equal in memory for both strides.
                warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
                super().train(rows, held_out, epochs=epochs, generator=generator, **kwargs)
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
            rank=self.accelerator.process_index,
            n_processes=self.accelerator.num_processes,
        )

    def sum_all_looks(self, rows: Samples, generator: Generator, basis: Basis) -> dict[str, Sums]:
        """Return the sums over the looks of all samples, each process with its share."""
        n, rank = self.accelerator.num_processes, self.accelerator.process_index
        share = rows.part(np.arange(rank, len(rows), n))
        own = super().sum_all_looks(share, self.own_generator, basis)
        if self.is_single:
            return own
        return {
            name: part.map(lambda tensor: sum_over_processes(tensor, rows.device))
            for name, part in own.items()
        }

    def run_single_epoch(
        self, iterator: Iterable[Batch] | None, training: bool, *args: Any, **kwargs: Any
    ) -> None:
        """Run an epoch; then copy the running statistics of the first process."""
        super().run_single_epoch(iterator, training, *args, **kwargs)
        if training and not self.is_single:
            for buffer in [*self.module_.buffers(), *self.criterion_.buffers()]:
                torch.distributed.broadcast(buffer, src=0)

    @property
    def is_single(self) -> bool:  # type: ignore[override]
        """Whether there is only this process."""
        return bool(self.accelerator.num_processes == 1)

    def agree(self, means: dict[str, float]) -> dict[str, float]:
        """Return the means of the first process, which may be rounded differently on others."""
        return broadcast_value(means)

    def look(self, batch: Batch) -> tuple[Tensor, ...]:
        """Draw looks of the share of this process, from its own generator."""
        return super().look(replace(batch, generator=self.own_generator))

    def terms(self, batch: Batch, looks: Looks | None = None) -> Terms:
        """Encode looks at the own share; return the terms and the codes of the whole batch."""
        return self.compare(*self.averaged, looks or self.look(batch), batch)

    def gather(self, looks: Sequence[Features], batch: Batch) -> tuple[Sequence[Features], Batch]:
        """Return the features and the samples of the whole batch."""
        sizes = sizes_of_parts(len(batch.index), self.accelerator.num_processes)
        layers = [getattr(look, layer) for look in looks for layer in LAYERS]
        gathered = iter(GatherFeatures.apply(sizes, self.accelerator.process_index, *layers))
        whole = [Features(*[next(gathered) for _ in LAYERS]) for _ in looks]
        return whole, replace(batch, x=gather_rows(batch.x, sizes))

    def on_grad_computed(
        self, net: NeuralNet, named_parameters: Iterable[tuple[str, Tensor]], **kwargs: Any
    ) -> None:
        """Raise a ValueError, in the first step, for weights without a gradient."""
        if self.step > 1 or self.is_single:
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
    from accelerate.utils import gather_object  # noqa: PLC0415 - an optional package

    size, n, rows = 0.0, len(rows), rows.single()
    if isinstance(rows, ArraySamples):
        size = rows[rows.evenly_spaced(COMPARED_ROWS)].cpu().double().abs().mean().item()
    given = gather_object([(n, size)])
    counts, sizes = zip(*given, strict=True)
    # Earlier computations may be rounded differently on each process.
    if len(set(counts)) > 1 or not np.allclose(sizes, sizes[0], rtol=1e-4):
        listed = ", ".join(f"{count} samples of mean size {size:.6g}" for count, size in given)
        raise ValueError(
            f"X differs between processes: {listed}. Pass all of X to fit on each process, which "
            "divides it itself."
        )


def is_shared(device: str | torch.device) -> bool:
    """Whether several processes train one model, and ``device`` asks for it."""
    return bool(device == "accelerate" and start_accelerate().num_processes > 1)


def agree_on_seed(device: str | torch.device, seed: int) -> int:
    """Return the seed of the first process if several train one model."""
    return broadcast_value(seed) if is_shared(device) else seed


def broadcast_value(value: Value) -> Value:
    """Return the value that the first process has."""
    from accelerate.utils import broadcast_object_list  # noqa: PLC0415

    values: list[Value] = broadcast_object_list([value])
    return values[0]


def sum_over_processes(part: Tensor, device: torch.device) -> Tensor:
    """Return the sum of a tensor over all processes, computed on ``device``."""
    total = part.to(device, copy=True)  # Several sums may share the tensor.
    torch.distributed.all_reduce(total)
    return total.cpu()


def sizes_of_parts(n: int, n_parts: int) -> list[int]:
    """Return the sizes of the parts that ``Tensor.tensor_split`` returns."""
    return [n // n_parts + (part < n % n_parts) for part in range(n_parts)]


def gather_rows(rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """Concatenate rows (own size, ...) of all processes to (sum of sizes, ...)."""
    from accelerate.utils import gather  # noqa: PLC0415

    # Only tensors of one size can be gathered.
    most = max(sizes)
    missing = most - len(rows)
    padded = pad(rows, (0, 0) * (rows.ndim - 1) + (0, missing)) if missing else rows
    gathered: Tensor = gather(padded)
    if min(sizes) == most:
        return gathered
    parts = zip(gathered.split(most), sizes, strict=True)
    return torch.cat([part[:size] for part, size in parts])


class GatherFeatures(torch.autograd.Function):
    """Gather rows of all processes, with gradients for those of this process.

    Every process computes the same loss from all rows, and so the gradient of all rows. The
    gradient of the encoder's weights is the sum, over processes, of what flows through their own
    rows. Since gradients are then averaged over processes, each is multiplied by their number.
    Layers that the loss does not use have gradients of 0, so that all weights are averaged.
    """

    @staticmethod
    def forward(ctx: Any, sizes: list[int], rank: int, *layers: Tensor) -> tuple[Tensor, ...]:
        """Gather each layer."""
        ctx.n_processes = len(sizes)
        ctx.own = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
        return tuple(gather_rows(layer, sizes) for layer in layers)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the rows of this process."""
        return (None, None, *(ctx.n_processes * gradient[ctx.own] for gradient in gradients))
