"""The U-Net's layers against NumPy and PyTorch, and what the whole network promises."""

import numpy as np
import pytest
import tensorflow as tf

from gan_tf.diffusion.unet import ModulatedRMSNorm, SelfAttention, TimestepEmbedding, build_unet


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def inputs(images: np.ndarray, timesteps: list[int], labels: list[int]) -> list[tf.Tensor]:
    """Returns the inputs of a network."""
    return [tf.constant(images), tf.constant(timesteps), tf.constant(labels)]


def randomize(network) -> None:
    """Gives all weights random values, so that no output is 0."""
    for index, weight in enumerate(network.weights):
        weight.assign(0.2 * random(*weight.shape, seed=index))


@pytest.fixture(scope="module")
def unet():
    network = build_unet((8, 8, 3), hidden_dim=4, blocks=2, classes=3)
    randomize(network)
    return network


def test_timestep_embedding_is_cosines_and_sines():
    found = TimestepEmbedding()(tf.constant([0, 1, 1000])).numpy()
    for row, t in zip(found, (0, 1, 1000), strict=True):
        angles = [t / 10_000 ** (i / 64) for i in range(64)]
        np.testing.assert_allclose(row, np.concatenate([np.cos(angles), np.sin(angles)]), atol=2e-4)


def test_modulated_norm_divides_by_the_root_mean_square():
    images, modulation = random(2, 3, 3, 5), random(2, 10, seed=1)
    expected = images / np.sqrt((images**2).mean(-1, keepdims=True))
    expected = expected * (1 + modulation[:, None, None, :5]) + modulation[:, None, None, 5:]
    np.testing.assert_allclose(ModulatedRMSNorm()([images, modulation]), expected, rtol=1e-4, atol=1e-5)


def test_self_attention_equals_that_of_torch():
    torch = pytest.importorskip("torch")
    parts = random(2, 3, 4, 3 * 6)
    found = SelfAttention(heads=2)(parts).numpy()
    # [batch, pixels, 3, heads, depth] -> three times [batch, heads, pixels, depth]
    query, key, value = torch.from_numpy(parts).reshape(2, 12, 3, 2, 3).permute(2, 0, 3, 1, 4)
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value).permute(0, 2, 1, 3).reshape(2, 3, 4, 6)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_unet_predicts_zero_at_first():
    network = build_unet((8, 8, 3), hidden_dim=4, blocks=1, classes=3)
    outputs = network(inputs(random(2, 8, 8, 3), [1, 9], [0, 3]))
    assert outputs.shape == (2, 8, 8, 3)
    assert not np.any(outputs)


@pytest.mark.parametrize("changed", ["image", "timestep", "label"])
def test_unet_output_depends_on_each_input(unet, changed):
    given, others = inputs(random(1, 8, 8, 3), [5], [1]), inputs(random(1, 8, 8, 3, seed=1), [6], [2])
    index = ["image", "timestep", "label"].index(changed)
    other = [*given[:index], others[index], *given[index + 1 :]]
    assert np.abs(unet(given) - unet(other)).max() > 1e-4


def test_unet_images_of_a_batch_do_not_mix(unet):
    images = random(3, 8, 8, 3)
    alone = unet(inputs(images[1:2], [5], [1]))
    np.testing.assert_allclose(unet(inputs(images, [1, 5, 9], [0, 1, 2]))[1:2], alone, rtol=1e-4, atol=1e-5)


def test_unet_every_pixel_sees_the_whole_image(unet):
    image = random(1, 8, 8, 3)
    other = image.copy()
    other[0, 0, 0] += 1.0
    difference = unet(inputs(image, [5], [1])) - unet(inputs(other, [5], [1]))
    assert (np.abs(difference).max(axis=-1) > 0).all()


def test_unet_parameter_count_is_that_of_its_layers():
    width, blocks, classes, channels = 8, 2, 10, 3
    emb = 4 * width

    def conv(size: int, inputs: int, outputs: int, bias: bool = True) -> int:
        return size * size * inputs * outputs + (outputs if bias else 0)

    def norm(c: int) -> int:
        return (emb + 1) * 2 * c

    def block(inputs: int, outputs: int) -> int:
        shortcut = conv(1, inputs, outputs) if inputs != outputs else 0
        return norm(inputs) + conv(3, inputs, outputs) + conv(3, outputs, outputs) + shortcut

    attention = norm(2 * width) + conv(1, 2 * width, 6 * width, bias=False) + conv(1, 2 * width, 2 * width)
    expected = (128 + 1) * emb + (emb + 1) * emb + (classes + 1) * emb
    expected += conv(3, 4 * channels, width) + block(width, width) + conv(1, 4 * width, 2 * width)
    expected += blocks * block(2 * width, 2 * width) + attention + conv(1, 2 * width, 4 * width)
    expected += block(3 * width, width) + norm(width) + conv(3, width, 4 * channels)
    assert build_unet((28, 28, channels), width, blocks, classes).count_params() == expected


def test_unet_of_a_size_that_cannot_be_halved_twice_is_refused():
    with pytest.raises(ValueError, match="30x28"):
        build_unet((30, 28, 3), 4, 1, 10)


def test_unet_initial_weights_are_those_of_the_seed():
    first, same, other = (build_unet((8, 8, 3), 4, 1, 3, seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))
