"""Choose the rivals' settings, and lay results out as tables."""

import json
from collections import defaultdict

import numpy as np
from rivals import OURS, SIZES, Setting

Row = dict
# So many settings of each method and size go on from the first seed to all.
FINALISTS = 2
# A rival may take so much longer and still count as equally fast: clocks are not exact.
SLACK = 1.05


def our_seconds(rows: list[Row], data: str, seed: int | None = None, size: int = 0) -> float:
    """CPU seconds of our default: of the size asked for, or the longest; 0 where unknown."""
    ours = [
        row
        for row in rows
        if row["data"] == data and row["method"] == OURS and row["how"] in ("code", "hidden")
    ]
    if seed is not None:
        ours = [row for row in ours if row["seed"] == seed]
    sized = [row for row in ours if row["size"] == size] or ours
    by_seed = defaultdict(float)
    for row in sized:
        by_seed[row["seed"]] = max(by_seed[row["seed"]], row["cpu_seconds"])
    return float(np.mean(list(by_seed.values()))) if by_seed else 0.0


def chosen_settings(
    rows: list[Row], data: str, method: str, settings: list[Setting]
) -> list[Setting]:
    """Return the settings that are among the best two of some size with the first seed."""
    if len(settings) < 2:
        return settings
    mine = [r for r in rows if (r["data"], r["method"], r["seed"]) == (data, method, 0)]
    kept = []
    for size in {row["size"] for row in mine}:
        sized = sorted((r for r in mine if r["size"] == size), key=lambda r: -r["choose"])
        limit = our_seconds(rows, data, 0, size) * SLACK
        fast = [row for row in sized if row["cpu_seconds"] <= limit]
        for ranked in (sized, fast):
            kept += list(dict.fromkeys(json.dumps(r["setting"]) for r in ranked))[:FINALISTS]
    return [setting for setting in settings if json.dumps(setting) in kept]


def groups(rows: list[Row]) -> list[list[Row]]:
    """Rows that differ in nothing but the seed, of candidates with all seeds of their method."""
    found, most = defaultdict(list), defaultdict(int)
    for row in rows:
        found[row["method"], json.dumps(row["setting"]), row["how"], row["size"]].append(row)
    for (method, *_), group in found.items():
        most[method] = max(most[method], len(group))
    return [group for (method, *_), group in found.items() if len(group) == most[method]]


def mean(group: list[Row], name: str) -> float:
    """Mean over seeds."""
    return float(np.mean([row[name] for row in group]))


def line(label: str, group: list[Row], n_seeds: int) -> str:
    """One line of the table."""
    accuracies = [row["report"] for row in group]
    error = np.std(accuracies, ddof=1) / np.sqrt(len(group)) if len(group) > 1 else float("nan")
    seeds = "" if len(group) == n_seeds else f"{len(group)} seed(s)"
    setting = ", ".join(
        f"{name} {value}" for name, value in group[0]["setting"].items() if name != "loss"
    )
    return (
        f"{label:<24}{group[0]['size']:>6}{np.mean(accuracies):>9.3f}{error:>8.3f}"
        f"{mean(group, 'cpu_seconds'):>8.1f}{mean(group, 'encode_cpu_ms'):>9.2f}"
        f"  {'; '.join(part for part in (group[0]['how'], setting, seeds) if part)}"
    )


def section(candidates: list[list[Row]], size: int, limit: float, n_seeds: int) -> list[str]:
    """Our line, then the best of each rival, and the best of those at most as slow as ours."""
    sized = [group for group in candidates if group[0]["size"] == size]
    ours = [group for group in sized if group[0]["method"] == OURS]
    lines = [line(OURS, group, n_seeds) for group in ours]
    for method in dict.fromkeys(g[0]["method"] for g in sized if g[0]["method"] != OURS):
        mine = [group for group in sized if group[0]["method"] == method]
        fast = [group for group in mine if mean(group, "cpu_seconds") <= limit * SLACK]
        best = max(mine, key=lambda group: mean(group, "choose"))
        lines.append(line(method, best, n_seeds))
        if fast and limit and best not in fast:
            quick = max(fast, key=lambda group: mean(group, "choose"))
            lines.append(line(f"  {method}, as fast"[:24], quick, n_seeds))
    return lines


def tabulate(rows: list[Row], data: str) -> str:
    """Lay the rows of one data set out, size by size."""
    rows = [row for row in rows if row["data"] == data]
    if not rows:
        return f"{data}: nothing"
    candidates = groups(rows)
    first, n_seeds = rows[0], max(map(len, candidates))
    lines = [
        f"{data}: {first['n_fit']} to fit, {first['n_labelled']} of them labelled, "
        f"{first['n_report']} to report, {n_seeds} seed(s)",
        f"{'features':<24}{'size':>6}{'accuracy':>9}{'error':>8}{'CPU s':>8}"
        f"{'ms/image':>9}  setting",
    ]
    sizes = {row["size"] for row in rows}
    for size in (*SIZES, *sorted(sizes - set(SIZES))):
        found = section(candidates, size, our_seconds(rows, data, size=size), n_seeds)
        lines += ["", *found] if found else []
    return "\n".join(lines)
