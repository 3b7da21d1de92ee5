"""What code does, read from its source: the calls of AWS and the variables of the environment that a handler reaches.

A definition is reached if its name stands in what is reached already. Names are all that is compared, so this may take
too much for reached. What IAM calls a method of boto3's is in a table; a method that is not in it is told.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

import botocore.session
from botocore import xform_name

# boto3's methods, and the argument that tells them from others of their name, as what IAM calls them.
ACTIONS = {
    ("get_object", "Key"): "s3:GetObject",
    ("head_object", "Key"): "s3:GetObject",
    ("put_object", "Key"): "s3:PutObject",
    ("create_multipart_upload", "Key"): "s3:PutObject",
    ("upload_part", "Key"): "s3:PutObject",
    ("complete_multipart_upload", "Key"): "s3:PutObject",
    ("abort_multipart_upload", "Key"): "s3:AbortMultipartUpload",
    ("delete_object", "Key"): "s3:DeleteObject",
    ("paginate", "Prefix"): "s3:ListBucket",
    ("publish", "TopicArn"): "sns:Publish",
    ("invoke", "FunctionName"): "lambda:InvokeFunction",
    ("put_lifecycle_event_hook_execution_status", "deploymentId"): "codedeploy:PutLifecycleEventHookExecutionStatus",
    ("get", "options"): "s3:GetObject",  # of obstore
}
_SERVICES = ("s3", "sns", "sqs", "lambda", "codedeploy", "stepfunctions", "cloudwatch", "ecr")
_VARIABLE = re.compile(r"(DIGITS|POWERTOOLS_METRICS)_[A-Z_]+|AWS_ENDPOINT_URL_S3")


class Code:
    """The modules that a handler's module imports, directly or not, of the project's own packages."""

    def __init__(self, handler: str, folders: dict[str, Path]) -> None:
        """Read them.

        Args:
            handler: the handler's module and name, with dots.
            folders: package: the folder that it is in.
        """
        module, _, self._handler = handler.rpartition(".")
        self._folders = folders
        self._modules: dict[str, ast.Module] = {}
        self._read(module)

    def actions(self) -> set[str]:
        """Return what the handler may ask of AWS, in IAM's words."""
        asked = {(method, keyword.arg or "") for method, call in self._calls for keyword in call.keywords}
        return {action for each, action in ACTIONS.items() if each in asked}

    def unknown(self) -> set[str]:
        """Return the methods of boto3's clients that may be called and are not in the table of actions."""
        others = _operations() - {method for method, _ in ACTIONS}
        return {method for method, call in self._calls if method in others and _is_of_boto3(call)}

    def variables(self) -> set[str]:
        """Return the project's variables of the environment that stand anywhere in the modules."""
        nodes = (node for tree in self._modules.values() for node in ast.walk(tree))
        texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
        return {text for text in texts if _VARIABLE.fullmatch(text)}

    @cached_property
    def _calls(self) -> list[tuple[str, ast.Call]]:
        """The calls of methods in what is reached, with the method's name."""
        calls = (each for node in self._reached() for each in ast.walk(node) if isinstance(each, ast.Call))
        return [(call.func.attr, call) for call in calls if isinstance(call.func, ast.Attribute)]

    def _read(self, module: str) -> None:
        path = self._path(module)
        if module in self._modules or path is None:
            return
        tree = self._modules[module] = _AtRuntime().visit(ast.parse(path.read_text()))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._read(alias.name)
            elif isinstance(node, ast.ImportFrom) and node.module:
                self._read(node.module)
                for alias in node.names:  # which may be a module, too
                    self._read(f"{node.module}.{alias.name}")

    def _path(self, module: str) -> Path | None:
        folder = self._folders.get(module.partition(".")[0])
        if folder is None:
            return None
        path = folder.joinpath(*module.split("."))
        return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)

    def _reached(self) -> Iterator[ast.AST]:
        """Return the bodies of all functions that the handler may come to, and the modules' own statements."""
        known: dict[str, list[ast.AST]] = {}
        for tree in self._modules.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    known.setdefault(node.name, []).append(node)
        started: list[ast.AST] = [node for tree in self._modules.values() for node in tree.body if not _defines(node)]
        waiting, seen = [*started, *known.get(self._handler, [])], set[int]()
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, ast.ClassDef):
                # What a class is made with and what Python calls of itself; its methods are reached by their names.
                own = [each for each in node.body if not _defines(each) or _is_called_unnamed(each)]
                waiting += [*own, *node.decorator_list, *node.bases]
                continue
            yield node
            for part in ast.walk(node):
                name = part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
                waiting += known.get(name, [])


class _AtRuntime(ast.NodeTransformer):
    """Leaves out what stands there for type checkers alone."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """Drop a branch that is never taken."""
        only_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if only_types else self.generic_visit(node)


@cache
def _operations() -> set[str]:
    """Return the methods of the clients of the services that the stack uses."""
    session = botocore.session.get_session()
    models = [session.get_service_model(name) for name in _SERVICES]
    return {xform_name(operation) for model in models for operation in model.operation_names}


def _is_of_boto3(call: ast.Call) -> bool:
    """Tell whether a call is made as boto3's are: with names that begin with capitals, or with a mapping."""
    return any(keyword.arg is None or keyword.arg[:1].isupper() for keyword in call.keywords)


def _defines(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _is_called_unnamed(node: ast.AST) -> bool:
    """Tell whether a function may be called without its name: a dunder method, or one that a decorator registers."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name.startswith("__") or bool(node.decorator_list)
    return False
