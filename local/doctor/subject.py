"""What is examined: the artifact that `sam build` wrote, the template, and the sources that both were made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse

from digits.errors import OperationError

MACHINES = {"x86_64": "EM_X86_64", "arm64": "EM_AARCH64"}


class NotCheckedError(OperationError):
    """A check cannot be made here; the message says why."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and what to do about it.

    Attributes:
        hinders: whether nothing should be deployed before it is cured.
    """

    what: str
    cure: str
    hinders: bool = True


@dataclass(frozen=True)
class Subject:
    """A built tree beside its sources.

    Attributes:
        build: the folder that `sam build` wrote.
        root: the project's folder.
        architecture: what the functions but the retraining are to run on.
    """

    build: Path
    root: Path
    architecture: str

    @cached_property
    def template(self) -> dict[str, Any]:
        """The template as it stands in the sources."""
        parsed: dict[str, Any] = yaml_parse((self.root / "template.yaml").read_text())
        return parsed

    def functions(self) -> dict[str, dict[str, Any]]:
        """Return the properties of the functions, by name."""
        found = self.template["Resources"].items()
        return {name: each["Properties"] for name, each in found if each["Type"] == "AWS::Serverless::Function"}

    def zipped(self) -> dict[str, dict[str, Any]]:
        """Return the functions that are built as a folder here; the others are images."""
        return {name: each for name, each in self.functions().items() if each.get("PackageType") != "Image"}

    def layers_of(self, function: str) -> list[str]:
        """Return the names of a function's layers, in the order of their search path."""
        return [layer["Ref"] for layer in self.functions()[function].get("Layers", [])]

    def parts(self) -> list[str]:
        """Return the names of what is uploaded: the zipped functions and all layers."""
        layers = {layer: None for name in self.zipped() for layer in self.layers_of(name)}
        return [*self.zipped(), *layers]

    def search_path(self, function: str) -> list[Path]:
        """Return the folders in which Lambda's Python finds the modules of a function."""
        return [self.build / function, *(self.build / layer / "python" for layer in self.layers_of(function))]

    def files(self) -> Iterator[Path]:
        """Return all files that are uploaded."""
        for part in self.parts():
            yield from sorted(path for path in (self.build / part).rglob("*") if path.is_file())

    def name(self, path: Path) -> str:
        """Return how a path of the built tree is shown."""
        return path.relative_to(self.build).as_posix()
