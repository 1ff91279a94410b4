"""Deep InfoMax as a scikit-learn transformer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch

from skdim.estimators.transformer import EncoderTransformer
from skdim.estimators.validation import COMMON_RULES
from skdim.objectives import InfoMax
from skdim.objectives.infomax import InfoMaxParameters


@dataclass(eq=False, repr=False, kw_only=True)
class DeepInfoMaxTransformer(EncoderTransformer, InfoMaxParameters):
    r"""Learn representations of unlabelled data by Deep InfoMax.

    The code of a sample is trained to have much information about the sample's local features (each
    of which depends on a part of the sample), or about its last map as a whole; codes may also be
    matched to a prior. Critics are discarded after training. ``transform`` returns the code, or
    another layer.

    By default nothing is trained by gradients: for a code that is linear in fixed features, and a
    Gaussian critic, the maximum of the information between two looks at a sample is computed in
    closed form. Networks are trained by gradients if ``max_epochs`` or other parameters require it;
    see ``solver_``.

    Parameters
    ----------
    n_components : int, default=64
        Size of the code.
    image_shape : tuple of int, default=None
        ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)`` of one image, if the rows of a 2-D ``X`` are
        flattened images. Without it, the rows of a 2-D ``X`` are vectors (for an encoder of
        signals: signals of one channel, or of the ``image_shape`` ``(C, L)``).
    channel_axis : {None, 1, -1}, default=None
        Whether samples have their channels first (1) or last (-1). None infers it for images: an
        axis of at most four entries at one end, else the one that differs from two equal sides.
    encoder : str, Module or callable, default="auto"
        The encoder. "auto" is "patches" for images and "columns" for vectors, whose codes are
        computed in closed form; with gradients, "patch_network" and "mlp". "kernels" reads a 3-D
        ``X`` as signals, in closed form as well, "conv1d" is a network for them; "dcgan" is the
        paper's network. See :mod:`skdim.encoders`. Or a torch module (copied) that maps
        standardised samples to :class:`~skdim.encoders.Features` or to a pair (local, code) of
        tensors (n, c, \*grid) and (n, d), whose ``d`` replaces ``n_components``; or a callable
        ``(input_shape, n_components)`` that returns such a module, such as a
        :class:`~skdim.encoders.HookedEncoder` of any backbone.
    output : {"code", "hidden", "conv", "local"}, default="code"
        Layer that ``transform`` returns; maps are flattened.
    global_weight, local_weight : float or "auto", default="auto"
        Weights of the terms of information: alpha and beta of the paper. A term of weight 0 is not
        computed. If both are "auto", the closed form compares codes with the whole other look
        (1 and 0), and training by gradients with its locations (0 and 1). If only one is "auto",
        it is 0 for ``global_weight`` and 1 for ``local_weight``.
    prior_weight : float, default=0.0
        Weight of the prior: gamma of the paper.
    coordinate_weight, relative_coordinate_weight : float, default=0.0
        Weights of two tasks that need a map of several locations: to predict the coordinates of a
        location from its local feature and the code; and the difference of two locations.
    classifier_weight : float, default=0.0
        Weight of a classifier of the labelled samples. Above 0, ``fit`` needs ``y``, with -1 where
        there is no label; at 0, ``y`` is ignored.
    classifier_layer : {"code", "hidden", "conv", "local"}, default="code"
        Layer that it classifies; maps are flattened.
    bound : {"auto", "jsd", "infonce", "dv", "kl", "rkl", "h2", "chi2"} or Bound, default="auto"
        Function of scores that is maximised; see :mod:`skdim.bounds`. "auto" is "infonce" with
        gradients; the closed form needs no bound. Or a :class:`~skdim.bounds.Bound`.
    critic : str, AbstractCritic, callable or dict, default="auto"
        Critic of pairs of codes and maps: "dot", "encode_and_dot", "concat", "map", "gaussian" or
        "auto"; see :mod:`skdim.critics`. "auto" is "gaussian" in closed form, and "dot" with
        gradients. "map" compares with whole local maps, in the global term only. Or a critic
        (copied), or a callable ``(code_features, local_features)`` that returns one, or a dict of
        these for "local" and "global".
    critic_units : int, tuple of int, dict or "auto", default="auto"
        Width of the critics given by name: 256 for "dot", the paper's 2,048 for "encode_and_dot"
        and 512 for "concat" and "map", for which a tuple is the widths of all hidden layers. Or a
        dict of these for "local" and "global".
    negatives : {"all", "shift"} or int, default="all"
        False pairs: every location of every other sample of the batch, those of the next sample,
        or, for an int, that many locations of other samples drawn for each location.
    prior : {"uniform", "normal", "sphere"} or Prior, default="uniform"
        Distribution that codes are matched to if ``prior_weight`` is above 0. A
        :class:`~skdim.priors.Prior` may have a discriminator of its own and a gradient penalty,
        which stabilises training with weights of 1 and more.
    view : str, callable or None, default="auto"
        Transformation of samples in training: "augment", "distort", "mirror", "occlude" or
        "stretch"; see :mod:`skdim.views`. "auto" does not change vectors, and returns several looks
        at others: at images in closed form :meth:`Augment.crops <skdim.views.Augment.crops>`, with
        gradients "augment", of different shift and brightness; at signals "stretch". "occlude"
        hides a part of each image from its code; None is the form in the paper. Or a view with
        strengths of its own, such as :meth:`Augment.amdim() <skdim.views.Augment.amdim>` for
        photographs; or any callable ``(x, generator) -> looks``.
    max_epochs : int or "auto", default="auto"
        Epochs of training by gradients. 0 is the closed form alone, and so is "auto" if the other
        parameters have one; else "auto" is 800 / sqrt(n) for n samples, at most 100: 24 for 1,200
        samples, 8 for 10,000.
    batch_size : int, default=64
        Maximum number of samples in a batch. More samples give more negatives.
    learning_rate : float, default=1e-3
        Peak learning rate of the schedule.
    optimizer : {"adam", "adamw", "adam_gan", "sgd"} or callable, default="adam"
        "adam_gan" is Adam with betas (0.5, 0.999), as GANs are trained. Or a class of
        ``torch.optim``, or anything called with parameters and ``lr``.
    schedule : {"constant", "cosine", "one_cycle"} or callable, default="one_cycle"
        Schedule of the learning rate over the steps of a ``fit``. Or a callable that maps the
        fraction of the steps taken, in [0, 1), to a factor of the learning rate.
    validation_fraction : float, default=None
        Fraction of the samples that is held out, with its score in ``history_`` after each epoch.
        None is 0.1 with early stopping, else 0.
    early_stopping : bool, default=False
        Whether to stop when that score no longer increases, and restore the best epoch.
    n_iter_no_change : int, default=10
        Number of epochs without an increase after which to stop.
    tol : float, default=1e-4
        Minimum increase.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the last one, or, in closed form, adds its
        samples to the earlier ones. Parameters of the net must not change.
    random_state : int, RandomState or None, default=None
        Seed of all random draws. The states of the global generators of torch, NumPy and Python are
        restored.
    device : str or torch.device, default="auto"
        "auto" is the accelerator of torch if there is one that works, else the CPU.
        "accelerate" trains one model on all the processes that ``accelerate launch`` has started:
        see :doc:`/guide/several_processes`.
    precision : {"float32", "bfloat16"}, default="float32"
        Data type of training; weights, bounds and the optimizer stay in float32, and so does
        ``transform``. "bfloat16" is 1.4 to 1.7 times as fast where the device has instructions for
        it.
    compile : bool or str, default=False
        Whether to compile the training step with :func:`torch.compile`, or in which of its modes;
        True uses CUDA graphs ("reduce-overhead") on CUDA. Compiling takes half a minute or more,
        and needs a C++ compiler on the CPU, Triton on CUDA.
    callbacks : list of skorch callbacks, default=None
        See :class:`~skdim.training.EncoderNet` for their events. For those of skorch that would
        have no effect, such as ``LRScheduler``, an error names the parameter to use. Callbacks of
        scikit-learn (1.9 and later) are set by ``set_callbacks``.
    verbose : int, default=0
        1 shows progress, with the remaining time and the information in nats: a bar in terminals
        and notebooks, lines at most every ten seconds elsewhere. 2 prints a line with all terms
        each epoch. With 0, a ``fit`` of more than ten seconds logs its expected duration on the
        logger "skdim", which is shown after ``logging.basicConfig(level=logging.INFO)``.
    checkpoint_dir : str or path, default=None
        Folder for checkpoints, in a subfolder for each data set and each setting. An interrupted
        ``fit`` resumes from there when it is called again with the same data and parameters, to the
        same result: see :doc:`/guide/checkpoints`.
    checkpoint_every : int, default=1
        Epochs from one checkpoint to the next. The best epoch of early stopping always has one.

    Attributes
    ----------
    net_ : EncoderNet
        The skorch net: ``module_`` is the encoder, ``criterion_`` the objective.
    encoder_ : Module
        The trained encoder, standardisation included.
    n_features_in_ : int
        Number of values in a sample; channels, height and width multiplied.
    feature_names_in_ : ndarray of str
        Names of the columns, where ``X`` was a table with names.
    image_shape_ : tuple of int or None
        ``(C, H, W)``; None for vectors and signals.
    solver_ : {"closed form", "gradients", "closed form then gradients"}
        How the encoder was fitted. ``" then labels"`` is appended if
        :class:`DeepInfoMaxClassifier` fine-tuned it.
    canonical_correlations_ : ndarray of shape (n_directions,)
        Only in closed form: the correlations of the directions, in decreasing order.
    directions_ : ndarray of shape (n_directions, n_directions)
        Only in closed form: ``hidden @ directions_[:, :k]`` are the k best directions, before they
        are rotated to a code.
    n_iter_ : int
        Epochs after which the weights were taken; the closed form alone counts as one.
    history_ : dict of str to list of float
        In closed form, one entry: minus the weighted information in nats, and the learning rate 0.
        Else means of each epoch: every term, their sum ``loss``, ``spread`` (standard deviation of
        the codes over samples, averaged over coordinates), ``learning_rate``, ``seconds``, and
        ``validation_score`` if samples are held out. With the terms of coordinates,
        ``coordinate_accuracy`` and ``relative_coordinate_accuracy``, averaged over the axes; with
        that of the classifier, ``classifier_accuracy``, the accuracy on labelled samples during
        training (nan if there were none).
    loss_curve_ : list of float
        ``history_["loss"]``.
    device_ : torch.device
        Device of the encoder.
    classes_ : ndarray of shape (n_classes,)
        The sorted classes, if ``classifier_weight`` was above 0.

    Notes
    -----
    ``score`` in closed form is the mean score of the Gaussian critic over true pairs of looks: an
    information in nats that depends on the view, but not on a bound or the batch size.

    With gradients it is the bound of the local term, or of the global one if only that was trained:
    in nats for the bounds "dv", "kl" and "infonce", else in the units of its divergence. It depends
    on the bound, the negatives and ``batch_size``, and can only be compared where these are equal.

    See Also
    --------
    sklearn.decomposition.PCA : The linear counterpart, and the first thing to compare with.

    References
    ----------
    Hjelm, Fedorov, Lavoie-Marchildon, Grewal, Bachman, Trischler and Bengio (2019). Learning
    deep representations by mutual information estimation and maximization. ICLR.
    arXiv:1808.06670.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skdim import DeepInfoMaxTransformer
    >>> digits = load_digits()
    >>> pipe = make_pipeline(
    ...     DeepInfoMaxTransformer(16, max_epochs=2, random_state=0),
    ...     LogisticRegression(max_iter=1000),
    ... )
    >>> pipe.fit(digits.images[:200], digits.target[:200]).predict(digits.images[200:300]).shape
    (100,)
    """

    optimizer: str | Callable[..., torch.optim.Optimizer] = "adam"
    # Not a parameter of this class, which has those of InfoMax.
    objective: ClassVar[None] = None  # type: ignore[misc]

    _rules = COMMON_RULES | dict(InfoMax.rules)

    def _get_objective(self) -> InfoMax:
        return InfoMax(**{name: getattr(self, name) for name in InfoMax.rules})
