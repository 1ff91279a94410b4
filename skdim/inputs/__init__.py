"""Arrays, images, tables and streams as samples in the layout of an encoder."""

from skdim.inputs.conversion import (
    Conversion,
    as_given,
    find_conversion,
    find_equal_values,
    rounded,
)
from skdim.inputs.images import ImageFolder, as_images
from skdim.inputs.items import find_map
from skdim.inputs.layout import Layout, check_kind, convert_tensor, find_layout, flatten_rows
from skdim.inputs.paired import PairedDataset, separate_looks
from skdim.inputs.samples import ArraySamples, Samples
from skdim.inputs.standardise import NUMBERS_AT_ONCE, Standardise, channel_statistics
from skdim.inputs.streams import Stream, StreamSamples

__all__ = [
    "NUMBERS_AT_ONCE",
    "ArraySamples",
    "Conversion",
    "ImageFolder",
    "Layout",
    "PairedDataset",
    "Samples",
    "Standardise",
    "Stream",
    "StreamSamples",
    "as_given",
    "as_images",
    "channel_statistics",
    "check_kind",
    "convert_tensor",
    "find_conversion",
    "find_equal_values",
    "find_layout",
    "find_map",
    "flatten_rows",
    "rounded",
    "separate_looks",
]
