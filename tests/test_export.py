"""Exported weights: what is read is what was written, and nothing else is read."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers.exports import ABOUT, CARD, SmallNetwork, small_network, write_small_export

from gan_tf import cards, export
from gan_tf.gan.networks import dcgan
from pipelines.errors import UserError


def write_archive(directory: Path, members: dict) -> None:
    """Writes a ``weights.npz`` of another origin; bytes become a member as they are, arrays as .npy."""
    with zipfile.ZipFile(directory / cards.WEIGHTS, "w", zipfile.ZIP_DEFLATED) as file:
        for name, member in members.items():
            data = io.BytesIO()
            if isinstance(member, bytes):
                data.write(member)
            else:
                np.save(data, member)
            file.writestr(f"{name}.npy", data.getvalue())


def assert_equal(found, expected) -> None:
    assert [name for name, _ in found] == [name for name, _ in expected]
    for (_, a), (_, b) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_read_weights_is_what_was_written_in_float16(tmp_path):
    write_small_export(tmp_path)
    found = export.read_weights(tmp_path)
    assert (found.directory, found.task, found.config) == (tmp_path, "anime", ABOUT["config"])
    assert found.image_shape == (8, 8, 1)
    assert [name for name, _ in found.networks["generator"]] == ["kernel", "bias", "gamma"]
    for before, (_, after) in zip(small_network().arrays, found.networks["generator"], strict=True):
        assert after.dtype == np.float32
        np.testing.assert_array_equal(after, before.astype(np.float16))
        np.testing.assert_allclose(after, before, rtol=2**-11)


def test_write_export_of_what_was_read_changes_nothing(tmp_path):
    write_small_export(tmp_path)
    first = export.read_weights(tmp_path).networks["generator"]
    write_small_export(tmp_path, generator=SmallNetwork(**dict(first)))
    assert_equal(export.read_weights(tmp_path).networks["generator"], first)


def test_read_weights_keeps_networks_apart_and_in_order(tmp_path):
    """Some names sort before others or hold a dot or a slash; there are more weights than three digits number."""
    many = SmallNetwork(**{f"w{i}": np.full(2, i) for i in range(1002)})
    networks = {"b": small_network(1.0), "a/b": small_network(2.0), "a.0": small_network(3.0), "many": many}
    write_small_export(tmp_path, **networks)
    found = export.read_weights(tmp_path).networks
    assert list(found) == list(networks)
    assert [int(array[0]) for _, array in found["many"]] == list(range(1002))
    for name, scale in (("b", 1.0), ("a/b", 2.0), ("a.0", 3.0)):
        np.testing.assert_array_equal(found[name][0][1], small_network(scale).arrays[0].astype(np.float16))


def test_read_finetune_is_what_was_written_or_empty(tmp_path):
    write_small_export(tmp_path, finetune={"discriminator": small_network(2.0)})
    (name, arrays), *others = export.read_finetune(tmp_path).items()
    assert (name, others) == ("discriminator", [])
    np.testing.assert_array_equal(arrays[1][1], small_network(2.0).arrays[1].astype(np.float16))
    assert list(export.read_weights(tmp_path).networks) == ["generator"]
    write_small_export(tmp_path)
    assert export.read_finetune(tmp_path) == {}
    assert not (tmp_path / cards.FINETUNE).exists()


def test_read_weights_that_the_card_does_not_describe_are_refused(tmp_path):
    """Weights of another training under this one's card would be scored and shown under its name."""
    for name, value in (("one", 1.0), ("two", 2.0)):
        write_small_export(tmp_path / name, generator=small_network(value), finetune={"discriminator": small_network(value)})
    for file in (cards.WEIGHTS, cards.FINETUNE):
        (tmp_path / "one" / file).write_bytes((tmp_path / "two" / file).read_bytes())
    for read in (export.read_weights, export.read_finetune):
        with pytest.raises(UserError, match=r"is not the file that the card.json beside it describes"):
            read(tmp_path / "one")
    (tmp_path / "one" / cards.CARD).unlink()
    assert export.read_weights(tmp_path / "one").networks.keys() == {"generator"}  # exported weights without a card


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_read_weights_that_are_not_finite_are_refused(tmp_path, value):
    write_small_export(tmp_path)
    with np.load(tmp_path / cards.WEIGHTS) as file:
        members = {name: np.full_like(file[name], value) if name != "about" else file[name] for name in file.files}
    (tmp_path / cards.CARD).unlink()
    write_archive(tmp_path, members)
    with pytest.raises(UserError, match="holds numbers that no training gives"):
        export.read_weights(tmp_path)


def test_assign_real_network_has_the_same_weights(tmp_path):
    first, second = (dcgan.build_generator((8, 8, 1), 6, 4, seed=seed) for seed in (1, 2))
    write_small_export(tmp_path, generator=first)
    export.read_weights(tmp_path).assign("generator", second)
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2**-11, atol=1e-7)


def test_assign_missing_network_is_refused(tmp_path):
    write_small_export(tmp_path)
    with pytest.raises(UserError, match="holds no network 'discriminator', only: generator"):
        export.read_weights(tmp_path).assign("discriminator", small_network())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 7e4])
def test_write_export_not_finite_in_float16_is_refused(tmp_path, value):
    bad = small_network()
    bad.arrays[1][2] = value
    with pytest.raises(UserError, match=r"weight 'bias' \(1\) of the network 'generator'.*at most 65,504"):
        write_small_export(tmp_path, generator=bad)
    assert list(tmp_path.iterdir()) == []


