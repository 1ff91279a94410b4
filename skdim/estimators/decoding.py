"""From codes back to samples, where an objective has a decoder."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Generator, Tensor

from skdim.inference import chunk_size, filled_up
from skdim.inputs import Conversion, Layout
from skdim.objectives import AbstractObjective
from skdim.parameters import check_count
from skdim.random import draw_seed
from skdim.training import EncoderNet

__all__ = ["DecodingMixin"]


class DecodingMixin:
    """Decode codes to samples."""

    if TYPE_CHECKING:  # What an estimator with an encoder has.
        net_: EncoderNet
        device_: torch.device
        output_: str
        _layout: Layout
        _built: Any
        _given_shape: tuple[int, ...]

        def _get_objective(self) -> AbstractObjective: ...

    @available_if(lambda self: self._get_objective().has_decoder)
    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Decode codes to samples.

        Only with an objective that has a decoder: :class:`~skdim.objectives.Autoencoder`, ``VAE``
        and ``AAE``, and ``BiGAN``, whose generator decodes.

        Parameters
        ----------
        X : array-like of shape (n, n_components)
            Codes, as ``transform`` returns them with ``output="code"``.

        Returns
        -------
        ndarray of shape (n, *shape)
            Samples in the units and the shape of those of ``X`` in ``fit``. Values are not clipped
            to the range of the data.

        Raises
        ------
        ValueError
            If ``output`` is not "code", ``X`` are not codes, or the objective was set after the
            fit.
        """
        check_is_fitted(self)
        if self.output_ != "code":
            raise ValueError(
                f"inverse_transform decodes codes, but output={self.output_!r}. Set output='code' "
                "and fit."
            )
        size = self._code_size()
        codes = check_array(X, dtype=np.float32, input_name="X")
        if codes.shape[1] != size:
            raise ValueError(f"X has {codes.shape[1]} columns, but codes have {size}.")
        return self._decode(torch.tensor(codes, device=self.device_))

    @available_if(lambda self: self._get_objective().has_sampler)
    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> NDArray[Any]:
        """Draw new samples: codes from the prior, decoded.

        Only with ``VAE``, and with ``AAE`` and ``BiGAN`` where the prior is "normal" or "uniform".

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, d), (n_samples, H, W), ...
            As of ``inverse_transform``.

        Raises
        ------
        ValueError
            If ``n_samples`` is not an integer of at least 1.
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        generator = Generator(device=self.device_).manual_seed(draw_seed(random_state))
        with torch.no_grad():
            size = (int(n_samples), self._code_size())
            codes = self.net_.criterion_.draw_codes(size, generator)
        return self._decode(self._present(codes))

    def _present(self, made: Tensor | None) -> Tensor:
        """Return what was decoded or drawn; raise a ValueError if the criterion makes none."""
        if made is None:
            raise ValueError(
                f"{type(self).__name__} was fitted with an objective that has no decoder, or draws "
                "no codes. Fit it again with the present one."
            )
        return made

    def _code_size(self) -> int:
        """Return the number of components of a code."""
        return int(self._built.n_features_out("code"))

    @torch.no_grad()
    def _decode(self, codes: Tensor) -> NDArray[Any]:
        """Decode codes (n, d) chunk by chunk, and undo the standardisation."""
        standardise = self.net_.module_[0]
        size, parts = chunk_size(self.device_), []
        for chunk in codes.split(size):
            whole = self._present(self.net_.criterion_.decode_codes(filled_up(chunk, size)))
            decoded = whole[: len(chunk)].float()
            parts.append((decoded * standardise.scale + standardise.mean).cpu())
        rows: NDArray[Any] = self._layout.restore(torch.cat(parts)).flatten(1).numpy()
        kept = getattr(self, "_conversion", None)
        if kept is not None:
            rows = Conversion.of(kept, self._layout).undo(rows)
        return rows.reshape(len(rows), *self._given_shape)
