import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

FAKE = """
import os, sys, types
import benchmarks.__main__ as runner
from benchmarks.measure import interleaved, result, tool_version

def run(data_dir):
    print("noise from a library")
    os.system("echo noise from a child")
    assert tool_version("no-such-tool") is None
    times = interleaved({"a": lambda: sum(range(10)), "b": lambda: None}, repeats=3)
    assert set(times) == {"a", "b"}
    return result(4.0, PEER, unit="s", peer_name="peer", smaller_is_better=SMALLER)

case = types.ModuleType("benchmarks.fake")
case.run = run
sys.modules["benchmarks.fake"] = case
runner.CASES["fake"] = "fake"
sys.exit(runner.main())
"""


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH"), str(ROOT / "src")])])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_a_case_prints_one_json_line_and_nothing_else(tmp_path: Path) -> None:
    fake = FAKE.replace("PEER", "10.0").replace("SMALLER", "True")
    answer = run("-c", fake, "fake", "--data", str(tmp_path / "data"))
    assert answer.returncode == 0, answer.stderr
    assert [json.loads(line) for line in answer.stdout.splitlines()] == [
        {"case": "fake", "ours": 4.0, "peer": 10.0, "ratio": 2.5, "unit": "s", "peer_name": "peer"}
    ]
    assert "noise from a library" in answer.stderr
    assert "noise from a child" in answer.stderr


def test_a_missing_peer_is_named_and_not_invented(tmp_path: Path) -> None:
    fake = FAKE.replace("PEER", "None").replace("SMALLER", "False")
    answer = run("-c", fake, "fake", "--data", str(tmp_path / "data"))
    assert json.loads(answer.stdout) == {
        "case": "fake", "ours": 4.0, "peer": None, "ratio": None, "unit": "s", "peer_name": "peer"
    }  # fmt: skip


def test_an_unknown_case_is_told(tmp_path: Path) -> None:
    answer = run("-m", "benchmarks", "nothing", "--data", str(tmp_path))
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "unknown case nothing (there are: reads-vs-multicov, " in answer.stderr
