"""Training of an encoder on labels, from a fitted representation and a fitted head."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from skdim.encoders import UserEncoder, layer_of
from skdim.estimators.heads import Head
from skdim.random import seeded
from skdim.views import View

__all__ = ["FineTuner", "Labelled", "best_epoch"]

# Samples that are classified at once.
CHUNK = 256


@dataclass(frozen=True)
class Labelled:
    """Samples (n, *shape) as the encoder takes them, and the numbers (n,) of their classes."""

    x: Tensor
    y: Tensor

    def part(self, rows: Tensor) -> "Labelled":
        """Return some of the samples."""
        return Labelled(self.x[rows], self.y[rows])


@dataclass(frozen=True)
class FineTuner:
    """Train an encoder and a head on labelled samples, by Adam.

    Rates decrease from the last child module of the encoder to the first by ``decay``. Running
    statistics stay as they are. Samples are seen through the view of the representation.

    Parameters
    ----------
    encoder : Module
        Standardisation and encoder; copied for each training.
    layer : str
        Layer of the features.
    view : View
    mean, scale : Tensor of shape (d,)
        Standardisation of the features.
    learning_rate, decay : float
    batch_size : int
    seed : int
    """

    encoder: nn.Module
    layer: str
    view: View
    mean: Tensor
    scale: Tensor
    learning_rate: float
    decay: float
    batch_size: int
    seed: int

    def search(
        self, head: Head, train: Labelled, held_out: Labelled, most: int, patience: int
    ) -> list[float]:
        """Return the accuracy on held-out samples: as it was, and after each epoch.

        It ends after ``most`` epochs, or ``patience`` epochs without a higher accuracy.
        """
        accuracies: list[float] = []

        def stops(encoder: nn.Module, head: Head) -> bool:
            accuracies.append(self.accuracy(encoder, head, held_out))
            return len(accuracies) > accuracies.index(max(accuracies)) + patience

        self.train(head, train, most, stops)
        return accuracies

    def train(
        self,
        head: Head,
        train: Labelled,
        n_epochs: int,
        stops: Callable[[nn.Module, Head], bool] = lambda encoder, head: False,
    ) -> tuple[nn.Module, Head]:
        """Train copies of encoder and head; ``stops`` is asked before and after each epoch."""
        encoder = copy.deepcopy(self.encoder).eval()
        head = Head(head.weight.clone(), head.bias.clone())
        own = [head.weight.requires_grad_(), head.bias.requires_grad_()]
        groups = [{"params": own, "lr": self.learning_rate}, *self.groups(encoder)]
        generator = Generator(device=train.x.device).manual_seed(self.seed)
        with seeded(self.seed, train.x.device):
            solver = torch.optim.Adam(groups)
            while not stops(encoder, head) and n_epochs > 0:
                n_epochs -= 1
                order = torch.randperm(len(train.x), generator=generator, device=train.x.device)
                for batch in order.split(self.batch_size):
                    looks = self.view(train.x[batch].float(), generator)
                    logits = self.logits(encoder, head, torch.cat(looks))
                    solver.zero_grad()
                    loss = cross_entropy(logits, train.y[batch].repeat(len(looks)))
                    loss.backward()
                    solver.step()
        return encoder, Head(head.weight.detach(), head.bias.detach())

    def groups(self, encoder: nn.Module) -> list[dict[str, Any]]:
        """Return the weights of the child modules, the last one first, with their rates."""
        _, inner = encoder.children()
        inner = inner.module if isinstance(inner, UserEncoder) else inner
        layers = [[*child.parameters()] for child in inner.children()]
        layers = [layer for layer in layers if layer]
        known = {id(weight) for layer in layers for weight in layer}
        own = [weight for weight in encoder.parameters() if id(weight) not in known]
        rate, groups = self.learning_rate, []
        for weights in [*reversed(layers), own]:
            rate *= self.decay
            groups.append({"params": weights, "lr": rate})
        return groups

    def logits(self, encoder: nn.Module, head: Head, x: Tensor) -> Tensor:
        """Return the logits (n, k) of samples (n, *shape)."""
        features = layer_of(encoder(x), self.layer).flatten(1)
        return head.logits((features - self.mean) / self.scale)

    @torch.no_grad()
    def accuracy(self, encoder: nn.Module, head: Head, held_out: Labelled) -> float:
        """Return the share of held-out samples whose class is the most probable one."""
        guessed = [self.logits(encoder, head, x).argmax(dim=1) for x in held_out.x.split(CHUNK)]
        return (torch.cat(guessed) == held_out.y).float().mean().item()


def best_epoch(accuracies: list[float], n: int) -> int:
    """Return the epoch of the highest of the accuracies on ``n`` samples, from epoch 0 on.

    It is 0 if the gain is at most the standard error of a difference of two accuracies.
    """
    first, best = accuracies[0], max(accuracies)
    error = math.sqrt((first * (1 - first) + best * (1 - best)) / n)
    return accuracies.index(best) if best - first > error else 0
