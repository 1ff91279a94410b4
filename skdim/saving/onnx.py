"""An encoder as a model of ONNX."""

import copy
import os
import warnings

import torch
from torch import Tensor, nn

from skdim.encoders import layer_of
from skdim.saving.container import check_regular, write_atomically

__all__ = ["Transforming", "export"]


class Transforming(nn.Module):
    """Module that returns the layer that ``transform`` returns."""

    def __init__(self, encoder: nn.Module, layer: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.layer = layer

    def forward(self, samples: Tensor) -> Tensor:
        """Encode samples to features (n, n_features_out)."""
        return layer_of(self.encoder(samples), self.layer).flatten(1)


def export(
    model: nn.Module,
    shape: tuple[int, ...],
    path: str | os.PathLike[str],
    *,
    output: str = "features",
) -> None:
    """Write a module, for samples of a shape, as a model of ONNX; the module is copied.

    Raises
    ------
    ImportError
        If a package that this needs is missing.
    ValueError
        If ONNX has no form for something in the encoder.
    OSError
        If the file cannot be written.
    """
    check_regular(path)
    try:
        import onnxscript  # noqa: F401, PLC0415
    except ImportError as error:
        raise ImportError(
            'to_onnx needs the packages onnx and onnxscript: pip install "scikit-deepinfomax[onnx]"'
        ) from error
    model = copy.deepcopy(model).cpu().eval()
    samples = torch.zeros(2, *shape)  # One would be taken for a size that is always one.
    try:
        with warnings.catch_warnings():
            # Of torch to itself: of what its exporter will call otherwise one day.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                model,
                (samples,),
                dynamo=True,
                input_names=["samples"],
                output_names=[output],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ValueError(
            f"ONNX has no form for something in this encoder: {str(error).splitlines()[0]}"
        ) from error
    assert program is not None
    # torch goes on without a word where a number of samples became part of the model.
    shape_of_input = program.model.graph.inputs[0].shape
    if shape_of_input is None or isinstance(shape_of_input[0], int):
        raise ValueError(
            "The encoder can be exported for one number of samples only: something in it takes "
            "that number for fixed, such as len(x). Write x.shape[0] there."
        )
    write_atomically(path, program.model_proto.SerializeToString())
