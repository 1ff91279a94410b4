"""``import skdim`` against the import of what it stands on."""

import argparse
import subprocess
import sys

from timing import Row, in_turns, ratio, report, seconds

STATEMENTS = {"skdim": "import skdim", "below": "import torch, sklearn, skorch"}


def main() -> None:
    """Start Python again and again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    runs = {
        name: lambda statement=statement: seconds(
            lambda: subprocess.run([sys.executable, "-c", statement], check=True)
        )
        for name, statement in STATEMENTS.items()
    }
    taken = in_turns(runs, options.repeats)
    # The time of one import over the other: the inverse of how many times as fast.
    value = ratio(taken, "skdim", "below")
    report("import_time", [Row("time of import skdim", value, 1.05, at_most=True)], taken)


if __name__ == "__main__":
    main()
