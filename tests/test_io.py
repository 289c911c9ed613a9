"""What is saved comes back bit for bit; what was cut off, altered or never ours is refused in words."""

import io
import json
import os
import pickle
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlr
from jaxlr import Params, SoftmaxParams
from jaxlr.io import load, save
from jaxlr.selection.scores import CrossValidation
from tests.helpers import known_fit, quick

pytestmark = pytest.mark.usefixtures("x64")

X, Y, *_ = jaxlr.datasets.low_birth_weight()
LABELS = np.arange(len(Y)) % 3
L2 = np.array([1.0, 0.1])
RESULTS = {
    "Fit": lambda: jaxlr.fit(X, Y, l2=L2),
    "Params": lambda: Params(jnp.ones((2, 3), jnp.float32), jnp.zeros(2, jnp.float32)),
    "half precision": lambda: Params(jnp.ones(3, jnp.bfloat16), jnp.zeros((), jnp.float16)),
    "Fit of classes": lambda: jaxlr.fit(X, LABELS, num_classes=3, l2=L2),
    "SoftmaxParams": lambda: SoftmaxParams(jnp.ones((2, 3, 4), jnp.float32), jnp.zeros((2, 3), jnp.float32)),
    "Scaler": lambda: jaxlr.preprocessing.fit_scaler(X),
    "CrossValidation": lambda: jaxlr.cross_validate(X, Y, l2=L2, folds=3, key=jax.random.key(0)),
    "CrossValidation of classes": lambda: jaxlr.cross_validate(X, LABELS, num_classes=3, l2=L2, folds=3, key=jax.random.key(0)),
    "nothing chosen": lambda: jaxlr.cross_validate(X, Y, l2=L2, folds=3, key=jax.random.key(0), refit=False),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "result.npz"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", quick(RESULTS, *(name for name in RESULTS if name != "nothing chosen" and "CrossValidation" not in name))
)
def test_a_result_comes_back_bit_for_bit(name, path):
    result = RESULTS[name]()
    save(path, result)
    again = load(path)
    assert jax.tree.structure(again) == jax.tree.structure(result)
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(result), strict=True):
        assert isinstance(one, np.ndarray)
        assert one.dtype == other.dtype
        assert one.tobytes() == np.asarray(other).tobytes()


def test_a_cross_validation_comes_back_with_and_without_what_only_some_have(path):
    """Strengths of groups and shares of estimates are None in most, and `load` refused these."""
    one, scores = known_fit([1.0], 0.0), {"log_loss": np.ones((2, 1))}
    chosen = {"fits": one, "folds": 2, "scores": scores, "mean": scores, "standard_error": scores, "best": (0,), "one_se": (0,)}
    for some in ({}, {"l1_group": np.ones(1), "gamma": np.ones(1)}):
        result = CrossValidation(**chosen, refit=one, l1=np.zeros(1), l2=np.ones(1), **some)
        save(path, result)
        again = load(path)
        assert jax.tree.structure(again) == jax.tree.structure(result)
        assert again.best == (0,)


def test_what_is_saved_can_be_loaded(path):
    save(path, Params(np.zeros(2), 0))  # a number of Python is one of NumPy
    assert load(path).intercept.shape == ()
    with pytest.raises(TypeError, match="expected a whole Params, got one that holds a NoneType as coef"):
        save(path, Params(None, 0.0))
    assert load(path).coef.tolist() == [0.0, 0.0]


def test_the_bits_do_not_depend_on_the_configuration_of_jax(path):
    save(path, jaxlr.fit(X, Y))
    with jax.enable_x64(False):
        assert load(path).params.coef.dtype == np.float64


def test_numpy_alone_reads_the_arrays(path):
    fit = jaxlr.fit(X, Y)
    save(path, fit)
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["params.coef"], fit.params.coef)


