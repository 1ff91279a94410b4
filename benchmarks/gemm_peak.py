"""How fast this machine multiplies matrices: the limit of every training step."""

import argparse
import statistics
import time

import torch
from timing import Row, report

SIZE = 2048
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def peak(dtype: torch.dtype, repeats: int = 15) -> float:
    """Multiply two matrices again and again; floating-point operations a second at the median."""
    a, b = (torch.randn(SIZE, SIZE).to(dtype) for _ in range(2))
    out = torch.empty(SIZE, SIZE, dtype=dtype)
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        taken.append(time.perf_counter() - start)
    return 2 * SIZE**3 / statistics.median(taken[2:])


def main() -> None:
    """Print both rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    rates = {name: peak(dtype) / 1e9 for name, dtype in DTYPES.items()}
    rows = [Row(f"matrix products in {name}", rate, 0, "GFLOP/s") for name, rate in rates.items()]
    report("gemm_peak", rows, rates)


if __name__ == "__main__":
    main()
