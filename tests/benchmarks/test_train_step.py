"""The peer's training step equals ours: the same parameters, losses, updates and multiply-adds."""

import numpy as np
import pytest
from helpers.models import SHAPE, build_networks, use_sgd

from benchmarks import _step_ours, _turns, train_step
from gan_tf.gan.model import GAN


def small_config(loss: str, hidden_dim: int = 4):
    return train_step.resolve_config(loss, hidden_dim, "float32", batch=4, latent_dim=6)


def build_gan_and_start(tmp_path, config, sgd: float = 0.0):
    """Returns our GAN with exact singular vectors, its batches, and the same start as the peer reads it."""
    generator, generator_ema, discriminator = build_networks(config)
    random = np.random.default_rng(1)
    for network in (generator, discriminator):
        for v in network.trainable_variables:  # larger weights and biases than the paper's, so that every term matters
            v.assign(v + random.normal(0, 0.1, v.shape))
    gan = GAN(generator, generator_ema, discriminator, config)
    _step_ours.set_exact_singular_vectors(gan.discriminator)
    if sgd:
        use_sgd(gan, sgd)
    batches = _step_ours.make_batches(gan, SHAPE, 2)
    _step_ours.write_start(tmp_path / "start.npz", gan, batches)
    return gan, batches, dict(np.load(tmp_path / "start.npz"))


def execution_modes(config) -> list:
    from benchmarks import _step_torch

    passes = ["separate"] + ["joint"] * (config.norm != "batch") + ["shared"] * (config.penalty == "r1r2")
    return [_step_torch.ExecutionMode(p, layout=layout) for p in passes for layout in ("channels_last", "contiguous")]


@pytest.mark.parametrize("loss", train_step.LOSSES)
def test_peer_step_equals_ours(loss, tmp_path):
    pytest.importorskip("torch")
    from benchmarks import _step_torch

    config = small_config(loss)
    gan, batches, start = build_gan_and_start(tmp_path, config, sgd=0.002)
    ours = [{name: float(value) for name, value in gan.train_step(batch).items()} for batch in batches]
    for mode in execution_modes(config):
        step = _step_torch.Step(config, start, mode, sgd=0.002)
        theirs = [{name: float(value) for name, value in step().items()} for _ in batches]
        # After an update the two power iterations, ours from the left vector and PyTorch's from the right, differ slightly.
        loose = 2e-2 if config.norm == "spectral" else 2e-4
        for name in ("d_loss", "penalty"):
            assert theirs[0][name] == pytest.approx(ours[0][name], rel=1e-4, abs=1e-6), (mode, name)
            assert theirs[1][name] == pytest.approx(ours[1][name], rel=loose, abs=1e-4), (mode, name)
        for n in range(2):
            assert theirs[n]["g_loss"] == pytest.approx(ours[n]["g_loss"], rel=loose, abs=1e-4), mode
        for ours_network, theirs_network in ((gan.generator, step.generator), (gan.generator_ema, step.generator_ema)):
            expected = [np.asarray(v).transpose(3, 2, 0, 1) for v in ours_network.trainable_variables if len(v.shape) == 4]
            found = [p.detach().numpy() for p in theirs_network.parameters() if p.ndim == 4]
            for a, b in zip(expected, found, strict=True):
                np.testing.assert_allclose(b, a, atol=1e-2 if config.norm == "spectral" else 2e-4)


@pytest.mark.parametrize("loss", train_step.LOSSES)
def test_multiply_adds_equals_pytorch_flop_count(loss, tmp_path):
    pytest.importorskip("torch")
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    class Counter(TorchDispatchMode):  # PyTorch's FlopCounterMode does not support a gradient inside the forward pass
        operations = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if function._overloadpacket in flop_registry:
                self.operations += flop_registry[function._overloadpacket](*args, **(kwargs or {}), out_val=result)
            return result

    from benchmarks import _step_torch

    config = small_config(loss, hidden_dim=8)
    gan, _, start = build_gan_and_start(tmp_path, config)
    passes = "shared" if config.penalty == "r1r2" else "separate" if config.norm == "batch" else "joint"
    step = _step_torch.Step(config, start, _step_torch.ExecutionMode(passes))
    with Counter() as counter:
        step()
    counted = _step_ours.multiply_adds(gan.config, gan.generator, gan.discriminator)
    assert counted == pytest.approx(counter.operations / 2, rel=0.02)


def test_layer_costs_equals_hand_count():
    import keras

    from benchmarks._step_ours import layer_costs

    layers = [
        keras.Input((10,)),
        keras.layers.Dense(4 * 4 * 2),
        keras.layers.Reshape((4, 4, 2)),
        keras.layers.Conv2DTranspose(3, 4, 2, "same"),
        keras.layers.Conv2D(5, 4, 2, "same"),
    ]
    total, first = layer_costs(keras.Sequential(layers))
    assert first == 10 * 32
    assert total == 10 * 32 + 4 * 4 * (16 * 2 * 3) + 4 * 4 * (16 * 3 * 5)


def test_median_ci_equals_tabled_order_statistics():
    for n, low, high in ((6, 1, 6), (10, 2, 9), (20, 6, 15), (40, 14, 27)):  # Conover 1999; e.g. 6 and 15 of 20: 95.9 %
        assert _turns.median_ci(np.arange(1, n + 1)[::-1]) == ((n + 1) / 2, low, high)
    assert _turns.median_ci(np.array([3.0, 1.0, 2.0])) == (2.0, 1.0, 3.0)


def test_measure_in_turn_alternates_the_order():
    order = []

    def build_function(name):
        def append() -> float:
            order.append(name)
            return float(len(order))

        return append

    results = _turns.measure_in_turn({name: build_function(name) for name in "ab"}, 3)
    assert "".join(order) == "abbaab"
    assert results["a"].tolist() == [1.0, 4.0, 5.0]
