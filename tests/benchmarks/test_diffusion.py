"""The peer of the diffusion benchmark computes our network and our loss."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import diffusion
from benchmarks._diffusion_ours import creation_order
from gan_tf.diffusion.config import DiffusionConfig
from gan_tf.diffusion.workflow import DiffusionWorkflow
from gan_tf.tasks import DIFFUSION
from pipelines.errors import UserError


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_peer_step_has_our_loss(layout):
    peer = pytest.importorskip("benchmarks._diffusion_torch")
    config = DiffusionConfig(hidden_dim=8, blocks=2, batch=4)
    model = DiffusionWorkflow(DIFFUSION, config).build_model()
    random = np.random.default_rng(0)
    for variable in model.unet.trainable_variables:
        variable.assign_add(0.1 * random.standard_normal(variable.shape).astype(np.float32))
    images = random.uniform(-1, 1, (4, 28, 28, 3)).astype(np.float32)
    labels, inputs = np.array([1, 2, 3, 4], np.int32), model.random_inputs(tf.constant(0))
    start = {name: value.numpy() for name, value in inputs.items()}
    start |= {"images": images, "labels": labels, "loss_weights": model.loss_weights.numpy()}
    start |= {f"weights/{i:03d}": array for i, array in enumerate(creation_order(model.unet))}
    values = {"hidden_dim": 8, "blocks": 2, "classes": 10, "timesteps": 1000, "learning_rate": 1e-3, "precision": "float32"}
    step = peer.Step(start, values, layout, False)
    samples = {"image": tf.constant(images[:, None]), "label": tf.constant(labels[:, None])}
    assert step() == pytest.approx(float(model.train_step({"real": samples, **inputs})["loss"]), rel=1e-4)
    assert sum(p.numel() for p in step.network.parameters()) == model.unet.count_params()


def test_check_equivalence_of_other_losses_is_refused():
    ours = {"losses": {"loss": 2.0}, "parameters": {"unet": 3}}
    for losses in ({"loss": 2.001}, {"loss": float("nan")}):
        with pytest.raises(diffusion.WorkerError, match="loss"):
            diffusion.check_equivalence(ours, ours | {"losses": losses}, "float32")
    with pytest.raises(diffusion.WorkerError, match="networks differ"):
        diffusion.check_equivalence(ours, ours | {"parameters": {"unet": 4}}, "float32")


def test_arguments_out_of_range_are_refused():
    with pytest.raises(UserError, match="hidden-dim"):
        diffusion.parse_arguments(["--hidden-dim", "0"])
