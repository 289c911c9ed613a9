"""The store of compiled programs: what it keeps, and that nothing in it can be wrong, broken or foreign."""

import os
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlr import fit
from jaxlr.compilation import key as keys
from jaxlr.compilation import program as programs
from jaxlr.compilation import store
from jaxlr.compilation.program import program

KEY = b"a key"
ANSWER = """
import sys
import jax
import numpy as np
jax.config.update("jax_enable_x64", True)
import jaxlr
compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: compiled.append(event) if event.endswith("backend_compile_duration") else None)
rng = np.random.default_rng(0)
X, y = rng.normal(size=(60, 4)), np.arange(60) % 2
found = jaxlr.fit(X, y, l2=0.1)
print(len(compiled), np.append(np.asarray(found.params.coef), found.kkt).tobytes().hex())
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXLR_CACHE_DIR", str(tmp_path / "store"))
    monkeypatch.setattr(programs, "_loaded", {})
    return tmp_path / "store"


def compiled(factor):
    return jax.jit(lambda x: factor * x).lower(np.ones(3)).compile()


def answers(folder, count):
    """What as many processes print that start together."""
    environment = os.environ | {"JAXLR_CACHE_DIR": str(folder)}
    start = partial(subprocess.Popen, [sys.executable, "-c", ANSWER], stdout=subprocess.PIPE, text=True, env=environment)
    processes = [start() for _ in range(count)]
    printed = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * count
    return printed


@pytest.mark.slow
def test_a_new_process_compiles_nothing_and_gives_the_same_bits(folder):
    [first], [second] = answers(folder, 1), answers(folder, 1)
    assert int(first[0]) > 0
    assert second == ["0", first[1]]


@pytest.mark.slow
def test_processes_that_start_together_neither_fail_nor_disturb_each_other(folder):
    together, [after] = answers(folder, 8), answers(folder, 1)
    assert {answer for _, answer in together} == {after[1]}
    assert after[0] == "0"
    assert len(list(folder.iterdir())) == 1  # nothing half-written stays


@pytest.mark.slow
def test_beside_the_cache_of_jax_itself_answers_are_right(folder, tmp_path, monkeypatch):
    for name, value in (("DIR", tmp_path / "of_jax"), ("MIN_COMPILE_TIME_SECS", 0), ("MIN_ENTRY_SIZE_BYTES", -1)):
        prefix = "JAX_COMPILATION_CACHE_" if name == "DIR" else "JAX_PERSISTENT_CACHE_"
        monkeypatch.setenv(prefix + name, str(value))
    three = [answers(folder, 1)[0][1] for _ in range(3)]
    assert len(set(three)) == 1
    assert any((tmp_path / "of_jax").iterdir())


def test_what_is_saved_is_loaded_and_private(folder):
    store.save(KEY, compiled(2.0))
    assert np.all(store.load(KEY)(np.ones(3)) == 2)
    assert store.load(b"another key") is None
    [entry] = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, entry.stat().st_mode & 0o777) == (0o700, 0o600)


def damaged(entry, rng):
    """An entry that was cut, lengthened, overwritten here and there, emptied, or is something else."""
    places = rng.integers(len(entry), size=3)
    flipped = bytearray(entry)
    for place in places:
        flipped[place] ^= 1 << int(rng.integers(8))
    return [
        entry[: places[0]],
        entry + b"\0",
        bytes(flipped),
        b"",
        rng.bytes(1000),
        entry.replace(b"jaxlr program 1", b"jaxlr program 2", 1),
        b"jaxlr program 1\n" + rng.bytes(store._DIGEST) + entry[-100:],
    ]


def test_what_is_damaged_is_a_miss(folder):
    rng = np.random.default_rng(0)
    store.save(KEY, compiled(2.0))
    [path] = folder.iterdir()
    whole = path.read_bytes()
    for _ in range(30):
        for entry in damaged(whole, rng):
            if entry != whole:
                path.write_bytes(entry)
                assert store.load(KEY) is None
    path.write_bytes(whole)
    assert store.load(KEY) is not None


def test_an_entry_under_the_name_of_another_is_a_miss(folder):
    store.save(KEY, compiled(2.0))
    [path] = folder.iterdir()
    store.save(b"another key", compiled(3.0))
    [other] = set(folder.iterdir()) - {path}
    other.write_bytes(path.read_bytes())
    assert store.load(b"another key") is None


@pytest.mark.slow
def test_a_call_beside_damaged_entries_is_right_and_mends_them(folder, monkeypatch):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(60, 4)), np.arange(60) % 2
    expected = np.asarray(fit(X, y, l2=0.1).params.coef)
    [path] = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    monkeypatch.setattr(programs, "_loaded", {})
    assert np.array_equal(fit(X, y, l2=0.1).params.coef, expected)
    assert len(path.read_bytes()) > len(whole[:-1])


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="the platform has no owners of files")
def test_what_others_could_have_written_is_a_miss(folder):
    store.save(KEY, compiled(2.0))
    [entry] = folder.iterdir()
    entry.chmod(0o620)
    assert store.load(KEY) is None
    entry.chmod(0o600)
    folder.chmod(0o770)
    assert store.load(KEY) is None
    store.save(b"another key", compiled(2.0))
    assert list(folder.iterdir()) == [entry]


def test_the_entries_used_longest_ago_go_first(folder, monkeypatch):
    for number in range(3):
        store.save(b"%d" % number, compiled(2.0))
        os.utime(folder / store._name(b"%d" % number), (number, number))
    assert store.load(b"0") is not None  # which is a use
    size = (folder / store._name(b"0")).stat().st_size
    (folder / "not of ours").write_bytes(b"x" * 10 * size)
    monkeypatch.setattr(store, "_MOST_BYTES", 3 * size + size // 2)
    store.save(b"3", compiled(2.0))
    left = {path.name for path in folder.iterdir()}
    assert left == {"not of ours", *(store._name(key) for key in (b"0", b"2", b"3"))}


def test_off_and_places_that_cannot_be_written_are_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for place in ("off", "OFF", str(tmp_path / "file"), str(tmp_path / "file" / "below"), "~nobody at all/x"):
        monkeypatch.setenv("JAXLR_CACHE_DIR", place)
        store.save(KEY, compiled(2.0))
        assert store.load(KEY) is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_store_that_can_only_be_read_is_read(folder, monkeypatch):
    store.save(KEY, compiled(2.0))

    def refuse(*_, **__):
        raise PermissionError

    for name in ("utime", "replace"):
        monkeypatch.setattr(os, name, refuse)
    assert store.load(KEY) is not None
    store.save(b"another key", compiled(2.0))
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    ("platform", "variables", "place"),
    [
        ("linux", {"XDG_CACHE_HOME": "/caches"}, "/caches/jaxlr"),
        ("linux", {"HOME": "/home/me"}, "/home/me/.cache/jaxlr"),
        ("darwin", {"HOME": "/home/me"}, "/home/me/Library/Caches/jaxlr"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/jaxlr"),
        ("linux", {"HOME": "/home/me", "JAXLR_CACHE_DIR": "~/mine"}, "/home/me/mine"),
    ],
)
def test_it_lies_where_the_platform_keeps_caches(platform, variables, place, monkeypatch):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "JAXLR_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert store.directory().as_posix() == place


def test_the_key_holds_what_a_program_depends_on(monkeypatch):
    def key(shapes=((3,),), statics=(1,), function=fit):
        return keys.key_of(function, jax.tree.structure((0,)), shapes, statics)

    same = key()
    assert same == key()
    others = [key(shapes=((4,),)), key(statics=(2,)), key(statics=(fit,)), key(function=store.load)]
    with jax.enable_x64(not jax.config.jax_enable_x64):
        others.append(key())
    for part in ("_source", "_cpu_features"):
        monkeypatch.setattr(keys, part, lambda: "another")
        keys._environment.cache_clear()
        others.append(key())
        monkeypatch.undo()
    keys._environment.cache_clear()
    assert len({same, *others}) == 1 + len(others)
    assert key(statics=(lambda: 0,)) is None
    assert key(statics=((1, (np.sum,)),)) is None  # code of others


@pytest.mark.slow
def test_inside_a_transformation_nothing_is_kept(folder):
    X, y = np.random.default_rng(2).normal(size=(60, 4)), np.arange(60) % 2
    jax.jit(lambda l2: fit(X, y, l2=l2).params.coef)(0.1)
    jax.grad(lambda l2: jnp.sum(fit(X, y, l2=l2).params.coef))(0.1)
    jax.vmap(lambda l2: fit(X, y, l2=l2).params.coef)(np.array([0.1, 0.2]))
    assert not folder.exists()


def test_code_that_is_not_of_the_package_is_compiled_and_not_kept(folder):
    @program("times")
    def own(x, times):
        return times * x

    assert np.all(own(np.ones(3), 2) == 2)
    assert np.all(own([1.0, 1.0], times=3) == 3)
    assert not folder.exists()
