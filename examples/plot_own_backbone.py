"""
Your own backbone as an encoder
===============================

Networks of torchvision, timm or your own do not return local features and codes.
:class:`~skdim.encoders.HookedEncoder` reads the output of a named layer instead. Here a small
residual network, named as those of torchvision, learns codes of digits from three of its layers.
"""

# %%
# A backbone
# ----------
# Any module can be used. The last layer of the classifier is not needed and removed, as one would
# with ``resnet18(weights=...)``.

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.encoders import HookedEncoder


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = nn.Conv2d(channels, width, 1, stride, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        changed = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(changed + self.downsample(x))


class SmallResNet(nn.Module):
    """A residual network for images of 8x8 pixels."""

    def __init__(self, n_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16))
        self.layer1 = Block(16, 32)
        self.layer2 = Block(32, 64, stride=2)
        self.layer3 = Block(64, 128, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(128, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer3(self.layer2(self.layer1(self.stem(x))))
        return self.fc(self.avgpool(x).flatten(1))


torch.manual_seed(0)
backbone = SmallResNet()
backbone.fc = nn.Identity()

# %%
# An encoder
# ----------
# ``partial`` sets all parameters except those that the transformer passes: the shape of a sample
# and the number of components. A linear layer maps the output of the backbone to the code. The
# backbone is copied.

digits = load_digits()
images, labels = digits.images.astype(np.float32), digits.target
train, test = train_test_split(
    np.arange(len(images)), train_size=1200, stratify=labels, random_state=0
)


def fit(local: str, **kwargs: float) -> DeepInfoMaxTransformer:
    """Train a copy of the backbone, with a layer for the local features."""
    encoder = partial(HookedEncoder, backbone=backbone, local=local)
    return DeepInfoMaxTransformer(16, encoder=encoder, random_state=0, **kwargs).fit(images[train])


def accuracy(transformer: DeepInfoMaxTransformer) -> float:
    """Return the accuracy of a linear classifier on codes of other digits."""
    codes = transformer.transform(images)
    judge = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return judge.fit(codes[train], labels[train]).score(codes[test], labels[test])


# With a learning rate near zero, the encoder stays as initialised.
scores = {"untrained": accuracy(fit("layer3", max_epochs=1, learning_rate=1e-12))}
fitted = {name: fit(name, max_epochs=4) for name in ("stem", "layer1", "layer3")}
scores |= {name: accuracy(transformer) for name, transformer in fitted.items()}

print("accuracy of a linear classifier on 16 numbers, 597 other digits")
for name, score in scores.items():
    print(f"    {name:<10} {score:.3f}")

# %%
# Receptive fields
# ----------------
# The deeper the layer, the larger the part of the image on which a local feature depends. The
# figure shows the pixels that change the feature in the middle of each map.

image = images[test[0]]
figure, axes = plt.subplots(1, 4, figsize=(9, 2.8), layout="constrained")
axes[0].imshow(image, cmap="gray_r")
axes[0].set_title("image")
for ax, (name, transformer) in zip(axes[1:], fitted.items(), strict=True):
    x = torch.tensor(image[None, None], requires_grad=True)
    local = transformer.encoder_(x).local
    row, column = (side // 2 for side in local.shape[2:])
    local[0, :, row, column].sum().backward()
    seen = x.grad[0, 0].abs().numpy()
    ax.imshow(seen, cmap="Blues")
    grid = "x".join(map(str, local.shape[2:]))
    ax.set_title(f"{name}: {grid} locations,\none sees {int((seen > 0).sum())} of 64 pixels")
for ax in axes:
    ax.set(xticks=[], yticks=[])
