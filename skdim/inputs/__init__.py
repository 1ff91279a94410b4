"""Arrays, images, tables and streams as rows of numbers, and rows as what an encoder sees."""

from skdim.inputs.images import ImageFolder
from skdim.inputs.layout import Layout, find_layout, flatten_rows
from skdim.inputs.rows import Rows
from skdim.inputs.standardise import Standardise, channel_statistics
from skdim.inputs.streams import Stream

__all__ = [
    "ImageFolder",
    "Layout",
    "Rows",
    "Standardise",
    "Stream",
    "channel_statistics",
    "find_layout",
    "flatten_rows",
]
