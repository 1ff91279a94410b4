"""Is it worth it? The default features of Deep InfoMax against rivals of equal size, with seconds.

    python benchmarks/features.py [--data ...] [--methods ...] [--seeds 5] [--sizes 16 64 256 1024]

Every method is fitted on the same samples without labels; the same logistic regression judges all
features (``judge.py``). Rivals have settings to choose from, Deep InfoMax has none but its
defaults. All settings run with the first seed. Those that are the best two of their method and
size on the rows to choose on, with any seconds or with at most ours, run with all seeds. The
tables show, of each method and size, the best of these by mean accuracy on the rows to choose on.
Nothing is chosen on the rows that are reported.

Rows are written to ``results/NAME.json`` as soon as they are there, and the tables to
``results/NAME.txt``. With ``--resume`` what is there is not run again.
"""

import argparse
import time

import torch
from comparison import Row, chosen_settings, our_seconds, tabulate
from data import DATA, Data
from judge import verdict
from keeping import Kept
from rivals import METHODS, OURS, SIZES, Found, Setting
from threadpoolctl import threadpool_limits

LABELLED = 10_000


def judged(data: Data, found: Found, about: Row, seed: int) -> Row:
    """Judge what a method found: one row of the results."""
    fit = found.fit if data.labelled is None else found.fit[data.labelled]
    reached = verdict(data, fit, found.choose, found.report, seed)
    return about | {
        "size": found.size,
        "how": found.how,
        "choose": round(reached.choose, 4),
        "report": round(reached.report, 4),
        "C": reached.strength,
        "cpu_seconds": round(found.watch.cpu, 2),
        "clock_seconds": round(found.watch.clock, 2),
        "encode_cpu_ms": round(found.encode, 3),
        **found.more,
    }


def run(
    kept: Kept, name: str, data: Data, seed: int, method: str, setting: Setting, sizes: tuple
) -> None:
    """Run one method with one setting and one seed, unless its rows are there."""
    about = {"data": name, "seed": seed, "method": method, "setting": setting}
    about |= {"n_fit": len(data.X), "n_labelled": len(data.y), "n_report": len(data.y_test)}
    if kept.has(about):
        return
    start, rows = time.perf_counter(), []
    budget = our_seconds(kept.rows, name, seed) or our_seconds(kept.rows, name)
    if not budget and METHODS[method].run.__name__ == "contrastive":
        print(f"    {method}: left out, it trains for our seconds; run {OURS!r} before")
        return
    # Layers of other sizes are shown as well; they are rows of their own.
    try:
        rows = [
            judged(data, found, about, seed)
            for found in METHODS[method].run(data, seed, sizes, budget, **setting)
        ]
    except (ValueError, TypeError) as error:
        print(f"    {method} {setting}: left out, {error}", flush=True)
        return
    kept.add(about, rows)
    for row in rows:
        print(
            f"    {name} seed {seed}  {method} {setting or ''} {row['how']} ({row['size']}): "
            f"{row['choose']:.3f} {row['report']:.3f}  {row['cpu_seconds']:.1f} s",
            flush=True,
        )
    print(f"      {time.perf_counter() - start:.0f} s with the judge", flush=True)


def run_data(kept: Kept, name: str, options: argparse.Namespace) -> None:
    """Run all settings with the first seed, and the chosen ones with the others."""
    sizes = tuple(options.sizes)
    for seed in range(options.seeds):
        data = DATA[name](options.n_fit, seed)
        for method in options.methods:
            family = METHODS[method]
            if family.images_only and not data.is_image:
                continue
            settings = family.settings(data) if data.is_image else [{}]
            if seed:
                settings = chosen_settings(kept.rows, name, method, settings)
            for setting in settings:
                run(kept, name, data, seed, method, setting, sizes)


def main() -> None:
    """Run the benchmark and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--n-fit", type=int, default=LABELLED, help="samples to fit, at most")
    parser.add_argument("--name", default="features", help="of the files under results/")
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    kept = Kept(options.name, resume=options.resume)
    with threadpool_limits(options.threads):
        for name in options.data:
            try:
                run_data(kept, name, options)
            except FileNotFoundError as error:
                print(f"{name}: left out, {error}\n", flush=True)
                continue
            print(f"\n{tabulate(kept.rows, name)}\n", flush=True)
            names = list(dict.fromkeys(row["data"] for row in kept.rows))
            kept.text("\n\n".join(tabulate(kept.rows, each) for each in names))


if __name__ == "__main__":
    main()
