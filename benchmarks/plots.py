"""Draw lines over a logarithmic axis, as SVG; equal figures give equal files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

_FOLDER: Final = Path(__file__).parent.parent / "docs" / "plots"


def draw(
    name: str, title: str, x_label: str, y_label: str, x: Sequence[int], lines: Mapping[str, Sequence[float]]
) -> Path:
    """Draw a plot into docs/plots; returns its path."""
    mpl.rcParams["svg.hashsalt"] = "quartlogin"
    mpl.rcParams["svg.fonttype"] = "none"
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for label, values in lines.items():
        axes.plot(x[: len(values)], values, marker="o", label=label)
    axes.set(title=title, xlabel=x_label, ylabel=y_label, xscale="log", xticks=x, ylim=(0, None))
    axes.set_xticklabels([f"{each:,}" for each in x])
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    _FOLDER.mkdir(exist_ok=True)
    path = _FOLDER / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None})
    return path
