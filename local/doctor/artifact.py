"""Whether Lambda can use what was built: sizes, machine code, bytecode, modes, imports."""

from __future__ import annotations

import importlib.util
import json
import platform
import re
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from samcli.yamlhelper import yaml_parse

from local.build import FUNCTION, LAYERS, bare_python
from local.doctor.subject import MACHINES, Finding, NotCheckedError, Subject

# Of a function with its layers, unzipped: what Lambda takes, and what the API allows itself.
LAMBDA_BYTES, API_BYTES = 250 * 2**20, 95_000_000
# The newest that Amazon Linux 2023 has.
NEWEST = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13)}
REBUILD = "run make clean and make build"
_SECRET = re.compile(
    rb"(AKIA|ASIA)(?!IOSFODNN7EXAMPLE)[A-Z0-9]{16}|-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/]{40}"
)
# Properties that SAM's build writes.
_BUILT = {"CodeUri", "ContentUri", "ImageUri", "DefinitionUri"}
_SECRET_NAMES = {".env", ".netrc", ".pypirc", "credentials", "tokens.json", "id_rsa"}


def sizes(subject: Subject) -> Iterator[Finding | str]:
    """Compare what a function and its layers weigh unzipped with what Lambda takes."""
    weights = {part: sum(path.stat().st_size for path in _files(subject.build / part)) for part in subject.parts()}
    for name in subject.zipped():
        parts = [name, *subject.layers_of(name)]
        total, most = sum(weights[part] for part in parts), API_BYTES if name == FUNCTION else LAMBDA_BYTES
        yield f"{' + '.join(f'{part} {weights[part] / 1e6:.1f}' for part in parts)} = {total / 1e6:.1f} MB"
        if total > most:
            cure = "leave more out: layers/runtime/prune.txt, or fewer packages in pyproject.toml"
            yield Finding(f"{name} and its layers have {total:,} bytes unzipped, {most:,} at most", cure)


def machine_code(subject: Subject) -> Iterator[Finding | str]:
    """Compare the machine of every shared object with the chosen architecture."""
    wanted, count = MACHINES[subject.architecture], 0
    cure = f"run make build ARCHITECTURE={subject.architecture}"
    for path in subject.files():
        if re.search(r"\.so(\.\d+)*$", path.name) and not _is_elf(path):
            yield Finding(f"{subject.name(path)} is no shared object for Linux", cure)
    for path, elf in _shared_objects(subject):
        count += 1
        if (machine := elf["e_machine"]) != wanted:
            yield Finding(f"{subject.name(path)} is for {machine}, not {wanted}", cure)
    yield f"{count} shared objects for {subject.architecture}"


def symbol_versions(subject: Subject) -> Iterator[Finding | str]:
    """Compare the symbol versions that shared objects ask for with those of Amazon Linux 2023."""
    highest: dict[str, tuple[int, ...]] = dict.fromkeys(NEWEST, (0,))
    for path, elf in _shared_objects(subject):
        for library, version in _needed(elf):
            if library not in NEWEST:
                continue
            highest[library] = max(highest[library], version)
            if version > NEWEST[library]:
                asked, has = (".".join(map(str, each)) for each in (version, NEWEST[library]))
                cure = "lock an older release of its package, whose wheel is for manylinux_2_34 or before"
                yield Finding(f"{subject.name(path)} needs {library} {asked}, and Amazon Linux 2023 has {has}", cure)
    yield "at most " + ", ".join(f"{library} {'.'.join(map(str, version))}" for library, version in highest.items())


def bytecode(subject: Subject) -> Iterator[Finding | str]:
    """Look for the bytecode of every module, with the magic number of this Python, never to be checked."""
    count = 0
    for path in subject.files():
        if path.suffix == ".py":
            compiled = Path(importlib.util.cache_from_source(str(path)))
            if not compiled.exists():
                yield Finding(f"{subject.name(path)} has no bytecode, so each cold start compiles it", REBUILD)
            elif compiled.read_bytes()[8:16] != importlib.util.source_hash(path.read_bytes()):
                yield Finding(f"{subject.name(path)} has bytecode of another source, which would run", REBUILD)
        elif path.suffix == ".pyc":
            count += 1
            header = path.read_bytes()[:8]
            if header[:4] != importlib.util.MAGIC_NUMBER:
                yield Finding(f"{subject.name(path)} is bytecode of another Python", REBUILD)
            elif header[4] != 0b01:
                yield Finding(f"{subject.name(path)} is bytecode that is checked against its source", REBUILD)
    yield f"{count:,} modules compiled by Python {platform.python_version()}"


