"""What makes a transformer last: what a pickle holds, files, and models for other runtimes."""

import os
from typing import TYPE_CHECKING, Any, Self

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skdim.estimators.parameters import Rule, check_parameters
from skdim.estimators.saving.exporting import export
from skdim.estimators.saving.rebuilding import MakeEncoder, MakeObjective, pack, rebuild
from skdim.estimators.saving.writing import write_state
from skdim.inputs import Layout
from skdim.persistence import versions, warn_of_versions
from skdim.training import EncoderNet
from skdim.views import View

__all__ = ["PACKED", "PersistentMixin"]

# What a state holds beside attributes.
VERSIONS, PACKED = "_versions", "_packed"


class PersistentMixin(BaseEstimator):
    """Pickling without torch and skorch, ``save`` and ``to_onnx`` of a transformer."""

    if TYPE_CHECKING:  # What AbstractTransformer has.
        net_: EncoderNet
        checkpoint_dir: Any
        _built: dict[str, Any]
        _layer: str
        _layout: Layout
        _make_encoder: MakeEncoder
        _make_objective: MakeObjective

        def _auto_view(self, layout: Layout) -> View: ...

        def _rules(self) -> dict[str, Rule]: ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write this fitted transformer to one file, which :func:`skdim.load` reads.

        The file has the format safetensors: tensors, and a header in JSON with parameters,
        versions and a SHA-256 of the content. It holds no code, and reading it executes none.
        Weights of the objective are in it, since ``score`` needs them; samples and the state of the
        optimizer are not. It is written beside an older file of that name, which it replaces only
        when it is whole.

        Parameters
        ----------
        path : path
            By custom ``NAME.skdim``.

        Raises
        ------
        ValueError
            If there are weights of a type that cannot be saved, or this class is not one of skdim.
        OSError
            If the file cannot be written: what was there is untouched.

        Notes
        -----
        Parameters that are modules or callables of your own are named in the file, and are given
        again on loading: ``skdim.load(path, encoder=my_encoder)``. ``checkpoint_dir`` is not saved.
        """
        check_is_fitted(self)
        state = dict(super().__getstate__())
        write_state(path, type(self), state, list(self.get_params(deep=False)))

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write what ``transform`` computes as a model of ONNX, for other runtimes.

        Its input ``samples`` is float32 of shape (n, C, H, W), (n, C, L) or (n, d), for any n, as
        ``read_samples`` gives them (uint8 made float32). Its output ``features`` is what
        ``transform`` gives, of shape (n, n_features_out).

        Needs the packages onnx and onnxscript: ``pip install "scikit-deepinfomax[onnx]"``.

        Parameters
        ----------
        path : path
            By custom ``NAME.onnx``.

        Raises
        ------
        ImportError
            If these packages are missing.
        ValueError
            If ONNX has no form for something in the encoder.
        OSError
            If the file cannot be written: what was there is untouched.
        """
        check_is_fitted(self)
        export(self.net_.module_, self._layer, self._layout.shape, path)

    def __sklearn_clone__(self) -> Self:
        """Clone, and remember it: of clones a search makes many, whose checkpoints go apart."""
        clone: Self = super().__sklearn_clone__()
        if self.checkpoint_dir is not None:
            clone._is_clone = True
        return clone

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: attributes, versions, and the net in plain parts.

        A net that was built from a user's own module or callable stays as it is: that may hold more
        than weights, and may not be built twice alike.
        """
        state = dict(super().__getstate__())
        state[VERSIONS] = versions()
        # A subclass elsewhere may build its net by more than what is written down here.
        if "net_" in state and type(self).__module__.startswith("skdim."):
            packed = pack(self.net_, self._built)
            if packed is not None:
                del state["net_"]
                state[PACKED] = packed
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take back what ``__getstate__`` gave, and build the net again."""
        state = dict(state)
        then, packed = state.pop(VERSIONS, None), state.pop(PACKED, None)
        if then is not None:
            warn_of_versions(type(self).__name__, then)
        super().__setstate__(state)
        if packed is not None:
            # The net is built from the parameters that it was fitted with; then all are as they
            # were, since set_params may have changed them.
            self.__dict__.update(self._built["parameters"])
            if "stranger" in packed:
                check_parameters(self, self._rules())
            self.net_ = rebuild(
                self,
                self._layout,
                self._built,
                packed,
                self._make_encoder,
                self._make_objective,
                self._auto_view,
            )
            self.__dict__.update(state)
        if packed is not None and "stranger" in packed:
            check_parameters(self, self._rules())
