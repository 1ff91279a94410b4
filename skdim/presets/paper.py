"""Trainings of the paper and of the README of its reference code."""

from dataclasses import replace
from typing import Any

from skdim.priors import PRIORS

# Shared by the trainings of the paper and its reference code.
REFERENCE: dict[str, Any] = {
    "n_components": 64,
    "encoder": "dcgan",
    "negatives": "all",
    "view": None,
    "max_epochs": 1000,
    "batch_size": 64,
    "learning_rate": 1e-4,
    "optimizer": "adam_gan",
    "schedule": "constant",
}
PAPER = REFERENCE | {"prior": replace(PRIORS["uniform"], gradient_penalty=1.0)}


def dim_local(bound: str = "infonce") -> dict[str, Any]:
    """Return the settings of the paper's DIM(L): the local term and the prior term.

    The weights are 0 (global), 1 (local) and 0.1 (prior). The critic is "encode and dot" with 2048
    units, at 14 times the cost of the encoder; ``{"critic": "dot"}`` is faster. In Table 1 of the
    paper, a classifier of CIFAR-10 on the last map has an accuracy of 75.21 % with "infonce" and
    73.25 % with "jsd".

    Intended differences to the reference code:

    - Scores are divided by the root of the units; in the code, their initial standard deviation is
      about 45.
    - "infonce" excludes a sample's own pairs from its negatives, where the code sets them to -10.
      "dv" uses all negatives; in the code it fails.
    - Incomplete batches are used, and the last weights are used, not those of the lowest loss.

    Parameters
    ----------
    bound : {"infonce", "jsd", "dv"}, default="infonce"
        NCE, JSD and DV of the paper; the other keys of :data:`skdim.bounds.BOUNDS` are valid, too.

    Returns
    -------
    dict of str to object
        Arguments of :class:`~skdim.DeepInfoMaxTransformer`; a new dict at every call.

    References
    ----------
    Hjelm et al. (2019), sections 4.1 and 4.2, Tables 1 to 3. arXiv:1808.06670. Optimizer, units of
    the critic and gradient penalty are those of the public code.

    Examples
    --------
    >>> from skdim import DeepInfoMaxTransformer
    >>> from skdim.presets import dim_local
    >>> settings = dim_local("jsd") | {"max_epochs": 20, "critic": "dot"}
    >>> DeepInfoMaxTransformer(**settings, random_state=0).prior_weight
    0.1
    """
    return PAPER | {
        "global_weight": 0.0,
        "local_weight": 1.0,
        "prior_weight": 0.1,
        "bound": bound,
        "critic": "encode_and_dot",
    }


def dim_global(bound: str = "jsd") -> dict[str, Any]:
    """Return the settings of the paper's DIM(G): the global term and the prior term.

    The weights are 1 (global), 0 (local) and 1 (prior). The critic is that of the paper, a network
    of 512-512-1 on the code and the flattened last map. In Table 1, a classifier of CIFAR-10 on the
    last map has an accuracy of 52.2 %. The global term of the reference code differs: it is "encode
    and dot" with an additional encoder of the map, and fails for its folded encoders.

    Parameters
    ----------
    bound : {"jsd", "infonce", "dv"}, default="jsd"
        The paper does not name the bound; JSD is the default of the code.

    Returns
    -------
    dict of str to object
        Arguments of :class:`~skdim.DeepInfoMaxTransformer`; a new dict at every call.

    References
    ----------
    Hjelm et al. (2019), section 4.1, Table 1, and the appendix's table of the global critic.
    arXiv:1808.06670.
    """
    return PAPER | {
        "global_weight": 1.0,
        "local_weight": 0.0,
        "prior_weight": 1.0,
        "bound": bound,
        "critic": {"global": "concat"},
    }


def dim_local_global(bound: str = "jsd") -> dict[str, Any]:
    """Return the settings of the paper's DIM(L+G): both terms of information.

    The weights are 0.5 (global) and 0.1 (local), with the critics of :func:`dim_local` and
    :func:`dim_global`. The weight of the prior, which the paper does not name, is 0.1 as in DIM(L).

    Parameters
    ----------
    bound : {"jsd", "infonce", "dv"}, default="jsd"

    Returns
    -------
    dict of str to object
        Arguments of :class:`~skdim.DeepInfoMaxTransformer`; a new dict at every call.

    References
    ----------
    Hjelm et al. (2019), Table 3. arXiv:1808.06670.
    """
    return PAPER | {
        "global_weight": 0.5,
        "local_weight": 0.1,
        "prior_weight": 0.1,
        "bound": bound,
        "critic": {"local": "encode_and_dot", "global": "concat"},
    }


def reference_cifar10() -> dict[str, Any]:
    """Return the settings of the README's command for CIFAR-10.

    ``local classifier --d.source CIFAR10 --t.epochs 1000``: the encoder of Table 1 and the local
    term alone, by Jensen-Shannon. The README states an accuracy of 71 to 72 % for the classifier
    that is trained with the encoder on detached features, and 73 to 74 % for one trained after it;
    here, train a classifier on the result of ``transform``.

    Scores are divided by the root of the critic's units, unlike in the code. It has 2048 units, as
    the last version of the code; that of January 2019 has 1024.

    Returns
    -------
    dict of str to object
        Arguments of :class:`~skdim.DeepInfoMaxTransformer`; a new dict at every call.

    References
    ----------
    R. D. Hjelm, rdevon/DIM (2019), README and ``cortex_DIM/models/dim.py``.

    Examples
    --------
    >>> from skdim.presets import reference_cifar10
    >>> reference_cifar10()["max_epochs"]
    1000
    """
    return REFERENCE | {
        "global_weight": 0.0,
        "local_weight": 1.0,
        "prior_weight": 0.0,
        "bound": "jsd",
        "critic": "encode_and_dot",
    }


def reference_stl10() -> dict[str, Any]:
    """Return the settings of the README's command for STL-10, with several globals.

    ``local classifier --d.source STL10 --encoder_config foldmultialex64x64 --local.mode nce
    --output_units 0 --local.mi_units 1024 --t.epochs 200`` on 64x64 images, half of them mirrored:
    the setting of the comparison with CPC.

    Intended differences: each global is a linear code of 64 numbers, where the code has none
    (``--output_units 0``) and compares the 192 channels of the last map, which ``output="conv"``
    returns. Images must have 64x64 pixels; no crops are drawn. Scores are divided by the root of
    the units, and a sample's own pairs are excluded from its negatives.

    Returns
    -------
    dict of str to object
        Arguments of :class:`~skdim.DeepInfoMaxTransformer`; a new dict at every call.

    References
    ----------
    R. D. Hjelm, rdevon/DIM (2019), README and ``cortex_DIM/configs/convnets.py``.
    """
    return reference_cifar10() | {
        "encoder": "folded_alexnet_multi",
        "bound": "infonce",
        "critic_units": 1024,
        "view": "mirror",
        "max_epochs": 200,
    }
