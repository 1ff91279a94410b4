"""Arrays, images and tables as rows of numbers, and rows as what an encoder sees."""

from skdim.inputs.layout import Layout, find_layout, flatten_rows
from skdim.inputs.rows import Rows
from skdim.inputs.standardise import Standardise, channel_statistics

__all__ = ["Layout", "Rows", "Standardise", "channel_statistics", "find_layout", "flatten_rows"]
