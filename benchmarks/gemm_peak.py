"""How fast this machine multiplies matrices and convolves: the limit of every training step."""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from timing import Row, report
from torch import Tensor
from torch.nn.functional import conv2d

SIZE = 2048
# Channels, side and images of the convolutions of 3x3: those of a middle and a late layer.
CONVOLUTIONS = ((128, 16, 64), (256, 8, 64))
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def product(dtype: torch.dtype) -> tuple[Callable[[], Tensor], float]:
    """Return a product of two matrices, and its floating-point operations."""
    a, b = (torch.randn(SIZE, SIZE).to(dtype) for _ in range(2))
    out = torch.empty(SIZE, SIZE, dtype=dtype)
    return lambda: torch.mm(a, b, out=out), 2.0 * SIZE**3


def convolution(
    dtype: torch.dtype, channels: int, side: int, n: int
) -> tuple[Callable[[], Tensor], float]:
    """Return a convolution, and its floating-point operations."""
    x = torch.randn(n, channels, side, side).to(dtype, memory_format=torch.channels_last)
    kernel = torch.randn(channels, channels, 3, 3).to(dtype, memory_format=torch.channels_last)
    # Of direct convolution. Faster algorithms (Winograd) do fewer.
    return lambda: conv2d(x, kernel, padding=1), 2.0 * n * (channels * side * 3) ** 2


def rates(dtype: torch.dtype, repeats: int = 15) -> dict[str, float]:
    """Return floating-point operations a second at the median, of a product and convolutions."""
    runs = {"matrix product": product(dtype)}
    for sizes in CONVOLUTIONS:
        runs[f"convolution of {sizes[0]} channels"] = convolution(dtype, *sizes)
    found = {}
    for name, (run, operations) in runs.items():
        taken = []
        for _ in range(repeats):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
        found[name] = operations / statistics.median(taken[2:])
    return found


def peak(dtype: torch.dtype, repeats: int = 15) -> float:
    """Return the best of these rates."""
    return max(rates(dtype, repeats).values())


def main() -> None:
    """Print the rates of both types."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    found = {name: rates(dtype) for name, dtype in DTYPES.items()}
    rows = [
        Row(f"{what} in {name}", rate / 1e9, 0, "GFLOP/s")
        for name, all_rates in found.items()
        for what, rate in all_rates.items()
    ]
    report("gemm_peak", rows, found)


if __name__ == "__main__":
    main()
