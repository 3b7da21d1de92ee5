"""Request bodies that are made to do harm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from digits.registry.bucket import Bucket

ROOT = Path(__file__).parents[2]


def test_hostile_bodies_are_refused_within_bounded_memory(published: Bucket) -> None:
    """In a process of its own, whose largest size is then known."""
    code = """
import resource
from types import SimpleNamespace
from functions.predict_api.handler import handler
from tests import events
context = SimpleNamespace(aws_request_id="x")
assert handler(events.load("http_v2_predict_json"), context)["statusCode"] == 200
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
full = 4_400_000
bodies = ["[" * full, "[]," * (full // 3), '{"a":' * (full // 5), "0.5," * (full // 4), '"ab",' * (full // 5),
          '{"pixels":[' + "1e308," * (full // 6), '{"pixels":' + "9" * full + "}", '{"image":"' + "A" * full + '"}',
          "NaN", '{"instances":[' + "{}," * (full // 3)]
events_of = [events.post(body) for body in bodies]
before = peak()
for event in events_of:
    assert handler(event, context)["statusCode"] in (400, 422), event["body"][:20]
print(peak() - before)
"""
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert float(finished.stdout.splitlines()[-1]) < 50
