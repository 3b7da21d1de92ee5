"""The report's figures, each a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from digits.model.manifest import Robustness
from training.dataset import Part
from training.evaluate import reliability
from training.robustness import clean_row, met

if TYPE_CHECKING:
    from training.fit import Epoch

_BLUE, _ORANGE, _GREY = "#2563a8", "#c2571a", "#8a8a8a"
_WORST = 30
_COLUMNS = 10
_NO_ERRORS = 0.01  # per cent; stands for zero on a logarithmic axis


def training_curves(epochs: Sequence[Epoch]) -> bytes:
    """Draw loss and accuracy by epoch."""
    figure, (left, right) = _figure(9, 3.4, columns=2)
    numbers = range(1, len(epochs) + 1)
    left.plot(numbers, [epoch.loss for epoch in epochs], "o-", color=_BLUE, markersize=3)
    left.set(title="Loss on augmented training digits", xlabel="epoch", ylabel="cross-entropy, nats")
    for name, colour in (("training_accuracy", _ORANGE), ("holdout_accuracy", _BLUE)):
        errors = [max(_NO_ERRORS, 100 * (1 - getattr(epoch, name))) for epoch in epochs]
        right.plot(numbers, errors, "o-", color=colour, markersize=3)
    right.legend(["augmented training digits", "holdout"])
    right.set(title="Errors", xlabel="epoch", ylabel="% read wrongly")
    _log_percent(right)
    for axes in (left, right):
        axes.set_xticks([number for number in numbers if len(epochs) <= 12 or number % 5 == 0])
    return _png(figure)


def confusion_matrix(confusion: NDArray[np.int64]) -> bytes:
    """Draw the confusion matrix: int64 (10, 10), true by predicted digit."""
    figure, (axes,) = _figure(5.6, 5.2)
    mistakes = confusion - np.diag(np.diag(confusion))
    axes.imshow(mistakes, cmap="Oranges", vmin=0, vmax=max(1, int(mistakes.max())) * 1.6)  # figures stay legible
    for true, row in enumerate(confusion):
        for predicted, count in enumerate(row):
            if count:
                right = true == predicted
                axes.text(
                    predicted, true, f"{count:,}", ha="center", va="center", size=9, weight="bold" if right else None
                )
    axes.set(title="Test digits", xlabel="read as", ylabel="is", xticks=range(10), yticks=range(10))
    return _png(figure)


def reliability_diagram(answers: dict[str, tuple[NDArray[np.float32], NDArray[np.uint8]]]) -> bytes:
    """Draw accuracy against confidence for named sets of (probabilities, labels)."""
    figure, (left, right) = _figure(9.6, 4.2, columns=2)
    left.plot([0, 1], [0, 1], color=_GREY, linewidth=1)
    bars = np.arange(15) / 15
    for (name, (probabilities, labels)), colour, offset in zip(answers.items(), (_BLUE, _ORANGE), (0, 1), strict=True):
        bins = reliability(probabilities, labels)
        left.plot([each.confidence for each in bins], [each.accuracy for each in bins], "o-", color=colour, label=name)
        heights = np.zeros(15)
        for each in bins:
            heights[min(14, int(each.confidence * 15))] = 100 * each.share
        right.bar(bars + (offset + 0.5) / 30, heights, 1 / 30, color=colour, label=name)
    left.set(title="Right answers by confidence", xlabel="confidence", ylabel="share of right answers")
    right.set(title="How often each confidence is given", xlabel="confidence", ylabel="% of answers")
    _log_percent(right)
    left.legend(loc="lower right")
    return _png(figure)


def class_accuracy(shares: Sequence[float]) -> bytes:
    """Draw the accuracy of each digit, 0 to 9."""
    figure, (axes,) = _figure(6.4, 3.2)
    errors = [100 * (1 - share) for share in shares]
    bars = axes.bar(range(10), errors, color=_BLUE)
    axes.bar_label(bars, [f"{100 * share:.2f} %" for share in shares], size=7, padding=2)
    axes.set(title="Test digits read wrongly, and accuracy above", xlabel="digit", ylabel="%", xticks=range(10))
    axes.set_ylim(0, max(0.1, *errors) * 1.15)
    return _png(figure)


def robustness_chart(holdout: Robustness, test: Robustness) -> bytes:
    """Draw the accuracy of every row, on holdout digits and on test digits."""
    figure, (axes,) = _figure(8, 5.6)
    places = np.arange(len(holdout.rows))
    for table, colour, offset, name in ((holdout, _BLUE, -0.2, "holdout"), (test, _ORANGE, 0.2, "test digits")):
        bars = axes.barh(places + offset, [100 * row.accuracy for row in table.rows], 0.38, color=colour, label=name)
        axes.bar_label(bars, [f"{100 * row.accuracy:.1f}" for row in table.rows], size=7, padding=2)
    clean = clean_row(holdout)
    axes.set_yticks(places, [row.name + ("" if met(row, clean) else " *") for row in holdout.rows])
    axes.invert_yaxis()
    lowest = min(row.accuracy for table in (holdout, test) for row in table.rows)
    axes.set_xlim(max(0, 100 * lowest - 5), 101)
    axes.set(title="Accuracy on distorted digits, % (* misses its aim on the holdout)")
    figure.legend(loc="outside lower right", ncols=2)
    return _png(figure)


def worst_mistakes(part: Part, probabilities: NDArray[np.float32]) -> bytes:
    """Draw the most confident mistakes."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != part.labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:_WORST]
    rows = max(1, -(-len(worst) // _COLUMNS))
    figure, axes = _figure(10, 1.45 * rows + 0.4, rows, _COLUMNS)
    for each in axes:
        each.set_axis_off()
    for each, index in zip(axes, worst, strict=False):
        each.imshow(part.images[index], cmap="gray_r", vmin=0, vmax=255)
        each.set_title(f"{part.labels[index]} read as {predicted[index]}\n{confidence[index]:.1%}", size=8)
    shown = f"The {len(worst)} surest of {len(wrong)} mistakes" if len(wrong) else "No mistakes"
    figure.suptitle(f"{shown} on {len(part):,} test digits", size=10)
    return _png(figure)


def _figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure((width, height), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel().tolist()
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _log_percent(axes: Axes) -> None:
    """Make the vertical axis logarithmic, with labels even if its range is short."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _png(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()
