"""How the digit classifier is trained, used and scored: from labeled images to a network that scores generated digits."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from gan_tf.classifier.config import ClassifierConfig, ClassifierInferOptions
from gan_tf.classifier.confusion import ConfusionMatrix
from gan_tf.classifier.digit_classifier import DigitClassifier, load_digit_classifier
from gan_tf.classifier.model import Classifier
from gan_tf.classifier.networks import build_classifier
from gan_tf.classifier.prediction_grid import render_predictions
from gan_tf.evaluation.digits import labeled_scores
from gan_tf.evaluation.image_files import SourceImages
from gan_tf.evaluation.options import NOT_FOR_LABELED, EvaluationOptions
from gan_tf.evaluation.scores import Report, Score
from gan_tf.training.callbacks import Callback, Curves, ExportWeights, RealGrid, SampleGrid
from gan_tf.training.context import RunContext
from gan_tf.training.run_options import RunOptions
from gan_tf.utils.files import format_label_table, write_atomic
from gan_tf.utils.images import to_uint8
from gan_tf.workflow import Workflow
from pipelines import augment
from pipelines.errors import UserError, counted
from pipelines.formats.digits import read_validation_sets
from pipelines.image_folder import ImageFolder
from pipelines.location import Location
from pipelines.randomness import Purpose, seed_for
from pipelines.source import Source
from pipelines.stream import Stream
from pipelines.transforms import normalize

_GRID_COLUMNS = 8


class ClassifierWorkflow(Workflow):
    """The workflow of the digit classifier."""

    config: ClassifierConfig

    def check_run_options(self, options: RunOptions) -> None:
        """Checks that no score of generated images is requested; raises as ``Workflow.check_run_options``."""
        if options.eval_every:
            raise UserError("--eval-every scores generated images, but a classifier makes none", "Leave --eval-every out")

    def build_model(self) -> Classifier:
        """Returns the classifier, its network initialized from the seed."""
        config, shape = self.config, self.task.image_shape
        network, network_ema = (build_classifier(shape, config.hidden_dim, config.seed) for _ in range(2))
        return Classifier(network, network_ema, config)

    def build_stream(self, model: Classifier, sources: Mapping[str, Source]) -> Stream:
        """Returns the stream of labeled images that ``model`` trains on."""
        return Stream(sources, self.config.batch, seed=self.config.seed, prepare={"real": self._prepare})

    def _prepare(self, samples: Mapping[str, tf.Tensor], step: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns images as float32 in [-1, 1], augmented as a pure function of (seed, step), and labels as int32."""
        images, seed = normalize(samples["image"]), self.config.seed
        if self.config.augment:
            images = augment.random_affine(images, seed_for(seed, step, Purpose.AFFINE))
            images = augment.mnistm_blend(images, seed_for(seed, step, Purpose.MNISTM_BLEND))
            images = augment.random_color(images, seed_for(seed, step, Purpose.COLOR))
        return {"image": images, "label": tf.cast(samples["label"], tf.int32)}

    def callbacks(self, run: RunContext, model: Classifier) -> list[Callback]:
        """Returns grids of predictions, the confusion matrix, the curves, and the exported weights.

        The grid always shows the same images, those of the first batch as the network is trained on them. Most are augmented:
        on such images it errs longer than on plain ones, so that the grid keeps telling something. The predictions are those
        of the network that would be exported.
        """
        exporter = ExportWeights(run, model, self.task.image_shape)

        def render_grid(step: int) -> np.ndarray:
            network = exporter.networks(step)["network"]
            batch = run.stream.batch_at(0)["real"]
            columns = min(_GRID_COLUMNS, int(self.config.batch**0.5))
            images, labels = batch["image"][: columns**2, 0], batch["label"][: columns**2, 0]
            _, logits = network(images, training=False)
            return render_predictions(to_uint8(images), np.argmax(logits, axis=1), np.asarray(labels), columns)

        grid = SampleGrid(run.options.grid_every, run, render_grid, "predictions")
        confusion = ConfusionMatrix(run, lambda step: exporter.networks(step)["network"])
        return [RealGrid(run), exporter, grid, confusion, Curves(run.options.grid_every, run)]

    def load(self, directory: Path) -> DigitClassifier:
        """Returns the classifier of exported weights; raises as ``Workflow.load``."""
        return load_digit_classifier(directory)

    def infer(self, directory: Path, options: ClassifierInferOptions) -> None:
        """Classifies the images of a folder and writes a CSV file of their paths and digits; raises as ``Workflow.infer``."""
        assert options.images is not None  # argparse requires it
        assert options.out is not None
        height, _, channels = self.task.image_shape
        classifier = self.load(directory)
        images = ImageFolder(options.images, height, channels, check_pixels=True)  # so that none is replaced by another one
        print(images.summary, flush=True)
        labels = classifier.predict(SourceImages(images))
        names = [path.relative_to(options.images).as_posix() for path in images.paths]
        write_atomic(options.out, format_label_table(names, [str(label) for label in labels]))
        print(f"{options.out}: {counted(len(labels), 'label')}")

    def evaluate(self, directory: Path, data: Location | None, options: EvaluationOptions, report: Report) -> dict[str, Score]:
        """Returns the accuracies on the validation parts of ``data``; raises as ``Workflow.evaluate``."""
        hint = "Leave it out, or name generated digits by --images"
        options.refuse(NOT_FOR_LABELED, "a classifier, which is scored on labeled digits", hint)
        if data is None:
            raise UserError("There are no labeled digits to score on", "Name a folder with MNIST or MNIST-M by --data")
        data_sets = read_validation_sets(data)
        for data_set in data_sets:
            print(f"validation digits: {data_set.summary}", flush=True)
        return labeled_scores(data_sets, self.load(directory))
