"""Which versions made a thing, and what is said where others read it."""

import warnings
from collections.abc import Mapping

import sklearn
import torch

from skdim.about import __version__

__all__ = ["VersionWarning", "versions", "warn_of_versions"]


class VersionWarning(UserWarning):
    """A transformer was pickled with other versions than those that now read it."""


def versions() -> dict[str, str]:
    """Return the versions that the numbers of a transformer depend on.

    Returns
    -------
    dict of str to str
        Of skdim, scikit-learn and torch; without the build of torch ("+cpu"), which changes from
        machine to machine.
    """
    return {
        "skdim": __version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__.partition("+")[0],
    }


def warn_of_versions(name: str, then: Mapping[str, str]) -> None:
    """Warn where something was pickled with other versions than those that are here.

    Parameters
    ----------
    name : str
        What was pickled.
    then : mapping of str to str
        What ``versions`` gave then.
    """
    differing = [
        f"{package} {then.get(package, 'unknown')} (here: {version})"
        for package, version in versions().items()
        if then.get(package) != version
    ]
    if differing:
        warnings.warn(
            f"This {name} was pickled with {', '.join(differing)}. Its codes may differ, or it may "
            "fail. Fit it again, or use its save() and skdim.load(), whose files are read by later "
            "versions.",
            VersionWarning,
            stacklevel=4,
        )
