"""Heads trained on two cached looks by SimCLR, VICReg and Barlow Twins: rivals of the closed form.

The features under the head are frozen and given; a head (a linear map or one hidden layer) makes
the code, and a projector of one hidden layer makes what the loss compares. Adam trains both for so
many seconds.
"""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, normalize, relu

BATCH, PROJECTION = 512, 256


def simclr(a: Tensor, b: Tensor, temperature: float = 0.2) -> Tensor:
    """NT-Xent. Chen et al. (2020), A simple framework for contrastive learning, equation 1."""
    z = normalize(torch.cat([a, b]), dim=1)
    scores = (z @ z.T / temperature).fill_diagonal_(-math.inf)
    return cross_entropy(scores, torch.arange(len(z)).roll(len(a)))


def vicreg(a: Tensor, b: Tensor) -> Tensor:
    """Invariance, variance and covariance. Bardes, Ponce and LeCun (2022), VICReg, equation 6."""
    loss = 25 * (a - b).square().mean()
    for z in (a, b):
        covariance = torch.cov(z.T)
        loss = loss + 25 * relu(1 - (z.var(0) + 1e-4).sqrt()).mean() / 2
        loss = loss + (covariance.square().sum() - covariance.diag().square().sum()) / z.shape[1]
    return loss


def barlow_twins(a: Tensor, b: Tensor, off_diagonal: float = 5e-3) -> Tensor:
    """Cross-correlation against the identity. Zbontar et al. (2021), Barlow Twins, equation 1."""
    a, b = ((z - z.mean(0)) / (z.std(0) + 1e-5) for z in (a, b))
    correlation = a.T @ b / len(a)
    on = correlation.diag()
    off = correlation.square().sum() - on.square().sum()
    return (1 - on).square().sum() + off_diagonal * off


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "simclr": simclr,
    "vicreg": vicreg,
    "barlow": barlow_twins,
}


def look(
    images: Tensor, draw: torch.Generator, *, crop: float = 0.8, colour: float = 0.15
) -> Tensor:
    """Crop, and change brightness, contrast and saturation; colour images are mirrored at random.

    Parameters
    ----------
    images : Tensor of shape (n, C, H, W)
        uint8, as the result.
    draw : Generator
    crop : float, default=0.8
        Least share of the area that is kept.
    colour : float, default=0.15
        Largest relative change of brightness, contrast and saturation.
    """
    n, channels, height, width = images.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draw) * 2 - 1

    side = (1 - (1 - crop) * torch.rand(n, generator=draw)).sqrt()
    ratio = (0.15 * uniform(n)).exp()
    across, down = (side * ratio).clamp(max=1), (side / ratio).clamp(max=1)
    mirror = torch.where(uniform(n) < 0, -1.0, 1.0) if channels == 3 else torch.ones(n)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = across * mirror, down
    theta[:, 0, 2], theta[:, 1, 2] = (1 - across) * uniform(n), (1 - down) * uniform(n)
    grid = affine_grid(theta, [n, channels, height, width], align_corners=False)
    x = grid_sample(images.float(), grid, padding_mode="reflection", align_corners=False)
    mean, grey = x.mean((1, 2, 3), keepdim=True), x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + colour * uniform(n, 1, 1, 1))
    x = (mean + (x - mean) * (1 + colour * uniform(n, 1, 1, 1))) * (
        1 + colour * uniform(n, 1, 1, 1)
    )
    return x.clamp(0, 255).round().to(torch.uint8)


def two_layers(before: int, between: int, after: int) -> nn.Sequential:
    """One hidden layer with batch normalisation."""
    hidden = nn.Linear(before, between, bias=False), nn.BatchNorm1d(between), nn.ReLU()
    return nn.Sequential(*hidden, nn.Linear(between, after))


def train_head(
    looks: tuple[Tensor, Tensor],
    size: int,
    loss: str,
    *,
    layers: int,
    rate: float,
    seconds: float,
    seed: int,
) -> tuple[nn.Module, int]:
    """Train a head on two cached looks; return it, in evaluation mode, and the epochs it took.

    Parameters
    ----------
    looks : pair of Tensor of shape (n, d)
        Features of two looks at each image.
    size : int
        Size of the code.
    loss : {"simclr", "vicreg", "barlow"}
    layers : {1, 2}
        Layers of the head.
    rate : float
        Learning rate of Adam; it falls to 0 along half a cosine.
    seconds : float
        CPU seconds to train for.
    seed : int
    """
    n, d = looks[0].shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head: nn.Module = nn.Linear(d, size) if layers == 1 else two_layers(d, 1024, size)
        projector = two_layers(size, PROJECTION, PROJECTION)
        parameters = [*head.parameters(), *projector.parameters()]
        adam = torch.optim.Adam(parameters, rate, weight_decay=1e-5)
        begun, seen = time.process_time(), 0
        while (spent := (time.process_time() - begun) / seconds) < 1:
            for group in adam.param_groups:
                group["lr"] = rate * (1 + math.cos(math.pi * spent)) / 2
            rows = torch.randint(n, (min(BATCH, n),))
            both = projector(head(torch.cat([look[rows] for look in looks])))
            adam.zero_grad()
            LOSSES[loss](*both.chunk(2)).backward()
            adam.step()
            seen += len(rows)
    return head.eval(), seen // n
