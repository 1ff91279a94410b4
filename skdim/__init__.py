"""Unsupervised representations by Deep InfoMax, at home in scikit-learn."""

from importlib.metadata import PackageNotFoundError, version
from warnings import warn

from skdim import presets
from skdim.about import __version__
from skdim.estimators import (
    AAETransformer,
    AutoencoderTransformer,
    BiGANTransformer,
    CPCTransformer,
    DeepInfoMaxTransformer,
    NATTransformer,
    VAETransformer,
    load,
)

__all__ = [
    "AAETransformer",
    "AutoencoderTransformer",
    "BiGANTransformer",
    "CPCTransformer",
    "DeepInfoMaxTransformer",
    "NATTransformer",
    "VAETransformer",
    "__version__",
    "load",
    "presets",
]

try:
    version("scikit-dimension")
except PackageNotFoundError:
    pass
else:
    warn(
        "scikit-deepinfomax and scikit-dimension are both installed and both are imported as "
        "'skdim': keep them in separate environments (here: pip uninstall scikit-dimension && "
        "pip install --force-reinstall --no-deps scikit-deepinfomax).",
        stacklevel=2,
    )
