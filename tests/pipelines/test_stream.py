"""The seekable stream: batches that depend on (data, seed, step) alone, of one source and of two with paces of their own."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.randomness import seed_for, shuffled_indices
from pipelines.stream import Stream

quick = settings(deadline=None, max_examples=25, database=None)


class Numbers:
    """A source whose sample i is an image full of i."""

    name, split, digest, summary = "numbers", "", "", ""

    def __init__(self, count: int):
        self.images = tf.reshape(tf.repeat(tf.range(count), 6), [count, 2, 3])

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices):
        return tf.gather(self.images, indices)


def epoch_order(count, epoch, seed=0) -> np.ndarray:
    return shuffled_indices(tf.range(count, dtype=tf.int64) + epoch * count, count, seed).numpy()


def samples_of(batch, name="real") -> np.ndarray:
    """The indices of the images in a batch, ``[batch_size, samples_per_step]``, each image checked to be whole."""
    images = batch[name].numpy()
    np.testing.assert_array_equal(images, np.broadcast_to(images[..., :1, :1], images.shape))
    return images[..., 0, 0]


# One source


@given(st.integers(1, 20), st.integers(1, 9), st.integers(1, 3), st.integers(0, 50))
@quick
def test_batch_at_any_step_continues_the_endless_sequence_of_epochs(count, batch_size, per_step, step):
    """Whatever the sizes: a batch larger than an epoch, an epoch that ends within one."""
    stream = Stream({"real": Numbers(count)}, batch_size, samples_per_step={"real": per_step}, seed=4)
    n = batch_size * per_step
    first, last = step * n // count, (step + 1) * n // count
    epochs = np.concatenate([epoch_order(count, epoch, seed=4) for epoch in range(first, last + 1)])
    expected = epochs[step * n - first * count :][:n]
    np.testing.assert_array_equal(stream.indices(step, "real"), expected)
    np.testing.assert_array_equal(samples_of(stream.batch_at(step)), expected.reshape(batch_size, per_step))


def test_batch_at_the_end_of_an_epoch_starts_the_next():
    stream = Stream({"real": Numbers(6)}, 4, seed=1)
    seen = np.concatenate([samples_of(stream.batch_at(step))[:, 0] for step in range(3)])
    for epoch in (seen[:6], seen[6:]):
        assert sorted(epoch) == [0, 1, 2, 3, 4, 5]
    assert list(seen[:6]) != list(seen[6:])


def test_batch_at_with_several_samples_per_step_keeps_the_batch_axis_first():
    """``[batch_size, samples_per_step, …]``: the leading axis can be split among devices."""
    stream = Stream({"real": Numbers(100)}, 4, samples_per_step={"real": 5}, seed=2)
    batch = stream.batch_at(3)
    assert batch["real"].shape == (4, 5, 2, 3)
    np.testing.assert_array_equal(samples_of(batch), stream.indices(3, "real").numpy().reshape(4, 5))
    assert len(np.unique(samples_of(batch))) == 20


def build_random_stream(seed=5) -> Stream:
    """A stream with everything it can have: preparation and random inputs that are keyed by the step."""

    def prepare(samples, step):
        size = tf.shape(samples)[0]
        flips = tf.random.stateless_uniform([size, 1, 1], seed_for(seed, step, 1), alg="philox") < 0.5
        return tf.where(flips, -1.0, 1.0) * tf.cast(samples, tf.float32) / 7.0

    def random_inputs(step):
        return {
            "latents": tf.random.stateless_normal([4, 3], seed_for(seed, step, 2), alg="philox"),
            "interpolation": tf.random.stateless_uniform([4], seed_for(seed, step, 3), alg="philox"),
        }

    sources = {"real": Numbers(11)}
    return Stream(sources, 4, samples_per_step={"real": 2}, seed=seed, prepare={"real": prepare}, random_inputs=random_inputs)


@pytest.mark.parametrize("first", [0, 1, 5, 8])
def test_dataset_equals_batch_at_bit_for_bit(first):
    stream = build_random_stream()
    batches = list(stream.dataset(first, 9))
    assert len(batches) == 9 - first
    for step, batch in enumerate(batches, first):
        expected = stream.batch_at(step)
        assert set(batch) == set(expected) == {"real", "latents", "interpolation"}
        for name in batch:
            np.testing.assert_array_equal(batch[name], expected[name])


def test_batch_at_after_other_steps_is_the_same():
    first = build_random_stream().batch_at(7)
    stream = build_random_stream()
    for step in (3, 1, 9):
        stream.batch_at(step)
    tf.random.set_seed(99)
    for name, value in stream.batch_at(7).items():
        np.testing.assert_array_equal(value, first[name])


def test_batch_at_any_integer_type_is_the_same():
    stream = build_random_stream()
    for step in (np.int32(7), tf.constant(7), tf.constant(7, tf.int64)):
        for name, value in stream.batch_at(step).items():
            np.testing.assert_array_equal(value, stream.batch_at(7)[name])


def test_batch_at_other_steps_and_seeds_differs():
    batches = [build_random_stream(seed).batch_at(step) for seed in (1, 2) for step in (0, 1, 2)]
    for name in ("real", "latents", "interpolation"):
        assert len({value[name].numpy().tobytes() for value in batches}) == 6


def test_prepare_gets_all_samples_of_the_step():
    seen = []

    def prepare(samples, step):
        seen.append((samples.shape, int(step)))
        return samples + 1

    batch = Stream({"real": Numbers(9)}, 2, samples_per_step={"real": 3}, prepare={"real": prepare}).batch_at(4)
    assert seen == [((6, 2, 3), 4)]
    plain = Stream({"real": Numbers(9)}, 2, samples_per_step={"real": 3}).batch_at(4)
    assert set(plain) == {"real"}
    np.testing.assert_array_equal(samples_of(batch), samples_of(plain) + 1)


def test_random_inputs_are_merged_into_the_batch():
    batch = Stream({"real": Numbers(9)}, 2, random_inputs=lambda step: {"step": tf.repeat(step, 2)}).batch_at(6)
    assert set(batch) == {"real", "step"}
    np.testing.assert_array_equal(batch["step"], [6, 6])


def test_dataset_has_static_shapes():
    """What a single trace of the training step needs."""
    spec = build_random_stream().dataset(0, 3).element_spec
    assert {name: value.shape.as_list() for name, value in spec.items()} == {
        "real": [4, 2, 2, 3],
        "latents": [4, 3],
        "interpolation": [4],
    }


@pytest.mark.parametrize(
    ("sources", "options"),
    [({}, {}), ({"real": Numbers(3)}, {"samples_per_step": {"fake": 2}}), ({"real": Numbers(3)}, {"prepare": {"reel": abs}})],
)
def test_stream_without_a_named_source_is_an_error(sources, options):
    with pytest.raises(ValueError, match="sources"):
        Stream(sources, 2, **options)


# Two sources

SIZES, PER_STEP, BATCH = {"a": 7, "b": 10}, {"a": 1, "b": 2}, 4


def build_pair(seed=3) -> Stream:
    return Stream({name: Numbers(size) for name, size in SIZES.items()}, BATCH, samples_per_step=PER_STEP, seed=seed)


def test_each_of_two_sources_has_epochs_that_are_permutations():
    stream = build_pair()
    batches = [stream.batch_at(step) for step in range(35)]
    for name, size in SIZES.items():
        sequence = np.concatenate([samples_of(batch, name).ravel() for batch in batches])
        assert len(sequence) == 35 * BATCH * PER_STEP[name]
        epochs = sequence.reshape(-1, size)
        np.testing.assert_array_equal(np.sort(epochs, axis=1), np.broadcast_to(np.arange(size), epochs.shape))
        assert len(np.unique(epochs, axis=0)) > 0.9 * len(epochs)


def test_first_of_two_sources_has_the_order_of_a_single_one():
    alone = Stream({"real": Numbers(7)}, BATCH, seed=3)
    for step in range(5):
        np.testing.assert_array_equal(build_pair().indices(step, "a"), alone.indices(step, "real"))


def test_pairings_of_two_sources_of_one_size_change_from_epoch_to_epoch():
    """Were both orders the same, sample i would meet sample i forever; independent orders pair them 1 time in 200."""
    count, epochs = 200, 20
    stream = Stream({"a": Numbers(count), "b": Numbers(count)}, count, seed=8)
    partners = np.empty((epochs, count), np.int64)
    for epoch in range(epochs):
        batch = stream.batch_at(epoch)
        partners[epoch, samples_of(batch, "a")[:, 0]] = samples_of(batch, "b")[:, 0]
    equal = [(partners[i] == partners[j]).sum() for i in range(epochs) for j in range(i)]
    assert np.mean(equal) == pytest.approx(1.0, abs=0.4)  # the mean number of fixed points of a random permutation is 1
    assert np.mean((partners == np.arange(count)).sum(axis=1)) == pytest.approx(1.0, abs=1.0)


def test_orders_of_two_sources_do_not_correlate():
    stream = Stream({"a": Numbers(1000), "b": Numbers(1000)}, 1000, seed=8)
    for a_epoch in range(3):
        for b_epoch in range(3):
            a, b = stream.indices(a_epoch, "a"), stream.indices(b_epoch, "b")
            assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(1000)


@pytest.mark.parametrize("first", [1, 3, 6])
def test_dataset_from_the_middle_of_epochs_equals_a_whole_run(first):
    """As a resume does: neither 7 nor 10 divides what was taken of either source by then."""
    whole = list(build_pair().dataset(0, 9))
    rest = list(build_pair().dataset(first, 9))
    for batch, expected in zip(rest, whole[first:], strict=True):
        for name in SIZES:
            np.testing.assert_array_equal(batch[name], expected[name])
