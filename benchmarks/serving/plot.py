"""The plot of how the time of a request grows, and where it goes."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def draw(result: dict[str, Any]) -> Figure:
    """Return the plot of `curves`, and of the transport's time in `rounds`."""
    curves = result["curves"]
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    axes = figure.subplots(2, 2)
    _draw_growth(axes[0, 0], curves["images"], "images in a request")
    _draw_growth(axes[0, 1], curves["side"], "side of the image in pixels")
    _draw_concurrency(axes[1, 0], curves["concurrency"])
    transport = result["rounds"]["empty"]["warm_p50_milliseconds"]
    _draw_phases(axes[1, 1], {**curves["phases"], "transport": transport})
    for place in axes.flat[:3]:
        place.set_xticklabels([str(int(tick)) for tick in place.get_xticks()], rotation=45)
        place.yaxis.set_major_formatter("{x:g}")
        place.minorticks_off()
        place.grid(alpha=0.3)
    return figure


def _draw_growth(place: Axes, curve: dict[str, float], label: str) -> None:
    places = [int(each) for each in curve]
    place.loglog(places, list(curve.values()), marker="o")
    place.set(xlabel=label, ylabel="milliseconds in the handler", xticks=places)


def _draw_concurrency(place: Axes, rows: dict[str, dict[str, float]]) -> None:
    places = [int(each) for each in rows]
    for share in ("p50", "p99"):
        place.loglog(places, [row[f"{share}_milliseconds"] for row in rows.values()], marker="o", label=share)
    place.set(xlabel="requests at a time, under uvicorn", ylabel="milliseconds", xticks=places)
    place.legend()


def _draw_phases(place: Axes, phases: dict[str, float]) -> None:
    place.barh(list(phases), list(phases.values()))
    place.invert_yaxis()
    place.set(xlabel="milliseconds of one request; transport is the emulator's")
