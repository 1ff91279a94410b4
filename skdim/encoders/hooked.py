"""Any backbone as an encoder: its own layers, taken by name while it runs."""

import copy
import threading
from difflib import get_close_matches
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from skdim.encoders.adapter import describe_output
from skdim.encoders.features import Features

__all__ = ["HookedEncoder"]

# What the layers of the backbone that runs just now have given. Kept for the pass only and beside
# the modules, so that copies and pickles hold no activations; one dict a thread, so that passes
# that run at the same time do not mix.
passing = threading.local()

# Names in an error message.
MOST_NAMED = 8


class HookedEncoder(nn.Module):
    r"""Make an encoder of a backbone, such as a network of torchvision or timm.

    The layers that are trained against each other are named as the backbone names its modules
    (``dict(backbone.named_modules())`` lists them). Forward hooks take what they give; the backbone
    itself is not changed. A linear layer on top makes the code.

    Two arguments come from the transformer, so give the rest by :func:`functools.partial`::

        encoder = partial(HookedEncoder, backbone=resnet18(), local="layer2", hidden="avgpool")
        DeepInfoMaxTransformer(64, encoder=encoder)

    The backbone is copied, weights included. Its parameters train along unless
    ``requires_grad_(False)`` says otherwise. What lies behind ``hidden`` runs but is not trained;
    set an unneeded classifier to ``nn.Identity()``. If a layer after the named one works in place
    (``nn.ReLU(inplace=True)``), what is taken is its result. Of a layer that runs several times in
    a pass, the last time counts.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of a sample, such as ``(C, H, W)``.
    n_components : int
        Size of the code.
    backbone : Module
        Takes samples (n, \*input_shape).
    local : str
        Name of the layer that gives the local features, (n, c, \*grid).
    conv : str, default=None
        Name of the layer that gives the map which the global term compares with the code; None
        takes the local one.
    hidden : str, default=None
        Name of the layer before the code, which is flattened; None takes what the backbone gives.
    head : bool, default=True
        Whether a linear layer on ``hidden`` makes the code. If not, the code is what the backbone
        gives, (n, d), whose ``d`` counts in place of ``n_components``.
    channel_axis : {1, -1}, default=1
        Where maps have their channels: -1 for the tokens (n, positions, c) of a transformer.

    Raises
    ------
    ValueError
        If the backbone has no layer of that name, or does not pass it.
    TypeError
        If a layer gives anything but a tensor.

    Examples
    --------
    >>> backbone = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    >>> encoder = HookedEncoder((1, 8, 8), 4, backbone=backbone, local="1")
    >>> features = encoder(torch.zeros(5, 1, 8, 8))
    >>> features.local.shape, features.hidden.shape, features.code.shape
    (torch.Size([5, 8, 6, 6]), torch.Size([5, 8]), torch.Size([5, 4]))
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_components: int,
        *,
        backbone: nn.Module,
        local: str,
        conv: str | None = None,
        hidden: str | None = None,
        head: bool = True,
        channel_axis: int = 1,
    ) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone)
        self.maps, self.hidden = (local, local if conv is None else conv), hidden
        self.channel_axis = channel_axis
        for name in {*self.maps, local if hidden is None else hidden}:
            layer_named(self.backbone, name).register_forward_hook(partial(keep, name))
        self.to_code: nn.Module | None = None
        if head:
            self.to_code = nn.Linear(self.size_of_hidden(input_shape), n_components)

    @torch.no_grad()
    def size_of_hidden(self, input_shape: tuple[int, ...]) -> int:
        """Measure the layer before the code on samples of zeros; no statistics are moved."""
        weight = next(self.backbone.parameters(), torch.zeros(()))
        self.eval()
        *_, hidden, _ = self.layers_of(torch.zeros(2, *input_shape, device=weight.device))
        self.train()
        return hidden.shape[1]

    def layers_of(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Any]:
        """Run the backbone, and give its local, last and hidden layer, and what it gives itself."""
        outer = getattr(passing, "kept", None)
        kept: dict[str, Any] = {}
        passing.kept = kept
        try:
            output = self.backbone(x)
        finally:
            passing.kept = outer
        local, conv = (taken(kept, name).movedim(self.channel_axis, 1) for name in self.maps)
        before = (
            tensor_of(output, "The backbone") if self.hidden is None else taken(kept, self.hidden)
        )
        return local, conv, before.flatten(1), output

    def forward(self, x: Tensor) -> Features:
        r"""Encode.

        Parameters
        ----------
        x : Tensor of shape (n, \*input_shape)

        Returns
        -------
        Features
        """
        local, conv, hidden, output = self.layers_of(x)
        if self.to_code is None:
            return Features(local, conv, hidden, tensor_of(output, "The backbone"))
        return Features(local, conv, hidden, self.to_code(hidden))


def keep(name: str, module: nn.Module, args: Any, output: Any) -> None:
    """Keep what a layer gives, if a HookedEncoder of this thread runs: a forward hook."""
    kept = getattr(passing, "kept", None)
    if kept is not None:
        kept[name] = output


def layer_named(backbone: nn.Module, name: str) -> nn.Module:
    """Find a layer.

    Raises
    ------
    ValueError
        If there is none of that name; the text says which there are.
    """
    try:
        return backbone.get_submodule(name)
    except AttributeError:
        names = [known for known, _ in backbone.named_modules() if known]
        close = get_close_matches(name, names, n=MOST_NAMED) or names[:MOST_NAMED]
        raise ValueError(
            f"The backbone {type(backbone).__name__} has no layer {name!r}. Among its "
            f"{len(names)} layers are {', '.join(map(repr, close))}; "
            "dict(backbone.named_modules()) lists them all."
        ) from None


def taken(kept: dict[str, Any], name: str) -> Tensor:
    """Return what was kept of a layer.

    Raises
    ------
    ValueError
        If the backbone has not passed it.
    """
    if name not in kept:
        raise ValueError(
            f"The backbone did not pass its layer {name!r} when it was called. Name a layer that "
            "its forward method calls as a module."
        )
    return tensor_of(kept[name], f"The layer {name!r} of the backbone")


def tensor_of(given: Any, what: str) -> Tensor:
    """Raise an error for an object that is no tensor.

    Raises
    ------
    TypeError
        Saying what was given.
    """
    if isinstance(given, Tensor):
        return given
    raise TypeError(
        f"{what} gave {describe_output(given)}. HookedEncoder needs a tensor there: name "
        "a layer that gives one."
    )
