"""What `sam build` made, as Lambda would run it."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import stat
import subprocess
import sysconfig
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.emulator import (
    FUNCTION_FOLDER,
    HANDLER,
    LAYER_FOLDERS,
    Container,
    artifact_environment,
    emulated,
)
from functions.predict_api import page, reference
from local.build import FUNCTION, LAYERS, bare_python
from local.store import EmbeddedStore
from tests import doors, events
from tests.conftest import Handler
from tests.contract import CONTRACT, TOKEN
from tests.doors import Request

RUNTIME_LAYER, DIGITS_LAYER = LAYER_FOLDERS
MOST_BYTES = 95_000_000
PAGE_SUFFIXES = {".html", ".css", ".js", ".png", ".svg"}
SWAGGER_UI = f"{LAYERS[0]}/python/fastapi_swagger/resources/"
MOST_MODULES_COLD, MOST_MODULES = 662, 720


def files_of(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_function_and_layers_stay_far_under_lambdas_limit(build: Path) -> None:
    size = sum(path.stat().st_size for path in files_of(FUNCTION_FOLDER, *LAYER_FOLDERS))
    assert size <= MOST_BYTES, f"{size:,} bytes unzipped"


def test_every_module_of_ours_comes_with_bytecode_that_is_never_checked(build: Path) -> None:
    sources = [path for path in files_of(FUNCTION_FOLDER, DIGITS_LAYER) if path.suffix == ".py"]
    assert sources
    for source in sources:
        assert_never_checked(Path(importlib.util.cache_from_source(str(source))))


def test_the_runtime_layer_is_bytecode_without_sources(build: Path) -> None:
    names = Counter(path.suffix for path in files_of(RUNTIME_LAYER))
    assert names[".pyc"] > 500
    assert names[".py"] == names[".pyi"] == 0
    for compiled in RUNTIME_LAYER.rglob("*.pyc"):
        assert compiled.parent.name != "__pycache__"
        assert_never_checked(compiled)


def assert_never_checked(compiled: Path) -> None:
    assert compiled.exists(), compiled
    header = compiled.read_bytes()[:8]
    assert header[:4] == importlib.util.MAGIC_NUMBER, compiled
    assert header[4] == 0b01, f"{compiled}: not an unchecked hash"


def test_the_artifact_holds_code_the_page_metadata_and_licences(build: Path) -> None:
    for path in files_of(*(build / part for part in (FUNCTION, *LAYERS))):
        name = path.relative_to(build).as_posix()
        code = path.suffix in {".py", ".pyc", ".so"} or ".so." in path.name
        page_file = path.suffix in PAGE_SUFFIXES and name.startswith(f"{FUNCTION}/functions/predict_api/")
        swagger_ui = name.startswith(SWAGGER_UI) and f"/docs/{path.name}" in {route.path for route in reference.ROUTES}
        metadata = path.parent.suffix == ".dist-info" and path.name in {"METADATA", "entry_points.txt"}
        assert code or page_file or swagger_ui or metadata or re.search("LICEN[CS]E|NOTICE|COPYING", path.name), name


def test_the_artifact_can_be_read_by_all_and_written_by_its_owner_alone(build: Path) -> None:
    for top in (FUNCTION_FOLDER, *(build / layer for layer in LAYERS)):
        for path in (top, *top.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert not path.is_symlink(), path
            assert mode in ({0o755} if path.is_dir() else {0o644, 0o755}), f"{path} has mode {mode:o}"


def test_the_artifact_holds_no_training_and_no_tests(build: Path) -> None:
    names = {path.name for folder in (FUNCTION_FOLDER, *LAYER_FOLDERS) for path in folder.iterdir()}
    assert {"functions", "digits", "fastapi", "mangum", "numpy", "ai_edge_litert"} <= names
    assert not names & {"tensorflow", "keras", "training", "tests", "local", "moto", "boto3", "bin"}


def test_every_event_is_answered_by_the_real_runtime(lambda_runtime: Container) -> None:
    for name, (status, digits) in events.EXPECTED.items():
        response: dict[str, Any] = lambda_runtime(events.load(name))
        assert events.status_of(response) == status, (name, response)
        if digits:
            assert events.digits_of(response) == digits, name


def every_request() -> dict[str, Any]:
    """Every sample event, every request of the contract, every file of the page, a picture in every format and mode."""
    requests = {name: events.load(name) for name in events.EXPECTED}
    requests |= {f"contract: {name}": doors.http_v2(request) for name, (request, _) in CONTRACT.items()}
    requests |= {
        f"page: {route.path}": doors.http_v2(Request("GET", route.path)) for route in [*page.ROUTES, *reference.ROUTES]
    }
    digit = Image.open(BytesIO(events.digit_file(7))).resize((90, 90))
    for mode, kind, options in PICTURES:
        file = BytesIO()
        digit.convert(mode).save(file, kind, **options)
        body = Request("POST", "/v1/predict", TOKEN | {"content-type": f"image/{kind.lower()}"}, file.getvalue())
        event = doors.http_v2(body)
        event["rawQueryString"] = "explain=1"
        requests[f"{kind} {mode} {options}"] = event
    return requests


PICTURES: list[tuple[str, str, dict[str, Any]]] = [
    ("L", "PNG", {}),
    ("RGBA", "PNG", {}),
    ("1", "PNG", {}),
    ("P", "PNG", {}),
    ("RGB", "JPEG", {}),
    ("CMYK", "JPEG", {}),
    ("P", "GIF", {}),
    ("RGB", "BMP", {}),
    ("RGB", "WEBP", {}),
    ("RGBA", "WEBP", {"lossless": True}),
    ("L", "TIFF", {}),
    *(
        ("RGB", "TIFF", {"compression": name})
        for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "zstd", "packbits")
    ),
    ("1", "TIFF", {"compression": "group4"}),
]


def test_what_the_artifact_leaves_out_is_missed_by_no_request(lambda_runtime: Container, handler: Handler) -> None:
    for name, event in every_request().items():
        ours, theirs = lambda_runtime(event), handler(event)
        assert without_what_differs(ours) == without_what_differs(theirs), name


def without_what_differs(answer: Any) -> Any:
    """Return an answer without the request's ids and the times that it took."""
    if isinstance(answer, list):
        return [without_what_differs(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    if isinstance(answer.get("body"), str):
        with suppress(ValueError):
            answer["body"] = json.loads(answer["body"])
    differs = {"request_id", "id", "server-timing", "x-request-id", "content-length"}
    return {name: without_what_differs(value) for name, value in answer.items() if name not in differs}


@pytest.fixture
def modules_of(
    build: Path, runtime_client: Path, published: object, store: EmbeddedStore, tmp_path: Path
) -> Callable[[list[Any]], list[dict[str, str | None]]]:
    """Has a bare interpreter answer requests; gives the modules after each one, and where they are from."""

    def run(given: list[Any]) -> list[dict[str, str | None]]:
        script = (
            "import json, sys; from types import SimpleNamespace; from functions.predict_api.handler import handler\n"
            "seen = []\n"
            "for event in json.load(sys.stdin):\n"
            "    handler(event, SimpleNamespace(aws_request_id='id'))\n"
            "    seen.append({name: getattr(module, '__file__', None) for name, module in sys.modules.items()})\n"
            "print(json.dumps(seen))"
        )
        finished = subprocess.run(
            [*bare_python(), "-c", script],
            cwd=tmp_path,
            env=artifact_environment(runtime_client, store.environment()),
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=True,
        )
        seen: list[dict[str, str | None]] = json.loads(finished.stdout.splitlines()[-1])
        return seen

    return run


def test_the_serving_process_holds_no_training_and_few_modules(
    modules_of: Callable[[list[Any]], list[dict[str, str | None]]],
) -> None:
    cold, *_, modules = modules_of([events.load("http_v2_predict_json"), *every_request().values()])
    packages = {name.partition(".")[0] for name in modules}
    assert {"functions", "digits", "numpy", "ai_edge_litert"} <= packages
    assert not packages & {"tensorflow", "keras", "matplotlib", "scipy", "boto3", "botocore", "training", "requests"}
    assert "functions.predict_api.inference_protocol" not in cold  # it is made when it is first asked
    assert "functions.predict_api.inference_protocol" in modules
    assert len(cold) <= MOST_MODULES_COLD, len(cold)
    assert len(modules) <= MOST_MODULES, len(modules)


def test_the_serving_process_holds_nothing_but_the_artifact_and_the_standard_library(
    modules_of: Callable[[list[Any]], list[dict[str, str | None]]], runtime_client: Path
) -> None:
    (modules,) = modules_of([events.load("http_v2_predict_json")])
    standard = Path(sysconfig.get_path("stdlib"))
    folders = (FUNCTION_FOLDER, *LAYER_FOLDERS, runtime_client, standard)
    for name, file in modules.items():
        if file is not None:
            assert any(Path(file).is_relative_to(folder) for folder in folders), f"{name} is from {file}"
            assert "site-packages" not in file, f"{name} is from {file}"
    assert Path(str(modules["functions.predict_api.handler"])).is_relative_to(FUNCTION_FOLDER)
    assert Path(str(modules["digits.reading"])).is_relative_to(DIGITS_LAYER)
    assert Path(str(modules["fastapi"])).is_relative_to(RUNTIME_LAYER)


@pytest.mark.parametrize("missing", [f"{FUNCTION}/functions", *(f"{layer}/python" for layer in LAYERS)])
def test_a_part_that_was_not_built_is_found_nowhere_else(
    build_copy: Path, runtime_client: Path, store: EmbeddedStore, missing: str
) -> None:
    shutil.rmtree(build_copy / missing)
    environment = artifact_environment(runtime_client, store.environment(), build_copy)
    with emulated(bare_python(), HANDLER, environment) as container:
        answer = container(events.load("http_v2_health"))
    assert answer["errorType"] == "Runtime.ImportModuleError", answer


def test_what_runs_is_the_bytecode_of_the_artifact(
    build_copy: Path, runtime_client: Path, published: object, store: EmbeddedStore
) -> None:
    sources = list(build_copy.rglob("*.py"))
    assert {"handler.py", "reading.py"} <= {source.name for source in sources}
    for source in sources:
        source.write_text("raise RuntimeError('compiled anew')\n")
    environment = artifact_environment(runtime_client, store.environment(), build_copy)
    with emulated(bare_python(), HANDLER, environment) as container:
        answer = container(events.load("http_v2_predict_json"))
    assert events.digits_of(answer) == events.EXPECTED["http_v2_predict_json"][1], answer


@pytest.mark.parametrize("event", [{"Records": []}, [], None, "text"])
def test_an_event_that_is_no_request_gets_no_stack_trace(lambda_runtime: Container, event: Any) -> None:
    answer = lambda_runtime(event)
    assert answer["status"] == 400
    assert "stackTrace" not in answer
