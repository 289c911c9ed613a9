"""The axes of a batch: what each one is, and that split and joined numbers are the same numbers."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlr.batching.axes import Axes, axes_of, cores_of, has_path, map_leaves, split
from jaxlr.batching.lanes import Models
from jaxlr.model.likelihood import Binary, Multinomial
from jaxlr.model.params import Params, SoftmaxParams
from jaxlr.model.problem import Problem

M, N, K = 4, 2, 3

# By name: batch axes of X, y, l2 and the start; then the batch, and the axes of designs, lanes and path.
LAYOUTS = {
    "one model": ((), (), (), None, (), (), (), ()),
    "targets": ((), (5,), (), None, (5,), (), (0,), ()),
    "designs": ((3,), (), (), None, (3,), (0,), (), ()),
    "a path": ((), (), (8,), None, (8,), (), (), (0,)),
    "too short for a path": ((), (), (7,), None, (7,), (), (0,), ()),
    "a start each is no path": ((), (), (8,), (8,), (8,), (), (0,), ()),
    "designs x targets x path": ((3, 1, 1), (2, 1), (9,), None, (3, 2, 9), (0,), (1,), (2,)),
    "targets x designs": ((3,), (2, 1), (), (2, 3), (2, 3), (1,), (0,), ()),
    "two axes of designs": ((3, 1, 2), (4, 1), (), None, (3, 4, 2), (0, 2), (1,), ()),
    "a path of each lane": ((), (), (2, 8), None, (2, 8), (), (0,), (1,)),
    "axes of length 1": ((1, 1), (1,), (1, 1), None, (1, 1), (), (0, 1), ()),
}


def models_of(name, num_classes=None):
    of_X, of_y, of_l2, of_start, *_ = LAYOUTS[name]
    number = itertools.count()

    def some(lead, *core):
        return jnp.arange(np.prod((*lead, *core), dtype=int), dtype=float).reshape(*lead, *core) + 1000 * next(number)

    kind, classes = (Params, ()) if num_classes is None else (SoftmaxParams, (num_classes,))
    start = None if of_start is None else kind(some(of_start, *classes, N), some(of_start, *classes))
    problem = Problem(X=some(of_X, M, N), y=some(of_y, M), offset=some(of_y, M, *classes), l1=None, l2=some(of_l2))
    return Models(problem=problem, start=start), LAYOUTS[name][4]


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_each_axis_is_of_designs_or_lanes_or_the_path(name):
    models, batch = models_of(name)
    assert axes_of(models, cores_of(Binary(), True), batch, "newton") == Axes(batch, *LAYOUTS[name][5:])


@pytest.mark.slow
@pytest.mark.parametrize("num_classes", [None, K])
@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_split_is_found_in_its_place_by_mapping_over_its_axes(name, num_classes):
    """Members that are put together inside, over designs, lanes and path, are those that broadcasting gives."""
    (models, batch), likelihood = models_of(name, num_classes), Binary() if num_classes is None else Multinomial(num_classes)
    cores = cores_of(likelihood, True)
    axes = axes_of(models, cores, batch, "newton")
    found = split(models, cores, axes)

    def of_path(lane):
        def one(l2):
            leaves = [
                leaf.ravel() for leaf in jax.tree.leaves((lane.problem.X, lane.problem.y, lane.problem.offset, lane.start))
            ]
            return jnp.concatenate([*leaves, l2.reshape(1)])

        return jax.vmap(one)(jnp.broadcast_to(lane.problem.l2, axes.sizes(axes.path))) if axes.path else one(lane.problem.l2)

    def of_design(design):
        return jax.vmap(of_path, in_axes=(found.lanes,), axis_size=axes.num_lanes)(design)

    inside = (jax.vmap(of_design, in_axes=(found.designs,)) if axes.designs else of_design)(found.models)
    whole = map_leaves(lambda core, leaf: jnp.broadcast_to(leaf, batch + leaf.shape[len(core.lead(leaf)) :]), cores, models)
    parts = jax.tree.leaves((whole.problem.X, whole.problem.y, whole.problem.offset, whole.start, whole.problem.l2))
    expected = jnp.concatenate([leaf.reshape(*batch, -1) for leaf in parts], axis=-1)
    np.testing.assert_array_equal(axes.join(inside), expected)


def test_what_is_shared_is_never_copied():
    models, batch = models_of("designs x targets x path")
    cores = cores_of(Binary(), True)
    problem = split(models, cores, axes_of(models, cores, batch, "newton")).models.problem
    assert [leaf.shape for leaf in (problem.X, problem.y, problem.l2)] == [(3, M, N), (2, M), (9,)]


def test_a_path_has_nothing_but_strengths():
    cores = cores_of(Binary(), True)
    problem = Problem(X=np.zeros((M, N)), y=np.zeros(M), l1=np.zeros(9), l2=np.zeros((2, 1)))
    assert has_path(Models(problem=problem), cores, "newton")
    assert not has_path(Models(problem=problem, present=np.ones((9, M), bool)), cores, "newton")
