"""What the user holds: scikit-learn transformers."""

from skdim.estimators.classifier import DeepInfoMaxClassifier
from skdim.estimators.deep_infomax import DeepInfoMaxTransformer
from skdim.estimators.loading import load
from skdim.estimators.transformer import EncoderTransformer

__all__ = ["DeepInfoMaxClassifier", "DeepInfoMaxTransformer", "EncoderTransformer", "load"]
