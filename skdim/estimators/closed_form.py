"""Whether a transformer has a closed form, and what it then makes no use of."""

import inspect
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skdim.closed_form import rotation
from skdim.encoders import ENCODERS, LinearEncoder
from skdim.estimators.fitting import is_same
from skdim.inputs import Layout
from skdim.training import EncoderNet
from skdim.views import VIEWS, Identity, View

__all__ = [
    "SolutionMixin",
    "SolvableMixin",
    "is_linear",
    "needs_gradients",
    "refuse",
    "weights_of_terms",
]

# Parameters of training by gradients alone.
OF_GRADIENTS = ("batch_size", "learning_rate", "optimizer", "schedule", "compile")


class SolvableMixin:
    """Decide between the closed form and gradients; by default there is no closed form."""

    net_: EncoderNet
    solver_: str
    encoder: Any

    def _begins_solving(self, epochs: int, *, going_on: bool) -> bool:
        """Return whether a training begins with the closed form."""
        is_linear = isinstance(self.net_.module_[1], LinearEncoder)
        before = getattr(self, "solver_", "")
        if epochs == 0:
            if not (is_linear and self._is_solvable()):
                raise ValueError(self._why_not_solvable())
            if going_on and (self.net_.look_sums is None or "gradients" in before):
                raise ValueError(
                    "The closed form cannot be solved for more samples: the sums over the earlier "
                    "ones are kept neither in copies and files, nor where gradients have trained. "
                    "Fit all samples anew; or train by gradients, with max_epochs of 1 or more."
                )
            warn_of_idle(self)
        solving = is_linear and (epochs == 0 or not going_on)
        steps = ["closed form"] * (solving or before.startswith("closed form"))
        self.solver_ = " then ".join([*steps, *["gradients"] * (epochs > 0)])
        return solving

    def _why_not_solvable(self) -> str:
        """Explain why ``max_epochs=0`` cannot be."""
        return (
            f"max_epochs=0 computes the closed form of Deep InfoMax, which {type(self).__name__} "
            "has not. Give at least one epoch."
        )

    def _is_solvable(self) -> bool:
        """Return whether all that is trained has a closed form."""
        return False

    def _chosen_encoder(self, layout: Layout) -> Any:
        """Return the encoder to be built: the one that "auto" stands for, or that was given."""
        is_auto = isinstance(self.encoder, str) and self.encoder == "auto"
        return self._auto_encoder(layout) if is_auto else self.encoder

    def _auto_encoder(self, layout: Layout) -> str:
        """Choose the encoder that "auto" stands for."""
        return "patch_network" if layout.is_image else "mlp"

    def _auto_view(self, layout: Layout) -> View:
        """Choose the view that "auto" stands for."""
        return VIEWS["augment"] if layout.is_image else Identity()


class SolutionMixin:
    """What the closed form has found, as attributes."""

    net_: EncoderNet
    solver_: str

    @property
    def canonical_correlations_(self) -> NDArray[np.float64]:
        """Correlations of the directions of the closed form, the largest first."""
        return self._solution().correlations.cpu().double().numpy()

    @property
    def directions_(self) -> NDArray[np.float64]:
        """Rotation from ``hidden`` to the directions of the closed form, as columns."""
        return rotation(len(self._solution().correlations)).T.numpy()

    def _solution(self) -> LinearEncoder:
        """Return the encoder, if it is still that of the closed form."""
        check_is_fitted(self)
        encoder = self.net_.module_[1]
        if not isinstance(encoder, LinearEncoder) or self.solver_ != "closed form":
            raise AttributeError(
                "Only what was fitted in closed form alone has canonical correlations and "
                "directions: see max_epochs."
            )
        return encoder


def is_linear(encoder: Any, *, automatic: bool) -> bool:
    """Return whether an encoder given as a parameter is linear in fixed features.

    Parameters
    ----------
    encoder : str, Module, class or callable
    automatic : bool
        Whether "auto" is.
    """
    while isinstance(encoder, partial):
        encoder = encoder.func
    if isinstance(encoder, str):
        if encoder == "auto":
            return automatic
        encoder = ENCODERS[encoder]
    kind: type = encoder if isinstance(encoder, type) else type(encoder)
    return issubclass(kind, LinearEncoder)


def needs_gradients(bound: Any, critic: Any, critic_units: Any, negatives: Any) -> list[str]:
    """List those of these parameters that have no closed form."""
    plain = {
        "bound": bound == "auto",
        "critic": isinstance(critic, str) and critic in ("auto", "gaussian"),
        "critic_units": critic_units == "auto",
        "negatives": negatives == "all",
    }
    return [name for name, is_plain in plain.items() if not is_plain]


def weights_of_terms(given: Mapping[str, Any], *, closed: bool) -> dict[str, float]:
    """Return the weights of both terms of information, "auto" resolved.

    Parameters
    ----------
    given : mapping of {"local", "global"} to float or "auto"
    closed : bool
        Whether the closed form is computed.
    """
    automatic = {"local": 1.0, "global": 0.0}
    if closed and all(isinstance(weight, str) for weight in given.values()):
        automatic = {"local": 0.0, "global": 1.0}
    return {n: automatic[n] if isinstance(w, str) else float(w) for n, w in given.items()}


def refuse(estimator: Any, names: Sequence[str]) -> str:
    """Explain which parameters have no closed form."""
    given = ", ".join(f"{name}={getattr(estimator, name)!r}" for name in names or ["encoder"])
    return (
        f"max_epochs=0 computes the closed form of Deep InfoMax, which cannot honour {given}. "
        "Give at least one epoch to train by gradients, or leave these at their defaults."
    )


def warn_of_idle(estimator: Any) -> None:
    """Warn of parameters that were set, but of which the closed form makes no use."""
    defaults = inspect.signature(type(estimator)).parameters
    idle = [
        f"{name}={getattr(estimator, name)!r}"
        for name in OF_GRADIENTS
        if name in defaults and not is_same(getattr(estimator, name), defaults[name].default)
    ]
    if idle:
        warnings.warn(
            f"{', '.join(idle)} had no effect: with these parameters the closed form is computed, "
            "without gradients. To train by gradients from there, set max_epochs to 1 or more.",
            UserWarning,
            stacklevel=5,
        )
