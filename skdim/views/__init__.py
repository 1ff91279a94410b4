"""Views: random changes of samples before they are encoded, to which codes become invariant.

A view is a callable ``(x, generator) -> looks``, where ``x`` holds pixel values (n, C, H, W) or
signals (n, C, L) before standardisation and ``looks`` is a tuple of tensors of that shape. An
attribute ``pairs`` may list pairs ``(look of the code, look of the local features)``; by default,
the code of each look is compared with the local features of all others (of itself, if there is one
look).

The views of this package draw for each sample separately, from the generator alone, and work on
batches on its device without waiting for it. Values are not clipped. Strengths and probabilities
outside [0, 1] (``hue``: [0, 0.5]) raise a ValueError.
"""

from skdim.views.augment import Augment
from skdim.views.base import GivenLooks, Identity, Mirror, Pairs, View, find_pairs, view_of_one
from skdim.views.distort import Distort
from skdim.views.occlude import Occlude
from skdim.views.stretch import Stretch

__all__ = [
    "VIEWS",
    "Augment",
    "Distort",
    "GivenLooks",
    "Identity",
    "Mirror",
    "Occlude",
    "Pairs",
    "Stretch",
    "View",
    "find_pairs",
    "view_of_one",
]

VIEWS: dict[str, View] = {
    "augment": Augment(),
    "distort": Distort(),
    "mirror": Mirror(),
    "occlude": Occlude(),
    "stretch": Stretch(),
}
