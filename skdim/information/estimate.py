"""The result of an estimate of information: a float with its uncertainty."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from skdim.information.columns import Columns
from skdim.information.fitting import Curve, UntrustedEstimateWarning
from skdim.parameters import warn_user

# Standard errors by which a method must exceed another estimate, and an estimate of zero.
SIGNIFICANT, DEPENDENT = 2.0, 4.0


def standard_error(values: Columns) -> float:
    """Return the standard error of the mean of values (n,)."""
    return float(values.std() / math.sqrt(len(values)))


def exceeds(pointwise: Columns, value: float, others: Columns, needed: float = SIGNIFICANT) -> bool:
    """Return whether the mean of pointwise values (n,) is significantly larger than an estimate.

    ``others`` are the pointwise values (n,) of that estimate. ``needed`` are standard errors of the
    difference; more are needed of an estimate of zero.
    """
    if value <= 0:
        needed = DEPENDENT
    return bool(pointwise.mean() - value > needed * standard_error(pointwise - others))


@dataclass
class BestEstimate:
    """The largest of the estimates that were compared so far; see :class:`InformationEstimate`.

    ``missed`` is a lower bound of the nonlinear dependence that networks have not learned.
    """

    method: str
    value: float
    pointwise: Columns
    spread: float = 0.0
    shortfall: float = 0.0
    missed: float = 0.0

    def or_larger(
        self,
        method: str,
        pointwise: Columns,
        spread: float = 0.0,
        uncorrected: Columns | None = None,
        needed: float = SIGNIFICANT,
    ) -> "BestEstimate":
        """Return the mean of pointwise values (n,) of another method if it is larger, or self.

        A copula is exact where variables are jointly normal: it is compared with the
        ``uncorrected`` values.
        """
        compared = pointwise
        if self.method == "copula" and uncorrected is not None:
            compared = uncorrected
        if exceeds(compared, self.value, self.pointwise, needed):
            return BestEstimate(method, float(pointwise.mean()), pointwise, spread)
        return self

    def estimate(
        self, ceiling: float, curve: Sequence[Curve], messages: Sequence[str]
    ) -> "InformationEstimate":
        """Return the result, which is not negative, and issue its warnings."""
        for message in messages:
            warn_user(message, UntrustedEstimateWarning)
        return InformationEstimate(
            max(self.value, 0.0),
            pointwise=self.pointwise,
            method=self.method,
            ceiling=ceiling,
            spread=self.spread,
            shortfall=self.shortfall + self.missed,
            curve=curve,
            warnings=messages,
        )


class InformationEstimate(float):
    """An estimate of information in nats, with its uncertainty.

    It is a float: arithmetic and comparisons use the estimate alone and return plain floats.

    Parameters
    ----------
    value : float, default=0.0
        The estimate, in nats.
    pointwise : array-like of shape (n,), default=()
        Log density ratio of each row. A constant is added so that the mean equals the estimate.
    method : str, default=""
        Name of the method that the estimate is from.
    ceiling : float, default=inf
        Largest value that the method can return.
    spread : float, default=0.0
        Standard error in addition to that of the mean of the pointwise values.
    shortfall : float, default=0.0
        Amount by which the estimate may be too low in addition to sampling error.
    curve : sequence of Curve, default=()
        Learning curves of the networks.
    warnings : sequence of str, default=()
        Messages of the warnings that were issued.

    Attributes
    ----------
    standard_error : float
        Standard error of the estimate, as if rows were independent.
    ceiling, shortfall : float
    method_ : str
    curve_ : list of Curve
    pointwise_ : ndarray of shape (n,)
    warnings_ : list of str

    Examples
    --------
    >>> estimate = InformationEstimate(0.5, pointwise=[0.0, 1.0, 0.2, 0.8], method="copula")
    >>> estimate
    InformationEstimate(0.500 ± 0.206 nats, method='copula')
    >>> estimate + 1
    1.5
    >>> low, high = estimate.interval(0.9)
    >>> round(low, 3), round(high, 3)
    (0.161, 0.839)
    """

    def __new__(cls, value: float = 0.0, **attributes: object) -> Self:
        """Create the float."""
        return super().__new__(cls, value)

    def __init__(
        self,
        value: float = 0.0,
        *,
        pointwise: ArrayLike = (),
        method: str = "",
        ceiling: float = math.inf,
        spread: float = 0.0,
        shortfall: float = 0.0,
        curve: Sequence[Curve] = (),
        warnings: Sequence[str] = (),
    ) -> None:
        ratios: Columns = np.array(pointwise, dtype=np.float64)
        self.pointwise_ = ratios - ratios.mean() + float(self) if ratios.size else ratios
        self.standard_error = math.hypot(standard_error(ratios) if ratios.size else 0.0, spread)
        self.method_ = method
        self.ceiling = ceiling
        self.shortfall = shortfall
        self.curve_ = list(curve)
        self.warnings_ = list(warnings)

    def interval(self, level: float = 0.9) -> tuple[float, float]:
        """Compute a confidence interval.

        The standard errors on both sides are those of a normal distribution. The upper end also
        includes the shortfall. It is infinite where the estimate is at its ceiling.

        Parameters
        ----------
        level : float, default=0.9
            Nominal coverage, inside (0, 1).

        Returns
        -------
        low, high : float
            In nats, at least 0.
        """
        if not 0 < level < 1:
            raise ValueError(f"level={level!r}; a number inside (0, 1) is needed.")
        width = float(ndtri((1 + level) / 2)) * self.standard_error
        high = math.inf if self >= self.ceiling else float(self) + width + self.shortfall
        return max(float(self) - width, 0.0), high

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({float(self):.3f} ± {self.standard_error:.3f} nats, "
            f"method={self.method_!r})"
        )
