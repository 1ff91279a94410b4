"""What the user holds: scikit-learn transformers."""

from skdim.estimators.aae import AAETransformer
from skdim.estimators.autoencoder import AutoencoderTransformer
from skdim.estimators.bigan import BiGANTransformer
from skdim.estimators.cpc import CPCTransformer
from skdim.estimators.deep_infomax import DeepInfoMaxTransformer
from skdim.estimators.loading import load
from skdim.estimators.nat import NATTransformer
from skdim.estimators.vae import VAETransformer

__all__ = [
    "AAETransformer",
    "AutoencoderTransformer",
    "BiGANTransformer",
    "CPCTransformer",
    "DeepInfoMaxTransformer",
    "NATTransformer",
    "VAETransformer",
    "load",
]
