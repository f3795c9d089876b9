"""The peer's training step equals ours: the same parameters, losses and updates."""

import keras
import numpy as np
import pytest
from helpers.domains import build_dann, dann_config

from benchmarks import _dann_ours, dann
from benchmarks._turns import WorkerError


def test_peer_step_equals_ours(tmp_path):
    pytest.importorskip("torch")
    from benchmarks import _dann_torch

    config = dann_config(hidden_dim=2, batch=8, lr_decay_images=400, pseudo_threshold=0.5)
    model = build_dann(config)
    model.network_optimizer = keras.optimizers.SGD(0.05)
    model.network_optimizer.build(model._trained_variables())
    model.images_seen.assign(200)
    batches = _dann_ours.make_batches(model, 2)
    _dann_ours.write_start(tmp_path / "start.npz", model, batches)
    start = dict(np.load(tmp_path / "start.npz"))
    ours = [{name: float(value) for name, value in model.train_step(batch).items()} for batch in batches]
    assert ours[0]["pseudo_loss"] > 0
    for layout in ("channels_last", "contiguous"):
        step = _dann_torch.Step(config, start, _dann_torch.ExecutionMode(layout=layout), 200, sgd=0.05)
        for n in range(2):
            theirs = {name: float(value) for name, value in step().items()}
            for name, value in theirs.items():
                assert value == pytest.approx(ours[n][name], rel=1e-3, abs=1e-5), (layout, n, name)
        for theirs_layer, ours_layer in (
            (step.labels, model.label_classifier),
            (step.teacher_labels, model.label_classifier_ema),
        ):
            np.testing.assert_allclose(theirs_layer.weight.detach().T, ours_layer.trainable_variables[0], atol=1e-4)


def test_check_equivalence_refuses_other_losses():
    same = {"parameters": 3, "losses": {"loss": 1.0}}
    dann.check_equivalence(same, same)
    with pytest.raises(WorkerError, match="the steps differ: loss is 1 here"):
        dann.check_equivalence(same, {"parameters": 3, "losses": {"loss": 1.1}})
    with pytest.raises(WorkerError, match="the networks differ"):
        dann.check_equivalence(same, {"parameters": 4, "losses": {"loss": 1.0}})
