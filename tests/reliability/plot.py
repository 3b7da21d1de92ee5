"""The plots: latency against the rate that was offered, and memory and descriptors in the soak."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from tests.reliability.rows import Row


def draw(rows: Sequence[Row]) -> Figure:
    """Draw them side by side."""
    figure = Figure(figsize=(13, 4.5), layout="constrained")
    loads, memory = figure.subplots(1, 2)
    for color, row in zip(("tab:blue", "tab:orange"), (row for row in rows if "curve" in row.figures), strict=False):
        curve = row.figures["curve"]
        rates = [point["rate"] for point in curve]
        name = row.attack.partition(",")[0]
        for percentile, style in (("p50", "--"), ("p99", "-")):
            seconds = [1e3 * point[f"{percentile}_s"] for point in curve]
            loads.plot(rates, seconds, style, marker=".", color=color, label=f"{name}, {percentile}")
        loads.axvline(row.figures["knee_rps"], color=color, linewidth=0.6)
    loads.set(xlabel="requests offered a second", ylabel="milliseconds", yscale="log", title="Open-loop load")
    loads.legend()
    for row in rows:
        if "looks" in row.figures:
            times, kilobytes, descriptors = zip(*row.figures["looks"], strict=True)
            memory.plot([each / 60 for each in times], [each / 1024 for each in kilobytes], label="resident memory, MB")
            memory.plot([each / 60 for each in times], descriptors, label="open files and sockets")
    memory.set(xlabel="minutes", ylim=(0, None), title="Soak at half of the knee")
    memory.legend()
    return figure
