"""Exported weights: what is read is what was written, and nothing else is read."""

import hashlib
import io
import json
import pickle
import zipfile

import keras
import numpy as np
import pytest

from gan_tf import export
from gan_tf.gan.networks import dcgan
from pipelines.errors import InputError

ABOUT = {"task": "anime", "settings": {"latent": 6, "g_rate": 2e-4}, "shape": [8, 8, 1]}


def arrays():
    random = np.random.default_rng(0)
    return [random.normal(size=shape).astype(np.float32) for shape in ((2, 3), (4,), (1, 2, 2, 5))]


def archive(folder, **members) -> None:
    """A ``generator.npz`` of another hand; bytes become a member as they are, arrays as .npy."""
    with zipfile.ZipFile(folder / export.WEIGHTS, "w", zipfile.ZIP_DEFLATED) as file:
        for name, member in members.items():
            data = io.BytesIO()
            if isinstance(member, bytes):
                data.write(member)
            else:
                np.save(data, member)
            file.writestr(f"{name}.npy", data.getvalue())


def test_round_trip_is_that_of_float16(tmp_path):
    export.write(tmp_path, arrays(), ABOUT, {"step": 7})
    found, about = export.read(tmp_path)
    assert about == ABOUT
    for before, after in zip(arrays(), found, strict=True):
        assert after.dtype == np.float32
        np.testing.assert_array_equal(after, before.astype(np.float16))
        np.testing.assert_allclose(after, before, rtol=2**-11)


def test_what_was_read_and_written_again_stays_the_same(tmp_path):
    export.write(tmp_path, arrays(), ABOUT, {})
    first, _ = export.read(tmp_path)
    export.write(tmp_path, first, ABOUT, {})
    for a, b in zip(first, export.read(tmp_path)[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_more_than_ten_arrays_keep_their_order(tmp_path):
    export.write(tmp_path, [np.full(2, i) for i in range(123)], ABOUT, {})
    assert [int(a[0]) for a in export.read(tmp_path)[0]] == list(range(123))


def test_the_card_names_the_files_digest(tmp_path):
    export.write(tmp_path, arrays(), ABOUT, {"step": 7, "score": 1.5})
    card = json.loads((tmp_path / export.CARD).read_text())
    digest = hashlib.sha256((tmp_path / export.WEIGHTS).read_bytes()).hexdigest()
    assert card == {"step": 7, "score": 1.5, "sha256": digest}


def test_a_network_survives_the_way(tmp_path):
    network, other = (dcgan.build_generator((8, 8, 1), 6, 4, seed=seed) for seed in (1, 2))
    export.write(tmp_path, network.get_weights(), ABOUT, {})
    export.fit(export.read(tmp_path)[0], other, "here")
    for a, b in zip(network.weights, other.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2**-11, atol=1e-7)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 7e4])
def test_what_is_not_finite_in_float16_is_refused(tmp_path, value):
    bad = arrays()
    bad[1][2] = value
    with pytest.raises(InputError, match=r"weight 1 of shape.*up to 65,504"):
        export.write(tmp_path, bad, ABOUT, {})
    assert list(tmp_path.iterdir()) == []


def test_no_weights_at_all(tmp_path):
    with pytest.raises(InputError, match=r"holds no generator\.npz"):
        export.read(tmp_path)


def test_one_changed_byte_is_never_read_as_something_else(tmp_path):
    """Every byte of the archive changed in turn: refused in one line, or without effect (dates, say)."""
    export.write(tmp_path, arrays()[:1], {"task": "anime", "settings": {}}, {})
    whole = (tmp_path / export.WEIGHTS).read_bytes()
    expected, _ = export.read(tmp_path)
    refused = 0
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 0x41
        (tmp_path / export.WEIGHTS).write_bytes(changed)
        try:
            found, _ = export.read(tmp_path)
        except InputError:
            refused += 1
            continue
        if len(found) == len(expected):  # else `fit` refuses the number of arrays
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_array_equal(a, b)
    assert refused > len(whole) / 2


@pytest.mark.parametrize("length", [0, 1, 30, 200, -30, -1])
def test_a_cut_file_is_refused(tmp_path, length):
    export.write(tmp_path, arrays(), ABOUT, {})
    path = tmp_path / export.WEIGHTS
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match="can't be read"):
        export.read(tmp_path)


def test_other_files_are_refused(tmp_path):
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    for content in (b"hello", array.getvalue(), pickle.dumps({"a": 1}), b"PK\x03\x04" + b"\0" * 100):
        (tmp_path / export.WEIGHTS).write_bytes(content)
        with pytest.raises(InputError, match="can't be read"):
            export.read(tmp_path)


class Bomb:
    """Unpickling it leaves a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("where", ["000", "about"])
@pytest.mark.parametrize("how", ["object array", "plain pickle"])
def test_a_pickle_inside_is_refused_and_never_run(tmp_path, where, how):
    trace = tmp_path / "trace"
    bomb = pickle.dumps(Bomb(trace)) if how == "plain pickle" else np.array([Bomb(trace)], dtype=object)
    archive(tmp_path, **{"000": np.zeros(3), "about": np.array("{}"), where: bomb})
    with pytest.raises(InputError, match="can't be read"):
        export.read(tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "about", ["not json", "", "[1, 2]", "3", "null", "{}", '{"task": "anime"}', '{"task": 1, "settings": {}}', None]
)
def test_another_description_is_refused(tmp_path, about):
    """The description is a JSON object, whatever else JSON allows."""
    archive(tmp_path, **{"000": np.zeros(3)}, **({} if about is None else {"about": np.array(about)}))
    with pytest.raises(InputError, match="can't be read"):
        export.read(tmp_path)


def test_arrays_of_something_else_are_refused(tmp_path):
    archive(tmp_path, **{"000": np.array(["a", "b"]), "about": np.array("{}")})
    with pytest.raises(InputError, match="can't be read"):
        export.read(tmp_path)


def network(width=3) -> keras.Model:
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(width), keras.layers.Dense(1)])


@pytest.mark.parametrize(
    "odd",
    [
        lambda a: a[:-1],
        lambda a: [*a, np.zeros(1)],
        lambda a: [],
        lambda a: a[::-1],
        lambda a: [a[0].T, *a[1:]],
        lambda a: [a[0][None], *a[1:]],
    ],
)
def test_other_numbers_or_shapes_are_refused_and_change_nothing(odd):
    net = network()
    before = net.get_weights()
    with pytest.raises(InputError, match="RUN holds weights of another size"):
        export.fit(odd([w + 1 for w in before]), net, "RUN")
    for a, b in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_refusal_names_the_two_shapes():
    with pytest.raises(InputError) as refusal:
        export.fit(network(4).get_weights(), network(3), "RUN")
    assert "(2, 4)" in refusal.value.given
    assert "(2, 3)" in refusal.value.expected


def test_shipped_weights_are_found_or_those_there_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "SHIPPED", tmp_path)
    for loss in ("gan", "wgan"):
        export.write(tmp_path / "anime" / loss, arrays(), ABOUT, {})
    assert export.shipped("anime", "gan") == tmp_path / "anime" / "gan"
    with pytest.raises(InputError, match="one of: gan, wgan"):
        export.shipped("anime", "hinge")
    with pytest.raises(InputError, match="a run of your own"):
        export.shipped("face", "gan")
