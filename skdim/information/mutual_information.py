"""Mutual information of two arrays, evaluated on held-out rows."""

from typing import TypeAlias

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from torch import Tensor
from tqdm.auto import tqdm

from skdim.information.columns import Columns, Discrete, read_pair
from skdim.information.critics import MakeCritic, find_critic, fit_critic
from skdim.information.discrete import discrete_information
from skdim.information.estimate import InformationEstimate
from skdim.information.fitting import Fitted, Training, make_folds
from skdim.information.numeric import numeric_information
from skdim.random import draw_seed

Values: TypeAlias = ArrayLike | Tensor


def mutual_information(
    x: Values,
    z: Values,
    *,
    discrete: Discrete = "auto",
    classifier: ClassifierMixin | None = None,
    bound: str = "dv",
    critic: str | MakeCritic | None = "dot",
    test_size: float = 0.2,
    max_epochs: int = 40,
    batch_size: int = 250,
    learning_rate: float = 5e-3,
    random_state: int | np.random.RandomState | None = None,
    device: str | torch.device = "cpu",
    n_jobs: int | None = None,
    verbose: bool = False,
) -> InformationEstimate:
    r"""Estimate the mutual information of x and z on held-out rows.

    **Discrete variables.** The information of a discrete variable, such as a label, about any
    other is the entropy of the label minus the log loss of a classifier, which is cross-fitted:
    the rows are divided into parts, and each part is predicted by a classifier fitted on all other
    parts. If both variables are discrete, counts are sufficient. Entropies are corrected for the
    bias of relative frequencies.

    **Numeric variables.** Each column is first replaced by its normal scores, which preserves
    mutual information. Variables of more than n / 5 columns, such as images, are reduced to their
    principal directions. The estimate is the sum of two parts: the information of a normal copula,
    corrected for its bias, where the copula describes held-out rows; and what networks add to it
    on held-out rows. These are critics that are cross-fitted as above, the log density ratio of
    the copula plus a network that is initially zero. Each half of a part selects the epoch whose
    weights are evaluated on the other half. Half of the difference between training and held-out
    rows, at most a tenth of the value, is added, so that the estimate is not a lower bound. Nearest
    neighbours replace this estimate, among up to four columns or on the norms of both variables,
    where they find significantly more.

    The estimate tends to be too low, because networks do not learn all of the dependence.
    Independent variables give about zero, and no estimate is less.

    Parameters
    ----------
    x, z : array-like or Tensor of shape (n,) or (n, *axes)
        Samples of both variables, at least 20; row i of x belongs to row i of z. Two significant
        digits need thousands of rows.
    discrete : "auto", bool, array-like or tuple of two, default="auto"
        Which columns are discrete: all or none, or a mask or indices of columns of x. A tuple is
        for x and for z. "auto": columns of strings and other objects; a single column of booleans,
        or of integers with at least ten rows per distinct value; and indicator columns, of which
        exactly one is 1 in each row. Numeric columns of x beside discrete ones are allowed.
    classifier : classifier or None, default=None
        Classifier with ``predict_proba`` that predicts a discrete variable. None: logistic
        regression on standardised columns, and nearest neighbours among up to four columns.
    bound : {"dv", "infonce", "kl", "jsd"}, default="dv"
        Bound that critics are trained and evaluated with. ``"jsd"`` trains with Jensen-Shannon and
        evaluates with Donsker-Varadhan.
    critic : {"dot", "concat"}, callable or None, default="dot"
        Network added to the normal copula: a dot product of two embeddings, or a network of both
        variables concatenated, which is slower. A callable is passed the numbers of input features
        of x and of z and returns a :class:`skdim.critics.AbstractCritic`. None uses the normal
        copula alone.
    test_size : float, default=0.2
        Share of the rows held out at a time, at most 1/2.
    max_epochs : int, default=40
        Training stops early after 15 epochs without improvement.
    batch_size : int, default=250
        All pairs of a batch are compared. An epoch has at most 40 batches.
    learning_rate : float, default=5e-3
        Initial learning rate of AdamW with a cosine schedule.
    random_state : int, RandomState or None, default=None
        Determines the parts, the order of ties, the initial weights and the batches.
    device : str or device, default="cpu"
        Where networks are trained.
    n_jobs : int or None, default=None
        Number of parts that are fitted in parallel, as in scikit-learn. It does not change the
        estimate.
    verbose : bool, default=False
        Whether to show a progress bar.

    Returns
    -------
    information : InformationEstimate
        A float, in nats, with ``standard_error``, ``interval(level)``, ``pointwise_``,
        ``method_``, ``curve_``, ``ceiling`` and ``warnings_``. ``curve_`` has one entry per part,
        with ``training``, ``halves``, ``selected`` and ``held_out``. The ceiling is the entropy of
        a discrete variable; for numeric variables it is the log of the number of rows of a part.
        Above that, critics may separate all true pairs from all false ones.

    Raises
    ------
    ValueError
        If the arrays differ in length, contain values that are not finite or have too few rows; or
        if a parameter is out of range.
    FloatingPointError
        If the training of a critic diverges.

    Warns
    -----
    UntrustedEstimateWarning
        If the estimate exceeds its ceiling, which is returned instead; if critics score much
        higher on the rows that they were trained on; if regression on squares and products of
        columns explains more than the critics find; if there are fewer rows than ten times the
        number of columns; or if there are fewer than ten rows per value of a discrete variable.

    References
    ----------
    Belghazi et al. (2018), Mutual information neural estimation, arXiv:1801.04062. Poole et al.
    (2019), On variational bounds of mutual information, arXiv:1905.06922. McAllester and Stratos
    (2020), Formal limitations on the measurement of mutual information, arXiv:1811.04251.
    Chernozhukov et al. (2018), Double/debiased machine learning, on cross-fitting,
    arXiv:1608.00060. Kraskov, Stögbauer and Grassberger (2004), Estimating mutual information,
    arXiv:cond-mat/0305641.

    Examples
    --------
    >>> from skdim.information import TASKS
    >>> x, z = TASKS["1v1-bimodal-0.75"].draw(1000, random_state=0)
    >>> estimate = mutual_information(x, z, random_state=0)
    >>> bool(abs(estimate - 0.413) < 0.1)
    True
    >>> low, high = estimate.interval(0.9)
    >>> low < estimate < high
    True
    >>> labels = np.where(x[:, 0] > np.median(x[:, 0]), "high", "low")
    >>> mutual_information(z, labels, random_state=0).ceiling
    0.693...
    """
    pair = read_pair(x, z, discrete)
    make = find_critic(bound, critic)
    training = Training(max_epochs, 15, batch_size, learning_rate)
    draws = np.random.default_rng(draw_seed(random_state))
    folds = make_folds(len(pair[0].codes), test_size, draws)
    if any(side.is_discrete for side in pair):
        return discrete_information(pair, classifier, len(folds), draws, n_jobs)
    seeds = draws.integers(2**63, size=len(folds)).tolist()

    def fit(scores: list[Columns]) -> list[Fitted]:
        tasks = zip(tqdm(folds, desc="critics", disable=not verbose), seeds, strict=True)
        fitted: list[Fitted] = Parallel(n_jobs=n_jobs)(
            delayed(fit_critic)(scores, fold, bound, make, training, seed, device)
            for fold, seed in tasks
        )
        return fitted

    columns = [side.encoded for side in pair]
    return numeric_information(columns, folds, fit, draws, make is not None)
