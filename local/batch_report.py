"""What a batch adds up to, on a terminal and as a picture."""

from __future__ import annotations

from pathlib import Path

from digits.model.contract import CLASSES
from functions.batch.results import Document
from functions.batch.summary import REFUSED


def show(summary: Document, lines: Path, out: Path, name: str) -> None:
    """Print what a result adds up to, and where it is; with labels, draw their matrix beside it."""
    print(report(summary))
    print(f"lines      {lines}")
    drawn = draw_confusion(summary, out / f"{name}.confusion.png")
    if drawn:
        print(f"confusion  {drawn}")


def report(summary: Document) -> str:
    """Return a summary as a table for a terminal."""
    rows = [
        ("pictures", f"{summary['pictures']:,}"),
        *((name, f"{count:,}") for name, count in summary["outcomes"].items()),
        *((f"  {name}", f"{count:,}") for name, count in summary["verdicts"].items()),
        *((f"  {detail}", f"{count:,}") for detail, count in summary["problems"].items()),
    ]
    labels = summary.get("labels")
    if labels:
        rows.append(("right", f"{labels['right']:,} of {labels['labelled']:,} ({labels['accuracy']:.2%})"))
        wrong = labels["accepted"] - labels["accepted_right"]
        rows.append(("accepted and wrong", f"{wrong:,} of {labels['accepted']:,}"))
    rows.append(("model", summary["model"]["version"]))
    rows.append(("time", f"{summary['seconds']:.1f} s, {summary['pictures_per_second']:,.0f} pictures a second"))
    width = max(len(name) for name, _ in rows) + 2
    lines = [f"{name:{width}}{value}" for name, value in rows]
    if labels and labels["confusion"]:
        lines += ["", *_confusion_lines(labels["confusion"])]
    return "\n".join(lines)


def _confusion_lines(confusion: dict[str, dict[str, int]]) -> list[str]:
    """Return the confusion matrix, a row for each label."""
    columns = [name for name in next(iter(confusion.values())) if any(row[name] for row in confusion.values())]
    width = max(6, *(len(name) + 2 for name in columns))
    lines = ["label" + "".join(f"{name:>{width}}" for name in columns)]
    lines += [
        f"{label:>5}" + "".join(f"{row[name] or '·':>{width}}" for name in columns) for label, row in confusion.items()
    ]
    return lines


def draw_confusion(summary: Document, path: Path) -> Path | None:
    """Draw the confusion matrix of a summary with labels as a PNG, and return where it is."""
    confusion = summary.get("labels", {}).get("confusion")
    if not confusion:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels, columns = list(confusion), [*CLASSES, REFUSED, "other"]
    columns = [name for name in columns if name in CLASSES or any(row[name] for row in confusion.values())]
    counts = [[confusion[label][name] for name in columns] for label in labels]
    wrong = [
        [0 if label == name else count for name, count in zip(columns, row, strict=True)]
        for label, row in zip(labels, counts, strict=True)
    ]
    figure = Figure(figsize=(1.5 + 0.6 * len(columns), 1.5 + 0.5 * len(labels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.imshow(wrong, cmap="Reds", aspect="auto")
    for row, values in enumerate(counts):
        for column, value in enumerate(values):
            axes.text(column, row, f"{value:,}" if value else "", ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(columns)), columns, rotation=45 if len(columns) > len(CLASSES) else 0)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("read as")
    axes.set_ylabel("label")
    axes.set_title(f"{summary['labels']['right']:,} of {summary['labels']['labelled']:,} right")
    figure.savefig(path, dpi=120)
    return path
