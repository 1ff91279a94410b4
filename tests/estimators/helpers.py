"""What the tests of estimators share."""

from functools import partial
from inspect import signature

from skdim import DeepInfoMaxTransformer, EncoderTransformer
from skdim.objectives import AAE, AMDIM, CPC, NAT, VAE, Autoencoder, BiGAN, InfoMax


def weights_of(fitted):
    """Everything trained, as numbers that compare with ``==``."""
    state = fitted.net_.state()
    return {
        f"{part}.{name}": tensor.cpu().numpy().tobytes()
        for part in state
        for name, tensor in state[part].items()
    }


def trained_by(kind, *args, **parameters):
    """Make a transformer for a class of objectives, whose parameters stand among the others."""
    own = {name: parameters.pop(name) for name in signature(kind).parameters if name in parameters}
    return EncoderTransformer(*args, objective=kind(**own), **parameters)


# Deep InfoMax by its own class, and each objective by EncoderTransformer.
KINDS = {
    "DeepInfoMaxTransformer": DeepInfoMaxTransformer,
    **{
        kind.__name__: partial(trained_by, kind)
        for kind in (AAE, AMDIM, CPC, NAT, VAE, Autoencoder, BiGAN, InfoMax)
    },
}


def plain_parameters(model):
    """Parameters by their values: objectives are objects, which are equal to themselves only."""
    return {name: value for name, value in model.get_params().items() if name != "objective"}
