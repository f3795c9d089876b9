"""Inception Score (Salimans et al. 2016): exp E_x KL(p(y|x) ‖ p(y)), over splits as in torch-fidelity."""

import numpy as np
from scipy.special import log_softmax

from pipelines.errors import UserError


def inception_score(
    logits: np.ndarray, *, splits: int = 10, seed: int = 2020, shuffle: bool = True
) -> tuple[float, float | None]:
    """Computes mean and standard deviation of the score over splits of the images.

    Args:
        logits: [n, classes], of any float type; computed in float64. For the 2015 network, the 1008 logits without
            bias, as in torch-fidelity (``logits_unbiased``).
        splits: their number; the score depends on it and must be stated with it.
        seed: of NumPy's ``RandomState`` for the order of the images, as torch-fidelity's ``rng_seed``.
        shuffle: whether to shuffle.

    Returns:
        Mean in [1, classes], and standard deviation (divided by ``splits``), which one split has not.

    Raises:
        UserError: fewer images than splits, or a logit that is not finite.
    """
    logits = np.asarray(logits, np.float64)
    count = len(logits)
    if splits < 1 or count < splits:
        raise UserError(f"{count} images cannot be divided into {splits} splits", "Choose fewer splits")
    if not np.isfinite(logits).all():
        raise UserError("Some logits are not finite", "Check the images and the network's weights")
    if shuffle:
        logits = logits[np.random.RandomState(seed).permutation(count)]  # torch-fidelity's order
    scores = []
    for part in range(splits):
        log_p = log_softmax(logits[part * count // splits : (part + 1) * count // splits], axis=1)
        p = np.exp(log_p)
        divergence = np.sum(p * (log_p - np.log(np.maximum(p.mean(axis=0), np.finfo(float).tiny))), axis=1)
        scores.append(np.exp(divergence.mean()))
    return float(np.mean(scores)), float(np.std(scores)) if splits > 1 else None
