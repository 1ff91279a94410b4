"""Any backbone as an encoder, by forward hooks on its layers."""

import copy
import threading
from difflib import get_close_matches
from functools import partial

import torch
from torch import Tensor, nn

from skdim.encoders.adapter import describe_output
from skdim.encoders.layers import Features, Shape

# Outputs of the layers of the running backbone, a dict per thread. Not attributes of modules, so
# that copies and pickles hold no activations.
running = threading.local()

# Name of the backbone among its layers.
WHOLE = ""

# Maximum number of names in an error message.
MAX_NAMES = 8


class HookedEncoder(nn.Module):
    r"""Make an encoder of a backbone, such as a network of torchvision or timm.

    Layers are named as in ``dict(backbone.named_modules())``; forward hooks record their outputs.

    Two arguments come from the transformer; set the others by :func:`functools.partial`::

        encoder = partial(HookedEncoder, backbone=resnet18(), local="layer2", hidden="avgpool")
        DeepInfoMaxTransformer(64, encoder=encoder)

    The backbone is copied, weights included, and trained unless ``requires_grad_(False)`` was
    called. Layers after ``hidden`` run but are not trained. The last output of a layer that runs
    several times is recorded, after later in-place layers such as ``nn.ReLU(inplace=True)``.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of a sample, such as ``(C, H, W)``.
    n_components : int
        Size of the code.
    backbone : Module
        Takes samples (n, \*input_shape).
    local : str
        Name of the layer of the local features, (n, c, \*grid).
    conv : str, default=None
        Name of the layer that the global term compares with the code; None is ``local``.
    hidden : str, default=None
        Name of the layer before the code, which is flattened; None is the backbone's output.
    head : bool, default=True
        Whether a linear layer on ``hidden`` computes the code. Otherwise the code is the backbone's
        output (n, d), for any ``n_components``.
    channel_axis : {1, -1}, default=1
        Axis of the channels of maps: -1 for the tokens (n, positions, c) of a transformer.

    Raises
    ------
    ValueError
        If the backbone has no layer of that name, or does not call it.
    TypeError
        If the output of a layer is not a tensor.

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
        input_shape: Shape,
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
        self.maps = (local, local if conv is None else conv)
        self.hidden = WHOLE if hidden is None else hidden
        self.channel_axis = channel_axis
        for name in {*self.maps, self.hidden} - {WHOLE}:
            layer_named(self.backbone, name).register_forward_hook(partial(record, name))
        self.to_code: nn.Module | None = None
        if head:
            self.to_code = nn.Linear(self.size_of_hidden(input_shape), n_components)

    @torch.no_grad()
    def size_of_hidden(self, input_shape: Shape) -> int:
        """Measure the layer before the code on samples of zeros, in evaluation mode."""
        weight = next(self.backbone.parameters(), torch.zeros(()))
        self.eval()
        *_, hidden, _ = self.layers_of(torch.zeros(2, *input_shape, device=weight.device))
        self.train()
        return hidden.shape[1]

    def layers_of(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, object]:
        """Run the backbone, and return its local, last and hidden layer, and its output."""
        outer = getattr(running, "outputs", None)
        outputs: dict[str, object] = {}
        running.outputs = outputs
        try:
            outputs[WHOLE] = output = self.backbone(x)
        finally:
            running.outputs = outer
        local, conv = (output_of(outputs, name).movedim(self.channel_axis, 1) for name in self.maps)
        return local, conv, output_of(outputs, self.hidden).flatten(1), output

    def forward(self, x: Tensor) -> Features:
        r"""Encode samples (n, \*input_shape)."""
        local, conv, hidden, output = self.layers_of(x)
        if self.to_code is None:
            return Features(local, conv, hidden, tensor_of(output, "The backbone"))
        return Features(local, conv, hidden, self.to_code(hidden))


def record(name: str, module: nn.Module, args: tuple[object, ...], output: object) -> None:
    """Record the output of a layer, if a HookedEncoder of this thread runs: a forward hook."""
    outputs = getattr(running, "outputs", None)
    if outputs is not None:
        outputs[name] = output


def layer_named(backbone: nn.Module, name: str) -> nn.Module:
    """Return a layer; raise a ValueError that lists similar names if there is none."""
    try:
        return backbone.get_submodule(name)
    except AttributeError:
        names = [known for known, _ in backbone.named_modules() if known]
        close = get_close_matches(name, names, n=MAX_NAMES) or names[:MAX_NAMES]
        raise ValueError(
            f"The backbone {type(backbone).__name__} has no layer {name!r}. Among its "
            f"{len(names)} layers are {', '.join(map(repr, close))}; "
            "dict(backbone.named_modules()) lists them all."
        ) from None


def output_of(outputs: dict[str, object], name: str) -> Tensor:
    """Return the output of a layer; raise a ValueError if the backbone has not called it."""
    if name not in outputs:
        raise ValueError(
            f"The backbone did not call its layer {name!r}. Name a layer that its forward method "
            "calls as a module."
        )
    title = "The backbone" if name == WHOLE else f"The layer {name!r} of the backbone"
    return tensor_of(outputs[name], title)


def tensor_of(given: object, name: str) -> Tensor:
    """Return an object if it is a tensor; else raise a TypeError."""
    if isinstance(given, Tensor):
        return given
    raise TypeError(
        f"{name} returned {describe_output(given)}. Name a layer that returns a tensor."
    )
