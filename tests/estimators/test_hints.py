"""Errors for data and networks of other kinds name the way that works."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from skdim import DeepInfoMaxTransformer

IMAGES = np.random.default_rng(0).integers(0, 255, (40, 16, 16)).astype(np.uint8)
BACKBONE = nn.Sequential(nn.Conv2d(1, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Dicts(Dataset):
    """Items with names."""

    def __len__(self):
        return 40

    def __getitem__(self, number):
        return {"image": torch.as_tensor(IMAGES[number]), "label": 0}


@pytest.mark.parametrize(
    ("X", "hint"),
    [
        ("photographs", "skdim.inputs.ImageFolder"),
        (Path("photographs"), "skdim.inputs.ImageFolder"),
        (DataLoader(TensorDataset(torch.as_tensor(IMAGES))), r"X\.dataset.*n_workers"),
        (Dicts(), "let the data set return the sample alone"),
    ],
)
def test_data_of_other_kinds_name_what_to_give(X, hint):
    with pytest.raises(TypeError, match=hint):
        DeepInfoMaxTransformer().fit(X)


def test_a_bare_backbone_names_the_hooked_encoder():
    with pytest.raises(TypeError, match="HookedEncoder makes an encoder of any network"):
        DeepInfoMaxTransformer(encoder=BACKBONE).fit(IMAGES)


@pytest.mark.parametrize("as_data_set", [False, True])
def test_images_of_another_size_are_refused_in_shapes(as_data_set):
    fitted = DeepInfoMaxTransformer(4, random_state=0).fit(IMAGES)
    larger = np.zeros((3, 20, 20), np.uint8)
    X = TensorDataset(torch.as_tensor(larger)) if as_data_set else larger
    with pytest.raises(ValueError, match=r"samples of shape \(20, 20\).*fitted on.*\(1, 16, 16\)"):
        fitted.transform(X)
