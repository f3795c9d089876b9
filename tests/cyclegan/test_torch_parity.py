"""CycleGAN against a reference in PyTorch, written from the handout's Table 2 and the paper's losses alone."""

import keras
import numpy as np
import pytest
from helpers.cyclegans import build_cyclegan, random_batch

torch = pytest.importorskip("torch")
peer = pytest.importorskip("benchmarks._cyclegan_torch")
nn = torch.nn


def to_numpy(images: "torch.Tensor") -> np.ndarray:
    """Returns images ``[batch, c, h, w]`` as ``[batch, h, w, c]``."""
    return images.detach().numpy().transpose(0, 2, 3, 1)


def torch_networks(model) -> dict:
    """Returns PyTorch's four networks with the weights of ``model``."""
    config = model.config
    modules = {}
    for name, network in model.networks().items():
        if name.startswith("generator"):
            modules[name] = peer.build_generator(config.hidden_dim, config.num_blocks, config.upsample)
        else:
            modules[name] = peer.build_discriminator(config.hidden_dim)
        peer.assign_weights(modules[name], network.get_weights())
    return modules


def torch_step(modules: dict, x: "torch.Tensor", y: "torch.Tensor") -> dict[str, float]:
    """Computes one step's losses, each pass by itself, and leaves the gradients of both updates in ``modules``."""
    g_ab, g_ba = modules["generator_ab"], modules["generator_ba"]
    d_a, d_b = modules["discriminator_a"], modules["discriminator_b"]
    mse, l1 = nn.functional.mse_loss, nn.functional.l1_loss
    fake_b, fake_a = g_ab(x), g_ba(y)
    logits_b, logits_a = d_b(fake_b), d_a(fake_a)
    losses = {
        "ab_adversarial_loss": mse(logits_b, torch.ones_like(logits_b)),
        "ba_adversarial_loss": mse(logits_a, torch.ones_like(logits_a)),
        "cycle_loss": l1(g_ba(fake_b), x) + l1(g_ab(fake_a), y),
        "identity_loss": l1(g_ab(y), y) + l1(g_ba(x), x),
    }
    g_loss = losses["ab_adversarial_loss"] + losses["ba_adversarial_loss"]
    g_loss = g_loss + 10 * losses["cycle_loss"] + 5 * losses["identity_loss"]
    g_loss.backward()
    d_a.zero_grad()
    d_b.zero_grad()
    for name, discriminator, real, fake in (("d_a_loss", d_a, x, fake_a), ("d_b_loss", d_b, y, fake_b)):
        real_logits, fake_logits = discriminator(real), discriminator(fake.detach())
        loss = 0.5 * (mse(real_logits, torch.ones_like(real_logits)) + mse(fake_logits, torch.zeros_like(fake_logits)))
        loss.backward()
        losses[name] = loss
    return {name: loss.item() for name, loss in (losses | {"g_loss": g_loss}).items()}


@pytest.mark.parametrize("upsample", ["deconv", "resize"])
def test_networks_with_the_weights_of_torch_give_its_outputs(upsample):
    model = build_cyclegan(upsample=upsample)
    images = np.random.default_rng(1).uniform(-1, 1, (2, 32, 40, 3)).astype(np.float32)
    for name, module in torch_networks(model).items():
        expected = to_numpy(module(peer.to_torch(images)))
        np.testing.assert_allclose(model.networks()[name](images), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 2])
def test_step_has_the_losses_and_gradients_of_torch(batch):
    """With SGD at rate 1 each variable changes by its negative gradient. The pools are empty, so fakes are this step's."""
    model = build_cyclegan(batch=batch)
    for name in ("g_optimizer", "d_optimizer"):
        setattr(model, name, keras.optimizers.SGD(1.0))
    modules, inputs = torch_networks(model), random_batch(batch)
    before = {name: network.get_weights() for name, network in model.networks().items()}
    logs = model.train_step(inputs)
    expected = torch_step(modules, peer.to_torch(inputs["a"][:, 0]), peer.to_torch(inputs["b"][:, 0]))
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-4, err_msg=name)
    for name, network in model.networks().items():
        for old, variable, parameter in zip(before[name], network.weights, modules[name].parameters(), strict=True):
            gradient = peer.torch_layout(old - variable.numpy())
            np.testing.assert_allclose(gradient, parameter.grad, rtol=1e-4, atol=1e-4, err_msg=f"{name} {variable.path}")
