"""Unsupervised representations by Deep InfoMax, at home in scikit-learn."""

from importlib.metadata import PackageNotFoundError, version
from warnings import warn

from skdim import objectives, presets
from skdim.about import __version__
from skdim.estimators import DeepInfoMaxClassifier, DeepInfoMaxTransformer, EncoderTransformer, load

__all__ = [
    "DeepInfoMaxClassifier",
    "DeepInfoMaxTransformer",
    "EncoderTransformer",
    "__version__",
    "load",
    "objectives",
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
