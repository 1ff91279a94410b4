"""Training of a fitted encoder and a fitted head on labels."""

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
from skdim.estimators.transformer import EncoderTransformer
from skdim.random import seeded
from skdim.views import view_of_one

# Number of samples that are classified at once.
CHUNK = 256


@dataclass(frozen=True)
class FineTuner:
    """Train an encoder and a head on labelled samples, by Adam.

    Learning rates decrease from the last child module of the encoder to the first by ``decay``.
    Running statistics do not change. The view of the representation is applied to samples.

    Parameters
    ----------
    transformer : EncoderTransformer
        Its encoder is copied for each training. The head classifies its output.
    mean, scale : Tensor of shape (d,)
        Standardisation of the features.
    learning_rate, decay : float
    batch_size : int
    seed : int
    """

    transformer: EncoderTransformer
    mean: Tensor
    scale: Tensor
    learning_rate: float
    decay: float
    batch_size: int
    seed: int

    def search(
        self,
        head: Head,
        train: tuple[Tensor, Tensor],
        held_out: tuple[Tensor, Tensor],
        max_epochs: int,
        patience: int,
    ) -> list[float]:
        """Return the accuracy on held-out samples without training, and after each epoch.

        Samples are (n, *shape), beside numbers (n,) of classes. The search ends after
        ``max_epochs``, or after ``patience`` epochs without a higher accuracy.
        """
        x, y = held_out
        accuracies: list[float] = []

        @torch.no_grad()
        def stops(encoder: nn.Module, head: Head) -> bool:
            found = [self.logits(encoder, head, part).argmax(dim=1) for part in x.split(CHUNK)]
            accuracies.append((torch.cat(found) == y).float().mean().item())
            return len(accuracies) > accuracies.index(max(accuracies)) + patience

        self.train(head, *train, max_epochs, stops)
        return accuracies

    def train(
        self,
        head: Head,
        x: Tensor,
        y: Tensor,
        n_epochs: int,
        stops: Callable[[nn.Module, Head], bool] = lambda encoder, head: False,
    ) -> tuple[nn.Module, Head]:
        """Train copies of encoder and head; call ``stops`` before and after each epoch."""
        encoder = copy.deepcopy(self.transformer.encoder_).eval()
        view = view_of_one(self.transformer.net_.view)
        head = Head(head.weight.clone().requires_grad_(), head.bias.clone().requires_grad_())
        own = {"params": [head.weight, head.bias], "lr": self.learning_rate}
        generator = Generator(device=x.device).manual_seed(self.seed)
        with seeded(self.seed, x.device):
            optimizer = torch.optim.Adam([own, *self.groups(encoder)])
            while not stops(encoder, head) and n_epochs > 0:
                n_epochs -= 1
                order = torch.randperm(len(x), generator=generator, device=x.device)
                for batch in order.split(self.batch_size):
                    looks = view(x[batch].float(), generator)
                    logits = self.logits(encoder, head, torch.cat(looks))
                    optimizer.zero_grad()
                    cross_entropy(logits, y[batch].repeat(len(looks))).backward()
                    optimizer.step()
        return encoder, Head(head.weight.detach(), head.bias.detach())

    def groups(self, encoder: nn.Module) -> list[dict[str, Any]]:
        """Return the weights of the child modules, the last one first, with learning rates."""
        _, inner = encoder.children()
        inner = inner.module if isinstance(inner, UserEncoder) else inner
        layers = [[*child.parameters()] for child in inner.children()]
        in_layers = {id(weight) for layer in layers for weight in layer}
        others = [weight for weight in encoder.parameters() if id(weight) not in in_layers]
        rate, groups = self.learning_rate, []
        for weights in [*filter(None, reversed(layers)), others]:
            rate *= self.decay
            groups.append({"params": weights, "lr": rate})
        return groups

    def logits(self, encoder: nn.Module, head: Head, x: Tensor) -> Tensor:
        """Return the logits (n, k) of samples (n, *shape)."""
        features = layer_of(encoder(x), self.transformer.output_).flatten(1)
        return head.logits((features - self.mean) / self.scale)


def best_epoch(accuracies: list[float], n: int) -> int:
    """Return the epoch, counted from 0, with the highest accuracy on ``n`` samples.

    It is 0 if the gain is at most the standard error of a difference of two accuracies.
    """
    first, best = accuracies[0], max(accuracies)
    error = math.sqrt((first * (1 - first) + best * (1 - best)) / n)
    return accuracies.index(best) if best - first > error else 0
