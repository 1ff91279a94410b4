"""Augmented multiscale Deep InfoMax: layers of several scales are compared between looks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from skdim.bounds import BOUNDS, Bound
from skdim.critics import CRITICS
from skdim.objectives.base import AbstractObjective, Setting
from skdim.objectives.information import Information
from skdim.objectives.together import Together
from skdim.parameters import Rule, any_of, choice, instance, integer, real


@dataclass(eq=False, repr=False, kw_only=True)
class AMDIM(AbstractObjective):
    """Augmented multiscale Deep InfoMax (AMDIM).

    Three terms compare two or more looks at each sample: the code of one look with the local
    features of another, the code with the last map, and the last map with the last map. In the
    paper these are the comparisons 1 to 7, 1 to 5 and 5 to 5, named after the sides of the maps.

    Parameters
    ----------
    local_weight, conv_weight, conv_conv_weight : float, default=1.0
        Weights of the three terms; those of weight 0 are left out.
    bound : str or Bound, default="infonce"
        A key of ``skdim.bounds.BOUNDS``, or a bound.
    critic : str, default="dot"
        A key of ``skdim.critics.CRITICS`` that scores single locations.
    negatives : {"all", "shift"} or int, default="all"
        Which pairs are negatives; see :mod:`skdim.pairs`.

    Notes
    -----
    Terms: ``local``, ``conv`` and ``conv_conv``. The last one is left out where there is one look
    at each sample, as by default of vectors and signals: it would compare a map with itself.
    ``score`` is the bound of the first of them that has a weight. The encoder of the paper, its
    soft clipping of scores and its penalty on their squares are not part of this objective; its
    views are ``Augment.amdim()``.

    References
    ----------
    Bachman, Hjelm and Buchwalter (2019). Learning representations by maximizing mutual information
    across views. NeurIPS. arXiv:1906.00910.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import EncoderTransformer
    >>> from skdim.objectives import AMDIM
    >>> images = load_digits().images[:300]
    >>> amdim = EncoderTransformer(16, objective=AMDIM(), max_epochs=2, random_state=0)
    >>> amdim.fit_transform(images).shape
    (300, 16)
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        **dict.fromkeys(("local_weight", "conv_weight", "conv_conv_weight"), real(0)),
        "bound": any_of(choice(BOUNDS), instance("a skdim.bounds.Bound", Bound)),
        "critic": choice([name for name in CRITICS if name not in ("gaussian", "map")]),
        "negatives": any_of(choice(["all", "shift"]), integer(1)),
    }
    score_hint = "Give local_weight, conv_weight or conv_conv_weight a value above 0"

    local_weight: float = 1.0
    conv_weight: float = 1.0
    conv_conv_weight: float = 1.0
    bound: str | Bound = "infonce"
    critic: str = "dot"
    negatives: int | str = "all"

    def build(self, setting: Setting) -> Together:
        """Build the terms whose weight is not 0; see ``AbstractObjective.build``."""
        bound = BOUNDS[self.bound] if isinstance(self.bound, str) else self.bound
        layers = {
            "local": ("code", "local"),
            "conv": ("code", "conv"),
            "conv_conv": ("conv", "conv"),
        }
        terms = []
        for name, (first, second) in layers.items():
            weight = getattr(self, f"{name}_weight")
            # A map determines itself.
            same = first == second and all(i == j for i, j in setting.looks)
            if weight == 0 or same:
                continue
            sizes = [getattr(setting.sizes, layer).shape[1] for layer in (first, second)]
            terms.append(
                Information(
                    name,
                    CRITICS[self.critic](*sizes),
                    bound,
                    first=first,
                    second=second,
                    weight=weight,
                    negatives=self.negatives,
                    looks=setting.looks,
                )
            )
        if not terms:
            raise ValueError(
                "No term of AMDIM has a weight above 0, or only conv_conv, which needs two looks "
                "at each sample. Give another term a weight, or a view of two looks."
            )
        return Together(terms)
