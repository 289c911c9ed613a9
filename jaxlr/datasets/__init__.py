"""Small real data sets, shipped with the package: NumPy arrays in float64, 0/1 labels."""

from jaxlr.datasets.real import Dataset as Dataset
from jaxlr.datasets.real import breast_cancer as breast_cancer
from jaxlr.datasets.real import discount_codes as discount_codes
