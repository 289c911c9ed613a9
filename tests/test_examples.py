"""Every example runs and draws its figure; the README's code runs and prints what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
README = (ROOT / "README.md").read_text()
CODE = re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def run(*arguments):
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_saves_its_figure(path, tmp_path):
    out = run(str(path), "--out", str(tmp_path))
    assert "1000 models by newton, shape (10, 100): 1000 converged" in out
    assert re.search(r"best: l2 = .*, log loss 0\.0\d+ \+- .*, accuracy 0\.9", out)
    assert (tmp_path / f"{path.stem}.png").stat().st_size > 10_000
    assert (path.parent / "figures" / f"{path.stem}.png").exists()


@pytest.mark.parametrize("code", CODE, ids=[f"block {i}" for i in range(len(CODE))])
def test_the_code_of_the_readme_runs(code):
    assert "1000 models by newton, shape (10, 100): 1000 converged" in run("-c", code)


def test_the_readme_sets_up_in_two_commands():
    section = README.split("## Set up")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == section.count("```") / 2 == 2
    assert all(block.count("\n") == 1 and block.startswith("python3 -m venv ") for block in blocks)
    assert "examples/01_sweep.py" in blocks[0]
    assert "pytest" in blocks[1]


def test_the_figure_of_the_readme_is_there():
    for link in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / link).stat().st_size < 300_000
