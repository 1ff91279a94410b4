"""Views: what is done to a sample before it is encoded, so that its code learns what lasts.

A view is a callable ``(x, generator) -> looks``, where ``x`` holds pixel values of shape
(n, C, H, W) before standardisation and ``looks`` is a tuple of tensors of that shape. A view
may say in an attribute ``pairs`` which look gives the code and which the local features; without
it, each look's code meets the local features of every other look (its own, if there is one look).

What the views of this package draw, they draw an image at a time, from the generator alone. They
work on whole batches on the generator's device and never wait for it. Values are not clipped: the
range of the pixels is not known here.
"""

from skdim.views.augment import Augment
from skdim.views.base import Identity, Mirror, Pairs, View, find_pairs
from skdim.views.occlude import Occlude
from skdim.views.stretch import Stretch

__all__ = [
    "VIEWS",
    "Augment",
    "Identity",
    "Mirror",
    "Occlude",
    "Pairs",
    "Stretch",
    "View",
    "find_pairs",
]

VIEWS: dict[str, View] = {
    "augment": Augment(),
    "mirror": Mirror(),
    "occlude": Occlude(),
    "stretch": Stretch(),
}
