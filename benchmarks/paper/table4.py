"""The paper's Table 4: coordinates and occlusion on CIFAR-10, beside DIM(L) with InfoNCE.

python benchmarks/paper/table4.py --data cifar-10-batches-py
"""

from record import read_options, run
from table1 import judge, row

PAPER = {
    "DIM": row(0.7746, 0.7333, 0.7065),
    "DIM (coord)": row(0.7728, 0.7389, 0.7156),
    "DIM (occlude)": row(0.7677, 0.7445, 0.7287),
    "DIM (coord + occlude)": row(0.7727, 0.7515, 0.7399),
}

if __name__ == "__main__":
    run("table4", PAPER, judge, read_options(__doc__))
