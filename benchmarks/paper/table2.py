"""The paper's Table 2: Tiny ImageNet or STL-10, from a folder of image files.

    python benchmarks/paper/table2.py --data tiny-imagenet --set tiny
    python benchmarks/paper/table2.py --data stl10 --set stl

A folder a class is read below ``train`` and ``test`` (or ``val``), at 64x64 pixels, by the paper's
AlexNet-like encoder. The paper's column of fine-tuning is not made here, nor are its random crops
and flips of STL-10.
"""

import sys
from functools import partial

from images import read_folder
from record import read_options, run
from table1 import judge, row

TINY = {
    "supervised": row(0.3660, None, None),
    "VAE": row(0.1863, 0.1688, 0.1193),
    "AAE": row(0.1804, 0.1727, 0.1149),
    "BiGAN": row(0.2438, 0.2021, 0.1306),
    "NAT": row(0.1370, 0.1162, 0.0120),
    "DIM(G)": row(0.1132, 0.0634, 0.0495),
    "DIM(L) JSD": row(0.3354, 0.3688, 0.3166),
    "DIM(L) NCE": row(0.3421, 0.3809, 0.3333),
}

STL = {
    "supervised": row(0.687, None, None),
    "VAE": row(0.5827, 0.5672, 0.4647),
    "AAE": row(0.5954, 0.5447, 0.4389),
    "BiGAN": row(0.7153, 0.6718, 0.5848),
    "NAT": row(0.6432, 0.6143, 0.4884),
    "DIM(G)": row(0.4203, 0.3082, 0.2809),
    "DIM(L) JSD": row(0.7286, 0.7085, 0.6593),
    "DIM(L) NCE": row(0.7257, 0.7000, 0.6708),
}

SETS = {"tiny": TINY, "stl": STL}
SIDE = 64


def read_set() -> str:
    """Take ``--set`` off the command line."""
    if "--set" not in sys.argv:
        return "tiny"
    at = sys.argv.index("--set")
    _, name = sys.argv[at : at + 2]
    del sys.argv[at : at + 2]
    if name not in SETS:
        raise SystemExit(f"--set {name}: known are {', '.join(SETS)}.")
    return name


if __name__ == "__main__":
    SET = read_set()
    OPTIONS = read_options(__doc__, encoder="alexnet")
    if not OPTIONS.data:
        raise SystemExit("Name the folder: --data PATH.")
    run(f"table2-{SET}", SETS[SET], judge, OPTIONS, partial(read_folder, size=SIDE))
