"""The accuracy on labeled images of the target."""

import numpy as np

from gan_tf.dann.predictor import Predictor
from gan_tf.evaluation.image_files import SourceImages
from gan_tf.evaluation.scores import Score
from pipelines.source import Source


def accuracy_scores(target: str, source: Source, predictor: Predictor) -> dict[str, Score]:
    """Computes ``<target>_accuracy`` in percent, and that of the worst class.

    Args:
        target: name of the target domain.
        source: labeled images.
        predictor: the classifier.
    """
    samples = source.take(np.arange(len(source)))
    assert isinstance(samples, dict)  # labeled images
    labels = samples["label"].numpy()
    is_right = predictor.predict(SourceImages(source)) == labels
    by_class = {name: 100 * float(is_right[labels == k].mean()) for k, name in enumerate(predictor.classes) if k in labels}
    protocol = {"images": len(source), "data": source.name, "data_sha256": source.digest}
    worst = min(by_class, key=by_class.__getitem__)
    details = {f"class_{name}": round(value, 2) for name, value in by_class.items()}
    return {
        f"{target}_accuracy": Score(100 * float(is_right.mean()), protocol | details),
        f"{target}_accuracy_worst": Score(by_class[worst], {**protocol, "class": worst}),
    }
