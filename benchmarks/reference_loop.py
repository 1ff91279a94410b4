"""The plainest hand-written PyTorch loop of Deep InfoMax: what our ``fit`` is measured against.

Written from the published description alone, without skdim: the paper's encoder of 32x32 images,
the encode-and-dot critic, InfoNCE over all negatives of the batch, Adam.
"""

import argparse
import math
import time

import torch
from torch import Tensor, nn

BATCH = 64


def encoder() -> nn.ModuleDict:
    """Build the paper's encoder, in the parts whose outputs are compared."""

    def block(channels: int, wider: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels, wider, 4, 2, 1, bias=False), nn.BatchNorm2d(wider), nn.ReLU()
        )

    return nn.ModuleDict(
        {
            "local": nn.Sequential(block(3, 64), block(64, 128)),
            "code": nn.Sequential(
                block(128, 256),
                nn.Flatten(),
                nn.Linear(4096, 1024, bias=False),
                nn.BatchNorm1d(1024),
                nn.ReLU(),
                nn.Linear(1024, 64),
            ),
        }
    )


class Head(nn.Module):
    """A linear projection beside a small network, normalised."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.shortcut = nn.Linear(features, units)
        self.network = nn.Sequential(
            nn.Linear(features, units, bias=False),
            nn.BatchNorm1d(units),
            nn.ReLU(),
            nn.Linear(units, units),
        )
        self.norm = nn.LayerNorm(units)

    def forward(self, x: Tensor) -> Tensor:
        """Project features (n, features) to (n, units)."""
        return self.norm(self.shortcut(x) + self.network(x))


class ReferenceLoop:
    """Train on uint8 images (n, 3, 32, 32), an epoch at a time."""

    def __init__(self, images: Tensor, units: int = 256, learning_rate: float = 1e-4) -> None:
        self.images = images
        pixels = images.float()
        self.mean = pixels.mean(dim=(0, 2, 3), keepdim=True)
        self.scale = pixels.std(dim=(0, 2, 3), keepdim=True)
        self.encoder = encoder()
        self.of_code, self.of_local = Head(64, units), Head(128, units)
        self.units = units
        heads = [*self.of_code.parameters(), *self.of_local.parameters()]
        self.optimizer = torch.optim.Adam(
            [*self.encoder.parameters(), *heads], lr=learning_rate, fused=True
        )

    def loss(self, x: Tensor) -> Tensor:
        """InfoNCE of each location against all locations of all other images."""
        n = len(x)
        local = self.encoder["local"]((x - self.mean) / self.scale)
        code = self.encoder["code"](local)
        locations = self.of_local(local.flatten(2).mT.reshape(-1, local.shape[1]))
        scores = self.of_code(code) @ locations.T / math.sqrt(self.units)
        scores = scores.reshape(n, n, -1)
        own = torch.eye(n, dtype=torch.bool)
        positive = scores[own]  # (n, locations)
        negative = scores[~own].reshape(n, -1).logsumexp(dim=1, keepdim=True)
        return (torch.logaddexp(positive, negative) - positive).mean()

    def epoch(self) -> float:
        """Train for one epoch; give its seconds."""
        start = time.perf_counter()
        for index in torch.randperm(len(self.images)).split(BATCH):
            self.optimizer.zero_grad()
            self.loss(self.images[index].float()).backward()
            self.optimizer.step()
        return time.perf_counter() - start


def main() -> None:
    """Print what the loop makes of random images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2560)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    loop = ReferenceLoop(torch.randint(256, (options.images, 3, 32, 32), dtype=torch.uint8))
    loop.epoch()
    print(f"{options.images / loop.epoch():.0f} images a second")


if __name__ == "__main__":
    main()
