"""What is chosen from shapes, row by row, and what the memory is told of it."""

import inspect
from dataclasses import MISSING, fields

import numpy as np
import pytest

import jaxlr
from jaxlr.batching import strategy
from jaxlr.batching.strategy import Traits, choose, columns_to_solve, num_parameters, products_fit, usual_room, with_room
from jaxlr.engine.arguments import Arguments
from jaxlr.engine.memory import needs_of
from jaxlr.model.likelihood import Binary, Multinomial
from jaxlr.solvers.rounding import most_parameters
from jaxlr.solvers.solve import Settings

ASKED = Settings(likelihood=Binary(), fit_intercept=True, standardize=False, max_steps=200, solver="auto", coercive=False)
TRAITS = Traits(
    m=200,
    n=10,
    num_designs=1,
    num_models=1,
    num_paths=1,
    itemsize=8,
    smooth=True,
    absolute=False,
    has_l2=True,
    same_penalty=True,
    penalized=True,
)
MANY, L1 = {"num_models": 100, "num_paths": 100}, {"smooth": False, "absolute": True}
TEN = {"likelihood": Multinomial(10)}

# By name: what differs from one small ridge model, in what was asked and in the traits; and what is chosen.
CHOICES = {
    "one small model": ({}, {}, {"solver": "newton"}),
    "one model of many columns": ({}, {"n": 190}, {"solver": "newton"}),
    "one longer model": ({}, {"m": 50_000, "n": 64}, {"solver": "newton_cg"}),
    "the same, perhaps separated": ({}, {"m": 50_000, "n": 64, "penalized": False}, {"solver": "newton"}),
    "many models": ({}, MANY, {"solver": "newton", "products": True}),
    "many models of more columns": ({}, MANY | {"m": 2000, "n": 64}, {"solver": "newton_cg", "products": False}),
    "Newton asked for": ({"solver": "newton"}, MANY | {"m": 2000, "n": 64}, {"solver": "newton", "products": True}),
    "conjugate gradients asked for": ({"solver": "newton_cg"}, MANY, {"solver": "newton_cg", "products": False}),
    "l1": ({}, L1, {"solver": "proximal", "room": 11, "products": False}),
    "bounds on many columns": ({}, {"smooth": False, "n": 5000}, {"solver": "proximal", "room": 0, "wide": False}),
    "l1 in many models": ({}, L1 | MANY, {"solver": "proximal", "room": 11, "products": True}),
    "a path of l1": ({}, L1 | {"num_models": 100}, {"products": False, "keeps": False}),
    "ten paths of l1": ({}, L1 | {"num_models": 1000, "num_paths": 10}, {"products": True, "keeps": False}),
    "a path of more columns": ({"coercive": True}, L1 | {"num_models": 100, "n": 80}, {"products": False, "keeps": True}),
    "ten of these": ({"coercive": True}, L1 | {"num_models": 1000, "num_paths": 10, "n": 80}, {"keeps": True}),
    "one of these, perhaps separated": ({}, L1 | {"num_models": 100, "n": 80}, {"products": False, "keeps": False}),
    "l1 on many columns": ({}, L1 | MANY | {"n": 5000}, {"solver": "proximal", "room": 175, "wide": False, "products": False}),
    "l1 on many columns without l2": ({}, L1 | {"n": 5000, "has_l2": False}, {"room": 225}),
    "more columns than rows": ({}, {"n": 7000}, {"solver": "newton", "wide": True}),
    "with factors": ({}, {"n": 7000, "same_penalty": False}, {"solver": "newton_cg", "wide": False}),
    "with units of their own": ({"standardize": True}, {"n": 7000}, {"wide": False}),
    "a large design": ({}, {"m": 10**6, "large": True}, {"solver": "newton_cg", "large": True}),
    "a large design for Newton": ({"solver": "newton"}, {"m": 10**6, "large": True}, {"solver": "newton", "large": False}),
    "ten classes of a large design": (TEN, {"m": 10**6, "large": True}, {"large": False}),
    "ten classes": (TEN, {}, {"solver": "newton"}),
    "ten classes of many parameters": (TEN, {"n": 64}, {"solver": "newton_cg"}),
    "the same, perhaps separated, classes": (TEN, {"n": 64, "penalized": False}, {"solver": "newton"}),
    "too many to tell": (TEN, {"n": 300, "m": 1000, "penalized": False}, {"solver": "newton_cg"}),
    "ten classes in many models": (TEN, MANY, {"solver": "newton", "products": True}),
    "ten classes with l1": (TEN, L1 | {"n": 5000}, {"solver": "proximal", "room": 256}),
    "ten classes, more columns than rows": (TEN, {"m": 10, "n": 5000}, {"solver": "newton", "wide": True}),
    "small designs": ({}, {"num_designs": 9, "num_models": 9}, {"one_by_one": False}),
    "larger designs": ({}, {"m": 20_000, "num_designs": 9, "num_models": 9}, {"one_by_one": True}),
    "one larger design": ({}, MANY | {"m": 20_000}, {"one_by_one": False}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _on_a_cpu(monkeypatch):
    monkeypatch.setattr(strategy.jax, "default_backend", lambda: "cpu")


@pytest.mark.parametrize("name", CHOICES)
def test_shapes_choose(name):
    asked, traits, expected = CHOICES[name]
    chosen = choose(ASKED._replace(**asked), TRAITS._replace(**traits))
    assert {field: getattr(chosen, field) for field in expected} == expected


@pytest.mark.parametrize("name", CHOICES)
def test_the_memory_is_told_what_was_chosen(name):
    asked, traits, _ = CHOICES[name]
    traits = TRAITS._replace(**traits)
    chosen = choose(ASKED._replace(**asked), traits)
    needs = needs_of(chosen, traits, own=3)
    assert (needs.products, needs.own) == (chosen.products, 3)
    assert (needs.preconditioner > 0) == (chosen.solver == "newton_cg")
    parameters = num_parameters(chosen, columns_to_solve(chosen, traits.m, traits.n), traits.smooth)
    judged = not chosen.coercive and parameters <= most_parameters(chosen.settled)  # by a Hessian of its own, at the end
    assert (needs.hessian > 0) == (judged or chosen.solver != "newton_cg")
    assert (needs.designs == 0) == (traits.num_designs == 1)
    assert needs.gathered >= chosen.room if 0 < chosen.room < traits.n else needs.gathered in (0, 55)


def test_more_room_for_a_working_set_changes_what_follows_from_it():
    traits = TRAITS._replace(smooth=False, n=100, num_models=20, num_paths=20)
    few = choose(ASKED, traits)._replace(room=16)
    assert with_room(few, traits, 64).room == 64
    assert not with_room(few, traits, 64).products
    assert with_room(few, traits, 101).products


def test_there_is_room_for_fewer_columns_than_there_are():
    rows = {(72, 7129, False): 81, (40, 7129, False): 48, (72, 7129, True): 64, (200, 128, True): 128}
    rows |= {(10**6, 2000, True): 2000, (10**6, 3000, True): 1024, (200, 501, True, 3): 501, (336, 3348, False, 3): 256}
    assert {row: usual_room(*row) for row in rows} == rows


def test_products_stand_up_to_a_gigabyte():
    assert products_fit(1000, 500, 1, 8)
    assert not products_fit(1000, 600, 1, 8)
    assert not products_fit(1000, 500, 2, 8)


def test_designs_are_large_where_they_are_long_centered_and_far_from_collinear(monkeypatch):
    X = np.random.default_rng(0).standard_normal((4000, 3))
    assert not strategy.is_large(X, True, True)
    monkeypatch.setattr(strategy, "_LARGE", 0)
    assert strategy.is_large(X, True, True)
    assert not strategy.is_large(X[:1000], True, True)
    assert not strategy.is_large(X + 1e6, True, True)
    assert strategy.is_large(X + 1e6, False, True)
    copied = np.stack([X[:, 0], X[:, 1], X[:, 0] + 1e-6 * X[:, 2]], axis=1)
    assert strategy.is_large(X, True, False)
    assert strategy.is_large(copied, True, True)
    assert not strategy.is_large(copied, True, False)


@pytest.mark.parametrize("door", [jaxlr.fit, jaxlr.fit_bootstrap, jaxlr.fit_columns, jaxlr.fit_firth, jaxlr.cross_validate])
def test_every_door_shows_its_arguments_with_the_defaults_of_fit(door):
    defaults = {
        field.name: inspect.Parameter.empty if field.default is MISSING else field.default for field in fields(Arguments)
    }
    shown = inspect.signature(door).parameters
    assert not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in shown.values())
    assert {name: shown[name].default for name in defaults if name in shown} == {
        name: default for name, default in defaults.items() if name in shown
    }
    if door is jaxlr.fit:
        assert list(shown) == list(defaults)
