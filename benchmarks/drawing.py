"""Draws a chart: JSON on standard input (`chart.Chart`), the paths of PNGs as arguments.

It runs in the environment `chart`, by its path: neither the package nor anything but matplotlib is in reach.
"""

import json
import sys
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found,unused-ignore]

mpl.use("Agg")
from matplotlib import pyplot as plt  # type: ignore[import-not-found,unused-ignore]

COLOURS = ("#0f766e", "#c2410c", "#4338ca", "#a16207", "#be185d", "#475569")
"""By server, in their order; dark enough for white paper and told apart without red and green."""
INK, FAINT, BAND = "#1f2937", "#d1d5db", "#f3f4f6"
BAR = 0.20
"""Inches from one bar to the next."""
GAP = 0.16
"""Inches between two cases."""


def main() -> int:
    """Draw once, save under each path."""
    chart = json.load(sys.stdin)
    figure = drawn(chart)
    for path in sys.argv[1:]:
        figure.savefig(path, dpi=160, metadata={"Software": None})
    return 0


def drawn(chart: dict[str, Any]) -> Any:
    """A figure: a row of bars for each case, from 1 to the ratio, to the right where Athena does more."""
    colours = dict(zip(chart["servers"], COLOURS, strict=False))
    count = sum(len(group["bars"]) for group in chart["groups"])
    inches = count * BAR + len(chart["groups"]) * GAP
    plt.rcParams.update(
        {"font.size": 9, "text.color": INK, "axes.labelcolor": INK, "ytick.color": INK, "font.family": "DejaVu Sans"}
    )
    figure, axes = plt.subplots(figsize=(9, inches + 1.5))
    figure.subplots_adjust(left=0.17, right=0.95, top=1 - 0.85 / (inches + 1.5), bottom=0.65 / (inches + 1.5))
    _bars(axes, chart["groups"], colours)
    _scale(axes, chart)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
    axes.legend(handles, list(colours), loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=len(colours), frameon=False)
    figure.text(0.02, 1 - 0.3 / (inches + 1.5), chart["title"], fontsize=12, weight="bold")
    figure.text(0.02, 0.12 / (inches + 1.5), chart["note"], fontsize=7.5, color="#6b7280")
    return figure


def _bars(axes: Any, groups: list[dict[str, Any]], colours: dict[str, str]) -> None:
    place, names, middles = 0.0, [], []
    for number, group in enumerate(groups):
        start = place
        if number % 2 == 0:
            end = start + len(group["bars"]) * BAR
            axes.axhspan(start - (BAR + GAP) / 2, end - (BAR - GAP) / 2, color=BAND, zorder=-1, linewidth=0)
        for bar in group["bars"]:
            ratio, colour = bar["ratio"], colours[bar["server"]]
            axes.barh(place, ratio - 1, left=1, height=BAR * 0.8, color=colour, zorder=3)
            side, shift = ("left", 3) if ratio >= 1 else ("right", -3)
            words = f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"
            axes.annotate(
                words, (ratio, place), (shift, 0), textcoords="offset points", ha=side, va="center", fontsize=8
            )
            place += BAR
        names.append(group["name"])
        middles.append((start + place - BAR) / 2)
        place += GAP
    axes.set_yticks(middles, names)
    axes.set_ylim(place - (BAR + GAP) / 2, -(BAR + GAP) / 2)


def _scale(axes: Any, chart: dict[str, Any]) -> None:
    """Ratios are compared by factors, so half and double are equally far from 1."""
    ratios = [bar["ratio"] for group in chart["groups"] for bar in group["bars"]]
    low, high = min(0.7, *ratios) / 1.25, max(2.0, *ratios) * 1.3
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500) if low <= tick <= high]
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [f"{tick:g} \N{MULTIPLICATION SIGN}" for tick in ticks])
    axes.minorticks_off()
    axes.tick_params(length=0)
    axes.grid(axis="x", color=FAINT, linewidth=0.6, zorder=0)
    axes.axvline(1, color=INK, linewidth=1, zorder=4)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel(
        f"{chart['reference']}'s rate divided by the server's: right of the line {chart['reference']} does more"
    )


if __name__ == "__main__":
    sys.exit(main())
