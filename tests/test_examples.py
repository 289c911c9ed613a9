"""Every example runs and draws its figure; the code of the README and of every guide runs and prints what it should."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import quick

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
FILES = [ROOT / "README.md", *sorted((ROOT / "examples").glob("*.md"))]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in FILES}
CODE = {name: re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE) for name, page in PAGES.items()}
LINKING = [ROOT / name for name in (*PAGES, "jaxlr/README.md", "jaxlr/CHANGELOG.md", "tests/benchmarks/RESULTS.md")]


def run(*arguments):
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SAYS = {
    "01_sweep": (
        "1000 models by newton, shape (10, 100): 1000 converged",
        r"best: l2 = .*, log loss 0\.0\d+ \+- .*, accuracy 0\.9",
    ),
    "02_first_tutorial": ("clouds: accuracy 1.0", r"moons, 200 draws in one program: accuracy 0\.85"),
    "03_second_tutorial": (
        "loss 25.000000000013888, probability 0.999999999986112",
        r"that IS the minimum. fit: w -0\.0332849080311015",
    ),
    "04_learning_rates": ("1000 runs of 300 epochs", r"never settling: 3\d\d, from 5\.8"),
    "05_optimizers": ("streamed in 10 chunks", r"newton +J - minimum after +12 epochs: below 1e-16\n"),
    "06_penalty_per_group": (
        "one penalty    log loss held-out 0.0716, unseen 0.0776",
        r"gained on held-out rows: 0\.003\d .* in 10 of 10 splits\ngained on unseen rows: 0\.002\d \+- 0\.005",
    ),
    "08_lasso": (
        "1000 models by proximal, shape (10, 100): 1000 converged",
        r"lowest mean: l1 = 1\.74e-03, 16 of 30 columns, held-out log loss 0\.0764",
    ),
    "09_association_scan": (
        "477 by Firth's penalized likelihood, all finite: True",
        r"significant: 2500 .*, 9300 .*, 15200 .*\n(lambda_GC of the .*: (0\.9[5-9]|1\.0[0-5])\d\n){3}",
    ),
    "10_intervals": (
        "5000 models by firth, shape (5000,): 5000 converged",
        r"smoke +0\.93885 +0\.40211 +2\.3348 +0\.0196",
    ),
    "11_scikit_learn": (
        "scikit-learn: C = 0.8286, first call",
        r"jaxlr: C = 0\.8286, .*\n.*\nlargest difference of probabilities: [1-9]e-0[6-9]\n.*converged: \[ True\]",
    ),
    "12_softmax": (
        "100 models by newton_cg, shape (5, 20): 100 converged",
        r"iris, .*: \['SEPARATED', 'CONVERGED'\]",
    ),
    "15_text": (
        r"docstrings x \d\d\d\d words, [01]\.\d\d% of the places filled",
        r"150 models by proximal, shape \(5, 30\): 150 converged\n(.*\n)*words in the models, .*: \[0, ",
    ),
    "13_leave_one_out": (
        "one penalty  leave-one-out 0.0923, unseen rows 0.0948",
        r"leave-one-out +100 models, .* l2 = 2\.7e-03, loss 0\.0748 .*\n.*\ntwo .* 0\.0799\nsixty .* 0\.044\d, unseen .* 0\.1",
    ),
    "16_bounds": (
        "40 models in [0, 1], the worst gap",
        r"only falling: J 0\.5947, .* 500 of 500 resamples converged\n(.*\n)+lasso: .* 9 columns\nadaptive lasso: .* 6 columns",
    ),
    "17_groups": (
        "1200 models by proximal, shape (10, 3, 40): 1200 converged",
        r"labours at 0\.085, .* visits at 0\.026\n.* 0\.5782, left out: nothing\n.* 0\.5723, left out: age, visits\n",
    ),
    "18_study": (
        "Hosmer-Lemeshow p = 0.46",
        r"AIC: 225\.43 .*\n(.*\n)*  smoking +20\.0 \(5\.8 to 34\.2\)\n  hypertension +38\.5 \(13\.8 to 63\.2\)\n",
    ),
    "19_two_processes": (
        "100 models by stream, shape (5, 20): 100 converged",
        r"process 1 of 2: 2000 rows, .*\n(.*\n)?the two .* to the last bit: True; with one: to \de-1[4-9]\n",
    ),
    "20_audit": (
        "1,000 ridge models, defaults of",
        r"saga .*\n +jaxlr +\d\.\de-1\d +\d\.\de-1\d .*\n(.*\n)?statsmodels: \d+ of 1,000 resamples have no estimate",
    ),
    "14_influence": (
        "the degrees of freedom of the model: 10.0000",
        r" 93     0\.133     -2\.03           0\.0891  ptl +-0\.81 -0\.83\n(.*\n){4}log loss: 0\.5326 .*, 0\.5928 ",
    ),
    "07_many_devices": ("2 x models, 4 x rows: coefficients", r"process 1 of 2: coefficients \de-1[4-9] from one device"),
}


def test_every_example_is_run():
    assert sorted(SAYS) == sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs_says_what_it_found_and_saves_its_figure(name, tmp_path):
    path = ROOT / "examples" / f"{name}.py"
    out = run(str(path), "--out", str(tmp_path))
    text, pattern = SAYS[name]
    assert text in out
    assert re.search(pattern, out)
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert (path.parent / "figures" / f"{name}.png").exists()
    assert len(path.read_text().splitlines()) < 80


PRINTS = {  # by each block of a page
    "README.md": ["1000 converged"],
    "examples/batches_and_memory.md": ["(20,)\n(10, 20)\n1000 models by newton, shape (1000,): 1000 converged"],
    "examples/margins.md": ["'smoke': "],
    "examples/streams.md": [
        "50 models by stream, shape (5, 10): 50 converged",
        "5 models by stream, shape (5,): 5 converged",
        "(5, 10, 5000)\n(5, 10, 5000)\n",
        "1 model by stream",
    ],
    "examples/convergence.md": ["['CONVERGED', 'SEPARATED']", "True\ncheck_certified: KKT residual "],
    "examples/derivatives.md": ["held-out loss 0.5743, its slope in log l2 0.0149"],
    "examples/inference.md": ["quasi SEPARATED", "steps of conditional"],
    "examples/lasso.md": ["'mean_texture', 'mean_concave_points', 'radius_error', 'fractal_dimension_error'"],
    "examples/many_devices.md": ["40 models by newton, shape (40,): 40 converged"],
    "examples/bounds.md": ["['race_black', 'race_other', 'smoke', 'ptl', 'ht', 'ui'] True True"],
    "examples/groups.md": [
        "300 models by proximal, shape (10, 30): 300 converged\n",
        "True pixels: [ 0  3  4  8  9 11 12 12 14 15] in every class: True",
        "(10, 3, 20) chosen: (1, 10)\n40 models by proximal, shape (2, 20): 40 converged",
    ],
    "examples/sparse.md": ["newton_cg True\nproximal (5, 10) True"],
    "examples/multinomial.md": [
        "40 models by newton_cg, shape (5, 8): 40 converged",
        "relative risk ratio -1.952, standard error 0.404",
    ],
    "examples/scikit_learn.md": [
        "['malignant' 'malignant' 'malignant']",
        "[1 1 0 0] (1, 8) csr_matrix\nTrue ArrayImpl",
        "0.82\n-0.39\n-0.38\n",
    ],
    "examples/tables_and_files.md": [
        "column 'age' has 1 missing value, first at row 17; drop or impute",
        "('age', 'race[black]', 'race[other]', 'race[white]') True\n('race[T.other]', 'race[T.white]') True\n",
    ],
    "examples/training.md": ["1000 runs of 100 epochs"],
}
BLOCKS = {f"{name}:{i}": pair for name in PRINTS for i, pair in enumerate(zip(CODE[name], PRINTS[name], strict=False))}


def test_all_code_of_the_pages_is_run():
    assert {name: len(blocks) for name, blocks in CODE.items() if blocks} == {name: len(PRINTS[name]) for name in PRINTS}
    fences = {name: re.findall(r"^```(\w+)", page, flags=re.MULTILINE) for name, page in PAGES.items()}
    assert set().union(*fences.values()) <= {"python", "sh", "text"}  # no Python by another name


@pytest.mark.slow
@pytest.mark.parametrize("block", quick(BLOCKS, "examples/tables_and_files.md:0"))
def test_the_code_of_the_pages_runs(block):
    code, text = BLOCKS[block]
    assert text in run("-c", code)


def test_the_readme_is_short():
    assert len(README.encode()) <= 9_000


def test_the_readme_sets_up_in_two_commands():
    section = README.split("## Set up")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == section.count("```") / 2 == 2
    assert all(block.count("\n") == 1 and block.startswith("python3 -m venv ") for block in blocks)
    assert "examples/01_sweep.py" in blocks[0]
    assert "pytest" in blocks[1]


@pytest.mark.parametrize("path", LINKING, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_links_is_there(path):
    page = path.read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", page):
        if "://" in link:
            continue
        file, _, heading = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        assert target.suffix != ".png" or target.stat().st_size < 350_000
        headings = re.findall(r"^#+ (.*)", target.read_text(), flags=re.MULTILINE) if heading else []
        assert not heading or heading in [re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in headings], link


def test_every_guide_is_linked_from_the_readme():
    assert not [name for name in PAGES if name != "README.md" and f"]({name}" not in README]
