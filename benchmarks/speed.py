"""Run every benchmark of speed in its own process, and print one table of what was reached."""

import json
import subprocess
import sys
from pathlib import Path

from timing import RESULTS

SCRIPTS = (
    "gemm_peak",
    "import_time",
    "training_speed",
    "precision",
    "tutorial_speed",
    "scores",
    "transform_speed",
    "grid_search",
)


def table() -> str:
    """Lay out what all scripts have written down."""
    lines = [f"{'':<66}{'value':>9}{'asked for':>11}  reached"]
    for name in SCRIPTS:
        for row in json.loads((RESULTS / f"{name}.json").read_text())["rows"]:
            sign = "<=" if row["at_most"] else ">="
            asked = f"{sign} {row['limit']:.3g}" if row["limit"] else ""
            reached = ("yes" if row["reached"] else "no") if row["limit"] else ""
            what = f"{row['what']} ({row['unit']})"
            lines.append(f"{what:<66}{row['value']:>9.3g}{asked:>11}  {reached}")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def main() -> None:
    """Run all; end with an error if one could not run, not if a limit was missed."""
    for name in SCRIPTS:
        print(f"==> {name}", flush=True)
        subprocess.run([sys.executable, Path(__file__).parent / f"{name}.py"], check=True)
    (RESULTS / "speed.txt").write_text(table())
    print(f"\n{table()}")


if __name__ == "__main__":
    main()
