"""Versions of the packages that the numbers of a transformer depend on."""

import warnings
from collections.abc import Mapping

import numpy as np
import sklearn
import torch

from skdim.about import __version__
from skdim.parameters import cut, stacklevel_of_user

__all__ = ["VersionWarning", "versions", "warn_of_versions"]

PICKLED = (
    "Its codes may differ, or it may fail. Fit it again, or use its save() and skdim.load(), whose "
    "files are read by later versions."
)


class VersionWarning(UserWarning):
    """A pickle or a checkpoint was written with other versions than those that read it."""


def versions() -> dict[str, str]:
    """Return the versions that the numbers of a transformer depend on.

    Returns
    -------
    dict of str to str
        Of skdim, scikit-learn, torch and NumPy; without the build of torch ("+cpu"), which differs
        between machines.
    """
    return {
        "skdim": __version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__.partition("+")[0],
        "numpy": np.__version__,
    }


def warn_of_versions(name: str, then: Mapping[str, str], consequence: str = PICKLED) -> None:
    """Warn if something was written with other versions than the present ones.

    Parameters
    ----------
    name : str
        What was written.
    then : mapping of str to str
        What ``versions`` returned when it was written.
    consequence : str, default=that of a pickle
    """
    differing = [
        f"{package} {cut(str(then.get(package, 'unknown')))} (here: {version})"
        for package, version in versions().items()
        if then.get(package) != version
    ]
    if differing:
        warnings.warn(
            f"{name} was written with {', '.join(differing)}. {consequence}",
            VersionWarning,
            stacklevel=stacklevel_of_user(),
        )
