"""The table of planted faults stays true to the code: what a fault replaces stands there once, and each room has faults.

Whether tests notice them is looked at by ``python -m tests.planted_faults``, which takes an hour or so.
"""

import pytest

from tests.planted_faults import FAULTS, ROOT, text_with
from tests.test_architecture import ROOMS

WITHOUT = {
    "estimator",
    "formulas",
    "plots",
    "testing",
}  # whose tests compare all of what they hand back with that of other packages


@pytest.mark.parametrize("number", range(len(FAULTS)))
def test_a_fault_can_be_planted_in_the_code_as_it_is(number):
    fault = FAULTS[number]
    assert text_with(fault) != (ROOT / "jaxlr" / fault.file).read_text()
    assert all((ROOT / "tests" / name).exists() for name in fault.tests.split())


def test_every_room_has_faults():
    assert {fault.file.split("/")[0].removesuffix(".py") for fault in FAULTS} == set().union(*ROOMS) - WITHOUT


def test_a_text_that_is_gone_is_told():
    with pytest.raises(ValueError, match=r"expected 'no such text' once in io.py, got it 0 times; mend the table"):
        text_with(FAULTS[0]._replace(file="io.py", old="no such text"))
