"""The PyTorch tutorial on Deep InfoMax, written anew from its published description.

    python benchmarks/tutorial_loop.py [--steps 3]

The reference point of users who start from that tutorial. Its choices are kept, also those that
skdim makes otherwise:

- four convolutions without padding or strides, so that the local map has 26x26 locations;
- the code is copied to every location and put beside the map, and each critic runs in full on the
  true pairs and once more on the false ones, the maps of the next sample;
- two optimizers, one for the encoder and one for critics and discriminator, on one loss;
- the prior term goes in the wrong direction: the encoder minimises the discriminator's loss too, so
  that its codes learn to be told from the prior; and codes without bounds meet a uniform prior;
- a ``DataLoader`` converts one image at a time, and the loss is read back at every step.

Prints the shapes of all networks on one image, and the seconds of a few steps on noise.
"""

import argparse
import time
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, Dataset

ALPHA, BETA, GAMMA = 0.5, 1.0, 0.1  # weights of the global, local and prior terms
BATCH = 64
LEARNING_RATE = 1e-4


class Images(Dataset[Tensor]):
    """Images as floats in [0, 1], converted one at a time.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, 3, 32, 32)
    """

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images)

    def __getitem__(self, i: int) -> Tensor:
        """Convert one image."""
        return torch.from_numpy(self.images[i]).float() / 255


class Encoder(nn.Module):
    """Images (n, 3, 32, 32) to codes (n, 64) and maps (n, 128, 26, 26)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, 64, 4)
        self.conv1 = nn.Conv2d(64, 128, 4)
        self.norm1 = nn.BatchNorm2d(128)
        self.conv2 = nn.Conv2d(128, 256, 4)
        self.norm2 = nn.BatchNorm2d(256)
        self.conv3 = nn.Conv2d(256, 512, 4)
        self.norm3 = nn.BatchNorm2d(512)
        self.linear = nn.Linear(512 * 20 * 20, 64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give codes and maps."""
        x = self.conv0(x).relu()
        local = self.norm1(self.conv1(x)).relu()
        x = self.norm2(self.conv2(local)).relu()
        x = self.norm3(self.conv3(x)).relu()
        return self.linear(x.flatten(1)), local


class GlobalCritic(nn.Module):
    """Score codes (n, 64) against whole maps (n, 128, 26, 26); (n, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(128, 64, 3)
        self.conv1 = nn.Conv2d(64, 32, 3)
        self.linear0 = nn.Linear(64 + 32 * 22 * 22, 512)
        self.linear1 = nn.Linear(512, 512)
        self.linear2 = nn.Linear(512, 1)

    def forward(self, code: Tensor, local: Tensor) -> Tensor:
        """Score pair by pair."""
        x = self.conv1(self.conv0(local).relu())
        x = torch.cat([code, x.flatten(1)], dim=1)
        x = self.linear0(x).relu()
        x = self.linear1(x).relu()
        scores: Tensor = self.linear2(x)
        return scores


class LocalCritic(nn.Module):
    """Score codes (n, 64) against each location of maps (n, 128, 26, 26); (n, 1, 26, 26)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(128 + 64, 512, 1)
        self.conv1 = nn.Conv2d(512, 512, 1)
        self.conv2 = nn.Conv2d(512, 1, 1)

    def forward(self, code: Tensor, local: Tensor) -> Tensor:
        """Score location by location."""
        tiled = code[:, :, None, None].expand(-1, -1, *local.shape[2:])
        x = self.conv0(torch.cat([local, tiled], dim=1)).relu()
        x = self.conv1(x).relu()
        scores: Tensor = self.conv2(x)
        return scores


class PriorDiscriminator(nn.Module):
    """Probability (n, 1) that a code (n, 64) is from the prior."""

    def __init__(self) -> None:
        super().__init__()
        self.linear0 = nn.Linear(64, 1000)
        self.linear1 = nn.Linear(1000, 200)
        self.linear2 = nn.Linear(200, 1)

    def forward(self, code: Tensor) -> Tensor:
        """Judge each code."""
        x = self.linear0(code).relu()
        x = self.linear1(x).relu()
        probability: Tensor = self.linear2(x).sigmoid()
        return probability


