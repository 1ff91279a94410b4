"""What the user holds: scikit-learn transformers."""

from skdim.estimators.deep_infomax import DeepInfoMaxTransformer

__all__ = ["DeepInfoMaxTransformer"]
