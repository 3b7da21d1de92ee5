"""The measured figures against their aims."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks import emulator
from benchmarks.serving import distant, kinds
from benchmarks.serving.events import BATCH
from benchmarks.serving.rounds import Round
from training.promotion import LARGEST_READER_BYTES


@dataclass(frozen=True)
class Verdict:
    """A measured figure and its aim.

    Attributes:
        low, high: its quartiles over the rounds, the noise that the verdict allows for.
        rule: `at least` or `at most`, followed by `aim`.
    """

    name: str
    value: float
    low: float
    high: float
    rule: str
    aim: float

    @property
    def met(self) -> bool:
        """Whether the aim is met, or missed by no more than the noise."""
        return self.high >= self.aim if self.rule == "at least" else self.low <= self.aim

    def line(self) -> str:
        """Return it as a row of a Markdown table."""
        verdict = "met" if self.met else "**missed**"
        spread = f"{_short(self.low)}..{_short(self.high)}"
        return f"| {self.name} | {self.rule} {_short(self.aim)} | {_short(self.value)} | {spread} | {verdict} |"


def judge(name: str, values: Sequence[float], rule: str, aim: float) -> Verdict:
    """Return the verdict on a figure from its values in each round."""
    low, middle, high = (float(each) for each in np.percentile(values, (25, 50, 75)))
    return Verdict(name, middle, low, high, rule, aim)


def of_latency(rounds: dict[str, list[Round]]) -> Iterator[Verdict]:
    """Judge cold starts as they are, and warm requests without the emulator's share."""
    cold = {name: [each.cold_seconds for each in measured] for name, measured in rounds.items()}
    floor = [statistics.median(each.warm_seconds) for each in rounds["empty"]]
    warm = {
        name: [statistics.median(each.warm_seconds) - share for each, share in zip(measured, floor, strict=True)]
        for name, measured in rounds.items()
    }
    tail = [
        float(np.percentile([max(0.0, seconds - share) for seconds in each.warm_seconds], 99)) / middle
        for each, share, middle in zip(rounds["ours"], floor, warm["ours"], strict=True)
    ]
    yield _ratio("cold start, tensorflow / ours", cold["tensorflow"], cold["ours"], "at least", 20)
    yield _ratio("cold start, ours / hello", cold["ours"], cold["hello"], "at most", 1.25)
    away = f"cold start with the store {distant.SECONDS * 1e3:.0f} ms away, ours / hello"
    yield _ratio(away, cold["distant"], cold["hello"], "at most", 1.4)
    asked = [distant.in_a_row(each.asked) for each in rounds["distant"]]
    yield judge("store requests in a row on a cold start", asked, "at most", 2)
    yield _ratio("warm p50 in the handler, tensorflow / ours", warm["tensorflow"], warm["ours"], "at least", 50)
    emulated = "warm p50 of MNIST's PNG under the emulator, less its share, ours / hello"
    yield _ratio(emulated, warm["ours"], warm["hello"], "at most", 3)
    yield judge("warm p99 / p50 in the handler", tail, "at most", 3)


def of_batches(batches: dict[str, list[float]]) -> Iterator[Verdict]:
    """Judge how many images one core reads per second.

    Args:
        batches: the seconds of a request in each round, by the form of its images.
    """
    for name, aim in (("png", 4), ("pixels", 5), ("binary", 5)):
        label = f"images a second and core, {BATCH} as {name}, ours / tensorflow"
        yield _ratio(label, batches["tensorflow"], batches[name], "at least", aim)
    rates = [BATCH / seconds for seconds in batches["binary"]]
    yield judge("images a second and core, V2 binary tensors", rates, "at least", 20_000)


def of_kinds(measured: dict[str, kinds.Calls]) -> Iterator[Verdict]:
    """Judge what small pictures cost in the handler alone, and larger ones in decoding and the canonical form.

    Args:
        measured: the calls of each round, by what was sent.
    """
    small, hello = kinds.medians(measured[kinds.MNIST]), kinds.medians(measured[kinds.HELLO])
    yield _ratio("warm p50 of MNIST's PNG, ours / hello", small, hello, "at most", 3)
    middle = zip(*(kinds.phase(measured[name], "canonical") for name in kinds.MIDDLE), strict=True)
    canonical = [statistics.median(each) for each in middle]
    yield judge("canonical form of pictures of 400 to 1,000 pixels, ms", canonical, "at most", 1.2)
    for pixels, name, aim in ((1600, kinds.PHOTO, 3.5), (4000, kinds.LARGE_PHOTO, 13.5)):
        decode = kinds.phase(measured[name], "decode")
        yield judge(f"phone photo of {pixels} pixels, decode, ms", decode, "at most", aim)


def of_size(rounds: dict[str, list[Round]], model_bytes: int, reader_bytes: int) -> Iterator[Verdict]:
    """Judge the size of the artifact and of both networks, and the memory of the serving process."""
    folders = (emulator.FUNCTION_FOLDER, *emulator.LAYER_FOLDERS)
    artifact = sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
    yield judge("function and layers unzipped, MB", [artifact / 1e6], "at most", 95)
    yield judge("model, kB", [model_bytes / 1e3], "at most", 400)
    yield judge("reader, kB", [reader_bytes / 1e3], "at most", LARGEST_READER_BYTES / 1e3)
    memory = {name: [each.memory_megabytes for each in measured] for name, measured in rounds.items()}
    tensorflow = statistics.median(memory["tensorflow"])
    yield judge(f"memory while serving, MB (tensorflow {tensorflow:.0f})", memory["ours"], "at most", 160)


def _ratio(name: str, over: Sequence[float], under: Sequence[float], rule: str, aim: float) -> Verdict:
    return judge(name, [one / other for one, other in zip(over, under, strict=True)], rule, aim)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
