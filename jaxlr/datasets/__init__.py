"""Small real data sets, shipped with the package (NumPy arrays in float64, 0/1 labels), and generators from a jax key."""

from jaxlr.datasets.made import clouds as clouds
from jaxlr.datasets.made import logistic as logistic
from jaxlr.datasets.made import separable as separable
from jaxlr.datasets.made import two_moons as two_moons
from jaxlr.datasets.real import Dataset as Dataset
from jaxlr.datasets.real import breast_cancer as breast_cancer
from jaxlr.datasets.real import discount_codes as discount_codes
from jaxlr.datasets.real import low_birth_weight as low_birth_weight
from jaxlr.datasets.real import remission as remission
from jaxlr.datasets.real import spector as spector