def modes_and_secrets(subject: Subject) -> Iterator[Finding | str]:
    """Look for what others may write, for links, and for what looks like credentials."""
    count = 0
    for top in (subject.build / part for part in subject.parts()):
        for path in (top, *sorted(top.rglob("*"))):
            count += 1
            name = subject.name(path)
            if path.is_symlink():
                yield Finding(f"{name} is a link, which leads elsewhere on Lambda", REBUILD)
                continue
            if stat.S_IMODE(path.stat().st_mode) & 0o022:
                yield Finding(f"{name} can be written by others", REBUILD)
            if path.name in _SECRET_NAMES or (path.is_file() and _SECRET.search(path.read_bytes())):
                yield Finding(f"{name} looks like a credential", "take it out of the sources, and make a new one")
    yield f"{count:,} files and folders"


def handlers(subject: Subject) -> Iterator[Finding | str]:
    """Import every handler with nothing on the path but its function and its layers."""
    check_runs_here(subject)
    for name, properties in subject.zipped().items():
        module, _, attribute = properties["Handler"].rpartition(".")
        path = ":".join(map(str, subject.search_path(name)))
        with tempfile.TemporaryDirectory() as empty:
            finished = subprocess.run(
                [*bare_python(), "-S", "-c", f"import {module}; {module}.{attribute}"],
                env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "AWS_DEFAULT_REGION": "us-east-1"},
                cwd=empty,
                capture_output=True,
                text=True,
                check=False,
            )
        if finished.returncode:
            why = (finished.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            cure = (
                "put what is missing into the function's or the layer's packages in pyproject.toml, and run make lock"
            )
            yield Finding(f"{properties['Handler']} of {name} cannot be imported: {why}", cure)
        else:
            yield properties["Handler"]


def check_runs_here(subject: Subject) -> None:
    """Raise NotCheckedError where the built code is for another machine than this one."""
    here = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
    if platform.system() != "Linux" or here != subject.architecture:
        raise NotCheckedError(f"code for {subject.architecture} does not run here")


def sources(subject: Subject) -> Iterator[Finding | str]:
    """Compare the project's own files in the built tree with the sources, and the built template with the one here."""
    count = 0
    for built in subject.files():
        source = _source_of(built, subject)
        if source is None or built.suffix == ".pyc":
            continue
        count += 1
        if not source.exists() or source.read_bytes() != built.read_bytes():
            yield Finding(f"{subject.name(built)} is not what the sources say", "run make build")
    for part, folder in ((FUNCTION, "functions/predict_api"), (LAYERS[1], "python/digits")):
        top = subject.root / ("layers/digits/digits" if folder.startswith("python") else folder)
        for path in sorted(_files(top)):
            there = subject.build / part / folder / path.relative_to(top)
            if "__pycache__" not in path.parts and not there.exists():
                yield Finding(f"{subject.name(there)} is missing", "run make build")
    built_template = yaml_parse((subject.build / "template.yaml").read_text())
    for name, resource in subject.template["Resources"].items():
        if _settled(resource) != _settled(built_template["Resources"].get(name, {})):
            yield Finding(f"{name} in the built template is not what template.yaml says", "run make build")
    yield f"{count} files as in the sources"


def _source_of(built: Path, subject: Subject) -> Path | None:
    """Return the source of a file of the built tree; None of a file that is not the project's own."""
    inside = built.relative_to(subject.build).parts[1:]
    if inside[0] == "functions":
        return subject.root.joinpath(*inside)
    return subject.root.joinpath("layers/digits", *inside[1:]) if inside[:2] == ("python", "digits") else None


def _settled(resource: dict[str, Any]) -> str:
    """Return what SAM's build leaves as it is, of a resource."""
    properties = {name: each for name, each in resource.get("Properties", {}).items() if name not in _BUILT}
    return json.dumps({**resource, "Metadata": None, "Properties": properties}, sort_keys=True, default=str)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _shared_objects(subject: Subject) -> Iterator[tuple[Path, ELFFile]]:
    for path in subject.files():
        if _is_elf(path):
            with path.open("rb") as file:
                yield path, ELFFile(file)


def _is_elf(path: Path) -> bool:
    """Tell whether a file is a whole ELF file."""
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return False
        try:
            header = ELFFile(file).header
        except ELFError:
            return False
        # The table of sections is the last thing in the file.
        return bool(header["e_shoff"] + header["e_shnum"] * header["e_shentsize"] <= path.stat().st_size)


def _needed(elf: ELFFile) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Return the versions of symbols that a shared object asks others for: library and version."""
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _, versions in section.iter_versions():
                for version in versions:
                    if version.name == "GLIBC_ABI_DT_RELR":
                        yield "GLIBC", (2, 36)  # the first that knows such relocations
                    elif found := re.fullmatch(r"([A-Z]+)_(\d+(?:\.\d+)*)", version.name):
                        yield found[1], tuple(map(int, found[2].split(".")))