def test_write_export_finetune_not_finite_is_left_out(tmp_path):
    """A discriminator that float16 cannot hold must not stop a training."""
    write_small_export(tmp_path, finetune={"discriminator": small_network(2.0)})
    bad = small_network()
    bad.arrays[0][:] = 7e4
    with pytest.warns(UserWarning, match=r"finetune\.npz is not written.*'discriminator'"):
        write_small_export(tmp_path, finetune={"discriminator": bad})
    assert export.read_finetune(tmp_path) == {}
    export.read_weights(tmp_path)


def test_read_weights_missing_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no weights\.npz"):
        export.read_weights(tmp_path)


def test_read_weights_one_changed_byte_is_refused_or_harmless(tmp_path):
    """Every byte of the archive is changed in turn: the file is refused, or the byte has no effect (a date, say)."""
    kernel = SmallNetwork(kernel=np.arange(6.0, dtype=np.float32))
    write_small_export(tmp_path, generator=kernel)
    valid = (tmp_path / cards.WEIGHTS).read_bytes()
    expected = export.read_weights(tmp_path)
    num_refused = 0
    for at in range(len(valid)):
        changed = bytearray(valid)
        changed[at] ^= 0x41
        (tmp_path / cards.WEIGHTS).write_bytes(changed)
        try:
            found = export.read_weights(tmp_path)
        except UserError:
            num_refused += 1
            continue
        assert found.config == expected.config
        assert_equal(found.networks["generator"], expected.networks["generator"])
    assert num_refused > len(valid) / 2


@pytest.mark.parametrize("length", [0, 1, 30, 200, -30, -1])
@pytest.mark.parametrize("name", [cards.WEIGHTS, cards.FINETUNE])
def test_read_truncated_file_is_refused(tmp_path, name, length):
    write_small_export(tmp_path, finetune={"discriminator": small_network()})
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match="cannot be read"):
        (export.read_weights if name == cards.WEIGHTS else export.read_finetune)(tmp_path)


def test_read_weights_other_files_are_refused(tmp_path):
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    for content in (b"hello", array.getvalue(), pickle.dumps({"a": 1}), b"PK\x03\x04" + b"\0" * 100):
        (tmp_path / cards.WEIGHTS).write_bytes(content)
        with pytest.raises(UserError, match="cannot be read"):
            export.read_weights(tmp_path)


class Bomb:
    """Unpickling it leaves a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


KEY, HALF = "generator/000.kernel", np.zeros(3, np.float16)
ABOUT_JSON = json.dumps({"format": 2, **ABOUT})


@pytest.mark.parametrize("where", [KEY, "about"])
@pytest.mark.parametrize("how", ["object array", "plain pickle"])
def test_read_weights_pickle_is_refused_and_not_run(tmp_path, where, how):
    trace = tmp_path / "trace"
    bomb = pickle.dumps(Bomb(trace)) if how == "plain pickle" else np.array([Bomb(trace)], dtype=object)
    write_archive(tmp_path, {KEY: HALF, "about": np.array(ABOUT_JSON), where: bomb})
    with pytest.raises(UserError, match="cannot be read"):
        export.read_weights(tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "about",
    [
        *("not json", "", "[1, 2]", "3", "null", "{}", '{"format": 2}', None),
        *(json.dumps({"format": 2, **ABOUT, **change}) for change in ({"task": 1}, {"config": []}, {"image_shape": 5})),
        *(json.dumps({"format": 2, **ABOUT, **change}) for change in ({"image_shape": ["8"]}, {"format": 3})),
    ],
)
def test_read_weights_other_description_is_refused(tmp_path, about):
    write_archive(tmp_path, {KEY: HALF, **({} if about is None else {"about": np.array(about)})})
    with pytest.raises(UserError, match="cannot be read"):
        export.read_weights(tmp_path)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {KEY: np.array(["a", "b"])},
        {KEY: np.zeros(3, np.float32)},
        {"generator/001.kernel": HALF},
        {KEY: HALF, "generator/002.bias": HALF},
        {"000": HALF},
        {"generator/00.kernel": HALF},
        {"generator/000": HALF},
        {"/000.kernel": HALF},
    ],
)
def test_read_weights_other_members_are_refused(tmp_path, members):
    write_archive(tmp_path, {**members, "about": np.array(ABOUT_JSON)})
    with pytest.raises(UserError, match="cannot be read"):
        export.read_weights(tmp_path)


def test_read_older_format_is_refused(tmp_path):
    (tmp_path / "generator.npz").write_bytes(b"")
    (tmp_path / cards.CARD).write_text(json.dumps({**CARD, "settings": {}}))
    for read in (export.read_weights, cards.read_card):
        with pytest.raises(UserError, match="written by an older version") as caught:
            read(tmp_path)
        assert "Train again" in caught.value.hint


def build_mlp(width=3) -> keras.Model:
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(width), keras.layers.Dense(1)])


def named_arrays(model: keras.Model) -> export.NamedArrays:
    return [(weight.name, weight.numpy()) for weight in model.weights]


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a[:-1],
        lambda a: [*a, ("kernel", np.zeros(1))],
        lambda a: [],
        lambda a: a[::-1],
        lambda a: [(a[0][0], a[0][1].T), *a[1:]],
        lambda a: [(a[0][0], a[0][1][None]), *a[1:]],
        lambda a: [("gamma", a[0][1]), *a[1:]],
    ],
)
def test_assign_weights_other_numbers_names_or_shapes_are_refused_and_change_nothing(change):
    model = build_mlp()
    before = model.get_weights()
    with pytest.raises(UserError, match="RUN holds weights of another network"):
        export.assign_weights(model, change([(name, array + 1) for name, array in named_arrays(model)]), "RUN")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_assign_weights_error_names_the_two_shapes():
    with pytest.raises(UserError, match=r"kernel \(2, 4\) instead of kernel \(2, 3\)"):
        export.assign_weights(build_mlp(3), named_arrays(build_mlp(4)), "RUN")
