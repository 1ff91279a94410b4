"""Export modules to ONNX."""

import copy
import os
import warnings

import torch
from torch import Tensor, nn

from skdim.encoders import layer_of
from skdim.saving.container import check_regular, write_atomically


class LayerOutput(nn.Module):
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
    """Export a copy of a module, for samples of a shape, to a file in ONNX format.

    Raises
    ------
    ImportError
        If a required package is missing.
    ValueError
        If ONNX does not support an operation of the encoder.
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
    samples = torch.zeros(2, *shape)  # The exporter takes sizes of 1 for constant.
    try:
        with warnings.catch_warnings():
            # Deprecation warnings within torch.
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
            f"ONNX does not support an operation of the encoder: {str(error).splitlines()[0]}"
        ) from error
    assert program is not None
    # torch raises no error if the number of samples became a constant of the model.
    shape_of_input = program.model.graph.inputs[0].shape
    if shape_of_input is None or isinstance(shape_of_input[0], int):
        raise ValueError(
            "The encoder can be exported for one number of samples only: it uses that number as "
            "a constant, as by len(x). Use x.shape[0] instead."
        )
    write_atomically(path, program.model_proto.SerializeToString())
