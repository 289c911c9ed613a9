"""Whatever is in a file: `load` gives what was saved or says a ValueError in words, runs nothing and takes no memory; and the
store of programs takes what is damaged for absent.

Files are damaged at random, and made by hand with a digest that is right, so that what is behind the digest is reached too.
"""

import io
import os
import pickle
import random
import re
import signal
import tracemalloc
import zipfile
import zlib

import jax
import jaxtyping
import numpy as np
import pytest

import jaxlr
from jaxlr import Params
from jaxlr.compilation import program as programs
from jaxlr.compilation import store
from tests.test_io import Bomb, header

SECONDS = 20  # for one file
MOST_BYTES = 2**24  # that reading a file of a few kilobytes may take
IN_WORDS = r"^expected a file by jaxlr\.io\.save, got .*, which (is|was|has|holds|needs) .*; save it anew$"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "result.npz"


@pytest.fixture(autouse=True)
def alarm():
    """No file hangs."""

    def ring(*_):
        raise AssertionError(f"no end after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def refused(path, content):
    """The words of the refusal; None where the file was read."""
    path.write_bytes(content)
    signal.alarm(SECONDS)
    tracemalloc.start()
    try:
        jaxlr.io.load(path)
        return None
    except ValueError as error:
        return str(error)
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        signal.alarm(0)
        assert most < MOST_BYTES + 3 * len(content)


def damaged(whole, chance):
    """Bytes flipped, cut out, put in, doubled or exchanged, once or several times."""
    content = bytearray(whole)
    for _ in range(chance.choice((1, 1, 1, 3, 30))):
        at, length = chance.randrange(len(content) + 1), chance.choice((1, 1, 4, 64, 1000))
        kind = chance.randrange(6)
        if kind == 0 and at < len(content):
            content[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del content[at : at + length]
        elif kind == 2:
            content[at:at] = chance.randbytes(length)
        elif kind == 3:
            content[at:at] = content[at : at + length]
        elif kind == 4:
            content[at : at + length] = bytes([chance.choice((0, 255))]) * length
        else:
            content[at : at + 4] = chance.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"PK\1\2", b"PK\5\6"))
    return bytes(content)


def resealed(content):
    """The same with a digest that is right."""
    body = content[: -jaxlr.io._HEX]
    return body + jaxlr.io.hashlib.sha256(body).hexdigest().encode()


def whole_file(path):
    fit = jaxlr.Fit(
        params=Params(np.ones((2, 3)), np.zeros(2)), value=np.ones(2), kkt=np.zeros(2), gap=np.zeros(2),
        status=np.zeros(2, np.int32), num_steps=np.ones(2, np.int32), solver="newton", names=("a", "b", "c"),
    )  # fmt: skip
    jaxlr.io.save(path, fit)
    return path.read_bytes()


@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_damaged_files_are_refused_in_words(path, count):
    whole, chance = whole_file(path), random.Random(count)
    for _ in range(count):
        content = damaged(whole, chance)
        said = refused(path, content)
        assert content == whole or said is not None
        assert said is None or re.search(IN_WORDS, said)


@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_damage_under_a_digest_that_is_right_is_a_result_or_refused_in_words(path, count):
    whole, chance = whole_file(path), random.Random(count)
    for _ in range(count):
        said = refused(path, resealed(damaged(whole, chance)))
        assert said is None or re.search(IN_WORDS, said), said