def test_every_flipped_bit_and_every_cut_is_noticed(path):
    save(path, Params(np.arange(3.0), np.array(1.0)))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 300):
        altered = bytearray(whole)
        altered[at] ^= 1 << rng.integers(8)
        for content in (altered, whole[:at]):
            path.write_bytes(content)
            with pytest.raises(ValueError, match=r"got .*result.npz, which (is none, or is cut off|was altered)"):
                load(path)


def sealed(members):
    """An archive with the right digest, whatever is in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.comment = jaxlr.io._MARK + b"0" * jaxlr.io._HEX
    whole = buffer.getvalue()[: -jaxlr.io._HEX]
    return whole + jaxlr.io.hashlib.sha256(whole).hexdigest().encode()


class Bomb:
    def __reduce__(self):
        return os.abort, ()


def pickled_array():
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([Bomb()], object), allow_pickle=True)
    return buffer.getvalue()


def header(content, version=1):
    return json.dumps({"format": "jaxlr", "version": version, "jaxlr": "9.9", "content": content})


FOREIGN = {
    "empty": b"",
    "text": b"coef,intercept\n1,2\n",
    "pickle": pickle.dumps(Bomb()),
    "no header": sealed({"a.npy": b"x"}),
    "no JSON": sealed({"header.json": b"\xff"}),
    "code": sealed({"header.json": header({"array": "a", "dtype": "float64"}), "a.npy": pickled_array()}),
    "unknown type": sealed({"header.json": header({"type": "Popen", "fields": {"args": "true"}})}),
    "missing field": sealed({"header.json": header({"type": "Params", "fields": {"coef": None}})}),
    "missing array": sealed({"header.json": header({"array": "a", "dtype": "float64"})}),
    "too deep": sealed({"header.json": '{"version": 1, "content": ' + '{"tuple": [' * 100_000}),
    "text alone": sealed({"header.json": header("hello")}),
    "a tuple": sealed({"header.json": header({"tuple": [1, 2]})}),
    "text for an array": sealed({"header.json": header({"type": "Params", "fields": {"coef": "a", "intercept": "b"}})}),
    "another format": sealed(
        {"header.json": header(None).replace('"jaxlr"', '"other"', 1).replace('"format": "jaxlr"', '"format": 1')}
    ),
    "a later version": sealed({"header.json": header(None, version=2)}),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_is_not_ours_is_refused_and_runs_nothing(name, path):
    path.write_bytes(FOREIGN[name])
    with pytest.raises(ValueError, match=r"expected a file by jaxlr\.io\.save, got"):
        load(path)


def test_a_later_version_is_named(path):
    path.write_bytes(FOREIGN["a later version"])
    with pytest.raises(ValueError, match=r"needs jaxlr 9\.9 or later"):
        load(path)


def test_what_is_no_result_is_refused():
    for value in ({"coef": 1}, np.ones(2), (np.ones(2), 1.0)):
        with pytest.raises(TypeError, match="expected a Fit, Params, SoftmaxParams, Scaler, CrossValidation, got"):
            save("nowhere", value)
    with pytest.raises(TypeError, match="expected numbers in coef"):
        save("nowhere", Params(np.array(["a"]), 0.0))
    with pytest.raises(TypeError, match="tracer"):
        jax.jit(lambda coef: save("nowhere", Params(coef, coef)))(1.0)
    assert not os.path.exists("nowhere")


def test_an_older_file_stands_until_the_new_one_is_whole(path, monkeypatch):
    save(path, Params(np.ones(1), np.array(0.0)))

    def full(_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        save(path, Params(np.zeros(1), np.array(0.0)))
    assert load(path).coef.tolist() == [1.0]
    assert os.listdir(path.parent) == [path.name]


def test_a_private_file_stays_private_and_a_link_leads_on(path):
    save(path, Params(np.ones(1), np.array(0.0)))
    path.chmod(0o600)
    link = path.with_name("link.npz")
    link.symlink_to(path)
    save(link, Params(np.zeros(1), np.array(0.0)))
    assert link.is_symlink()
    assert load(path).coef.tolist() == [0.0]
    assert path.stat().st_mode & 0o777 == 0o600
