"""Plots as inline SVG. The same data gives the same bytes, and colors come from the style sheet of the page."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# placeholders for matplotlib; the page replaces them by its variables, which differ in light and dark mode
INK, MUTED, LINE, BLUE, ORANGE, GREEN = "#110001", "#110002", "#110003", "#110004", "#110005", "#110006"
PURPLE, OCHRE, PINK, SKY = "#110007", "#110008", "#110009", "#110010"
VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    BLUE: "blue",
    ORANGE: "orange",
    GREEN: "green",
    PURPLE: "purple",
    OCHRE: "ochre",
    PINK: "pink",
    SKY: "sky",
}
SERIES = (BLUE, ORANGE, GREEN, PURPLE, OCHRE, PINK, SKY, INK)
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1, 1.4)))
SPLIT_STYLES: dict[str, dict[str, Any]] = {
    "train": {"color": GREEN, "linestyle": (0, (1, 1.4))},
    "valid": {"color": ORANGE, "linestyle": (0, (5, 1.6))},
}
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
}


def style_of(name: str) -> dict[str, Any]:
    """Return color and dashes of the line of a split; test and evaluations are blue and solid."""
    return SPLIT_STYLES.get(name, {"color": BLUE, "linestyle": "-"})


def style_of_series(index: int) -> dict[str, Any]:
    """Return color and dashes of one of many lines; lines after the first eight repeat the colors with new dashes."""
    return {"color": SERIES[index % len(SERIES)], "linestyle": DASHES[index // len(SERIES) % len(DASHES)]}


def svg(name: str, draw: Callable[[Axes], None]) -> Markup:
    """Return the plot that `draw` makes, as an `<svg>` whose ids begin with `name`."""
    with rc_context({**SETTINGS, "svg.hashsalt": name}):
        figure = Figure(figsize=(4.9, 3.1), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.subplots()
        axes.patch.set_visible(False)
        draw(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = out.getvalue()
    text = re.sub(r"<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
    return Markup(re.sub(r"<[^<>]*>", lambda tag: _adapt(tag[0], name), text))  # noqa: S704 - matplotlib escapes texts


def standalone(plot: Markup) -> str:
    """Return the result of `svg` as a file of its own, in the light colors of the page on white."""
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", style[: style.index("}")]))
    text = re.sub(r"var\(--(\w+)\)", lambda name: colors[name[1]], plot)
    return text.replace("<svg ", '<svg style="background: #ffffff" font-family="sans-serif" ', 1)


def printable(text: str) -> str:
    """Return `text` without the characters that SVG does not allow."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _adapt(tag: str, name: str) -> str:
    """Return a tag with ids that are unique on the page, the colors of the page, and coordinates of two decimals."""
    tag = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", tag)
    if tag.startswith("<path"):
        tag = re.sub(r"(\d\.\d\d)\d+", r"\1", tag)
    return re.sub(r"#1100\d\d", lambda color: f"var(--{VARIABLES[color[0]]})", tag)