def array(shape, content=b"", dtype="<f8"):
    """A member as NumPy writes them, whatever its shape promises."""
    words = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    words += b" " * (-(len(words) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(words).to_bytes(2, "little") + words + content


def archive(members, compression=zipfile.ZIP_STORED):
    """A file with a digest that is right, its members as they are given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as zipped:
        for name, content in members:
            zipped.writestr(name, content)
        zipped.comment = jaxlr.io._MARK + b"0" * jaxlr.io._HEX
    return resealed(buffer.getvalue())


def overlapping(count):
    """One member under many names, which are all in the same place."""
    whole = archive([("a.npy", array("(100000,)", bytes(800_000)))])
    start = whole.index(b"PK\1\2")
    end = whole.index(b"PK\5\6")
    entry, size = whole[start:end], (end - start) * count
    tail = whole[end:]
    tail = tail[:8] + count.to_bytes(2, "little") * 2 + size.to_bytes(4, "little") + tail[16:]
    return resealed(whole[:start] + entry * count + tail)


SCALER = header(
    {"type": "Scaler", "fields": {"mean": {"array": "a", "dtype": "float64"}, "scale": {"array": "a", "dtype": "float64"}}}
)
MADE = {
    "a giant shape": [("header.json", SCALER), ("a.npy", array("(1000000000000,)"))],
    "a shape beyond 64 bits": [("header.json", SCALER), ("a.npy", array("(4294967296, 4294967296, 4294967296)"))],
    "4 GiB": [("header.json", SCALER), ("a.npy", array("(536870912,)", bytes(80)))],
    "a negative shape": [("header.json", SCALER), ("a.npy", array("(-1,)", bytes(8)))],
    "a shape of text": [("header.json", SCALER), ("a.npy", array("'abc'"))],
    "a shape that is code": [("header.json", SCALER), ("a.npy", array("__import__('os').abort()"))],
    "a header that does not end": [("header.json", SCALER), ("a.npy", array("(((((((((((1,"))],
    "objects": [("header.json", SCALER), ("a.npy", array("(1,)", pickle.dumps(np.array([Bomb()], object)), "|O"))],
    "records": [("header.json", SCALER), ("a.npy", array("(1,)", bytes(8), "|V8"))],
    "a header that is none": [("header.json", "[" * 100), ("a.npy", b"")],
    "a header of a list": [("header.json", "[1, 2]")],
    "a number too long": [("header.json", '{"format": "jaxlr", "version": ' + "9" * 100_000 + "}")],
    "a version of text": [("header.json", header(None).replace('"version": 1', '"version": "1"'))],
    "NaN for a version": [("header.json", header(None).replace('"version": 1', '"version": NaN'))],
    "no header": [("a.npy", array("(1,)", bytes(8)))],
    "members that climb": [("header.json", SCALER), ("../../a.npy", array("(1,)", bytes(8)))],
    "names of folders": [("header.json/", ""), ("a.npy/", "")],
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_to_hurt_is_refused_in_words(name, path):
    said = refused(path, archive(MADE[name]))
    assert said is not None
    assert re.search(IN_WORDS, said), said


def test_zip_bombs_are_refused_before_they_are_unpacked(path):
    said = refused(path, archive([("header.json", SCALER), ("a.npy", bytes(2**25))], zipfile.ZIP_DEFLATED))
    assert "has members that are compressed" in said
    said = refused(path, overlapping(200))
    assert re.search(IN_WORDS, said), said


def test_compressed_members_are_refused_also_where_they_are_no_smaller(path):
    numbers = np.random.default_rng(0).bytes(800)
    members = [("header.json", SCALER), ("a.npy", array("(100,)", numbers))]
    assert refused(path, archive(members)) is None
    assert "has members that are compressed" in refused(path, archive(members, zipfile.ZIP_DEFLATED))


def test_a_member_that_says_it_is_larger_than_the_file_takes_no_memory(path):
    content = array("(268435456,)", bytes(80))  # 2 GiB, and a size in the directory to match
    whole = bytearray(archive([("header.json", SCALER), ("a.npy", content)]))
    at = whole.rindex(b"PK\1\2") + 24  # uncompressed size: APPNOTE.TXT 4.3.12
    whole[at : at + 4] = (len(content) - 80 + 2**31).to_bytes(4, "little")
    said = refused(path, resealed(bytes(whole)))
    assert re.search(IN_WORDS, said), said


def test_members_of_one_name_are_no_way_around_the_checks(path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = archive([("header.json", SCALER), ("a.npy", array("(1,)", bytes(8))), ("a.npy", array("(1000000000000,)"))])
    assert re.search(IN_WORDS, refused(path, content))


def test_pipes_devices_and_what_is_no_path_are_refused(path, monkeypatch):
    os.mkfifo(path)
    for place in (path, "/dev/zero"):
        signal.alarm(SECONDS)
        with pytest.raises(ValueError, match="which is a pipe or a device; save it anew"):
            jaxlr.io.load(place)
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the checker of types refuses before
    for place in (0, None, b"abc", 1.5):
        with pytest.raises(TypeError, match=r"expected path to be a string or os\.PathLike, got"):
            jaxlr.io.load(place)
        with pytest.raises(TypeError, match=r"expected path to be a string or os\.PathLike, got"):
            jaxlr.io.save(place, Params(np.ones(1), 0.0))


KEY = b"a key"


@pytest.fixture
def entry(tmp_path, monkeypatch):
    """Where the program of KEY stands in a store."""
    monkeypatch.setenv("JAXLR_CACHE_DIR", str(tmp_path / "store"))
    monkeypatch.setattr(programs, "_loaded", {})
    store.save(KEY, jax.jit(lambda x: 2 * x).lower(np.ones(3)).compile())
    [path] = (tmp_path / "store").iterdir()
    return path


def under_a_digest(payload):
    return store._MAGIC + store._digest(KEY, payload) + payload


@pytest.mark.parametrize("count", [100, pytest.param(3000, marks=pytest.mark.slow)])
def test_a_damaged_program_is_absent(entry, count):
    whole, chance = entry.read_bytes(), random.Random(count)
    for _ in range(count):
        content = damaged(whole, chance)
        entry.write_bytes(content)
        signal.alarm(SECONDS)
        assert (store.load(KEY) is None) == (content != whole)


def test_a_payload_that_is_no_program_is_absent(entry):
    payload = entry.read_bytes()[len(store._MAGIC) + store._DIGEST :]
    compressed = zlib.compress(payload)
    for other in (b"", b"no pickle", payload[: len(payload) // 2], compressed, pickle.dumps(1), pickle.dumps((b"x", 1, 2))):
        entry.write_bytes(under_a_digest(other))
        assert store.load(KEY) is None
    entry.write_bytes(under_a_digest(payload))
    assert store.load(KEY) is not None


def test_an_entry_without_end_is_absent(entry):
    os.truncate(entry, 2**40)
    signal.alarm(SECONDS)
    assert store.load(KEY) is None
    entry.unlink()
    os.mkfifo(entry, 0o600)
    assert store.load(KEY) is None
    entry.unlink()
    entry.mkdir(0o700)
    assert store.load(KEY) is None


@pytest.mark.slow
def test_a_fit_beside_damaged_programs_is_right_and_mends_them(entry, monkeypatch):
    X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 2
    entry.unlink()
    expected = np.asarray(jaxlr.fit(X, y, l2=0.1).params.coef)
    [path] = entry.parent.iterdir()
    for content in (b"", b"x" * 100, path.read_bytes()[:-1]):
        path.write_bytes(content)
        monkeypatch.setattr(programs, "_loaded", {})
        assert np.array_equal(jaxlr.fit(X, y, l2=0.1).params.coef, expected)
        assert len(path.read_bytes()) > 100
