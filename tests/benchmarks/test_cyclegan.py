"""The peer of CycleGAN's benchmark computes our step; the networks themselves are compared in ``tests/cyclegan``."""

import numpy as np
import pytest
from helpers.cyclegans import build_cyclegan, random_batch

from benchmarks import cyclegan
from pipelines.errors import UserError


@pytest.mark.parametrize("joint", [False, True])
def test_peer_step_has_our_losses(joint):
    peer = pytest.importorskip("benchmarks._cyclegan_torch")
    model, batch = build_cyclegan(), random_batch(1)
    start = {f"{name}/{i:03d}": w for name, network in model.networks().items() for i, w in enumerate(network.get_weights())}
    start |= {name: batch[name][:, 0].numpy() for name in ("a", "b")}
    config = {"hidden_dim": model.config.hidden_dim, "num_blocks": model.config.num_blocks, "precision": "float32"}
    step = peer.Step(start, config, joint, "channels_last", False)
    before = {name: [p.detach().numpy().copy() for p in module.parameters()] for name, module in step.modules.items()}
    losses, logs = step(), model.train_step(batch)
    ours = {"losses": {"g_loss": float(logs["g_loss"]), "d_loss": float(logs["d_a_loss"] + logs["d_b_loss"])}, "parameters": 0}
    cyclegan.check_equivalence(ours, {"losses": losses, "parameters": 0}, "float32")
    for name, module in step.modules.items():  # all networks are trained
        assert not all(np.array_equal(old, new.detach()) for old, new in zip(before[name], module.parameters(), strict=True))


@pytest.mark.parametrize("different", [{"g_loss": 2.001, "d_loss": 1.0}, {"g_loss": float("nan"), "d_loss": 1.0}])
def test_check_equivalence_of_other_losses_is_refused(different):
    ours = {"losses": {"g_loss": 2.0, "d_loss": 1.0}, "parameters": {"generator_ab": 3}}
    with pytest.raises(cyclegan.WorkerError, match="g_loss"):
        cyclegan.check_equivalence(ours, ours | {"losses": different}, "float32")
    with pytest.raises(cyclegan.WorkerError, match="networks differ"):
        cyclegan.check_equivalence(ours, ours | {"parameters": {"generator_ab": 4}}, "float32")


@pytest.mark.parametrize(
    ("cases", "words"), [("128", "crop size and hidden_dim"), ("30-8", "from 32"), ("34-8", "multiple of 4")]
)
def test_cases_that_are_not_possible_are_refused(cases, words):
    with pytest.raises(UserError, match=words):
        cyclegan.parse_arguments(["--cases", cases])