class Loss(nn.Module):
    """Critics, discriminator, and the three weighted terms."""

    def __init__(self) -> None:
        super().__init__()
        self.global_critic = GlobalCritic()
        self.local_critic = LocalCritic()
        self.discriminator = PriorDiscriminator()

    def forward(self, code: Tensor, local: Tensor) -> dict[str, Tensor]:
        """Give the weighted terms, false pairs taken from the next sample."""
        false = torch.cat([local[1:], local[:1]])
        by_global = information(self.global_critic, code, local, false)
        by_local = information(self.local_critic, code, local, false)
        drawn = torch.rand_like(code)
        told = self.discriminator(drawn).log().mean() + (1 - self.discriminator(code)).log().mean()
        return {"global": ALPHA * by_global, "local": BETA * by_local, "prior": -GAMMA * told}


def information(critic: nn.Module, code: Tensor, true: Tensor, false: Tensor) -> Tensor:
    """Give what a Jensen-Shannon bound lacks, from true and false pairs."""
    of_true: Tensor = softplus(-critic(code, true)).mean()
    of_false: Tensor = softplus(critic(code, false)).mean()
    return of_true + of_false


class TutorialLoop:
    """The training loop, with its networks.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, 3, 32, 32)
        At least one batch: what does not fill a batch is dropped in every epoch.
    seed : int, default=0
        Of first weights, of the order of the images, and of draws from the prior.
    batch : int, default=64
    """

    def __init__(self, images: NDArray[np.uint8], *, seed: int = 0, batch: int = BATCH) -> None:
        if images.dtype != np.uint8 or images.shape[1:] != (3, 32, 32) or len(images) < batch:
            raise ValueError(
                f"images have type {images.dtype} and shape {images.shape}; uint8 images "
                f"(n, 3, 32, 32) are needed, at least {batch} of them."
            )
        torch.manual_seed(seed)
        self.encoder = Encoder()
        self.loss = Loss()
        self.optimizers = [
            torch.optim.Adam(part.parameters(), lr=LEARNING_RATE)
            for part in (self.encoder, self.loss)
        ]
        self.loader = DataLoader(Images(images), batch_size=batch, shuffle=True, drop_last=True)
        self.batches: Iterator[Tensor] = iter(())
        self.losses: list[float] = []

    def step(self, x: Tensor) -> None:
        """Take one step on a batch."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        code, local = self.encoder(x)
        terms = self.loss(code, local)
        loss = terms["global"] + terms["local"] + terms["prior"]
        self.losses.append(loss.item())
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()

    def next_batch(self) -> Tensor:
        """Load a batch, from a new epoch where the last has ended."""
        batch = next(self.batches, None)
        if batch is None:
            self.batches = iter(self.loader)
            batch = next(self.batches)
        return batch

    def steps(self, k: int) -> float:
        """Take k steps, loading included.

        Returns
        -------
        float
            Seconds a step.
        """
        self.encoder.train()
        start = time.perf_counter()
        for _ in range(k):
            self.step(self.next_batch())
        return (time.perf_counter() - start) / k

    def epoch(self) -> Encoder:
        """Train for one epoch.

        Returns
        -------
        Encoder
            In evaluation mode. It is the one that further steps train.
        """
        self.encoder.train()
        for x in self.loader:
            self.step(x)
        return self.encoder.eval()


def shapes() -> dict[str, tuple[int, ...]]:
    """Give the shapes that come out of each network for one image."""
    with torch.no_grad():
        code, local = Encoder().eval()(torch.zeros(1, 3, 32, 32))
        loss = Loss()
        return {
            "code": tuple(code.shape),
            "local map": tuple(local.shape),
            "global critic": tuple(loss.global_critic(code, local).shape),
            "local critic": tuple(loss.local_critic(code, local).shape),
            "discriminator": tuple(loss.discriminator(code).shape),
        }


def main() -> None:
    """Print shapes and seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name, shape in shapes().items():
        print(f"{name:<14} {shape}")
    noise = np.random.default_rng(0).integers(0, 256, (2 * BATCH, 3, 32, 32), np.uint8)
    loop = TutorialLoop(noise)
    loop.steps(1)
    seconds = loop.steps(options.steps)
    print(f"{seconds:.2f} s a step of {BATCH}, {BATCH / seconds:.1f} images/s")
    print("loss", ", ".join(f"{loss:.4f}" for loss in loop.losses))


if __name__ == "__main__":
    main()
