"""How domain adaptation is trained, used and scored: from labels of one domain to labels of another."""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from gan_tf import export, shipped
from gan_tf.dann.config import DannConfig, DannInferOptions, build_data
from gan_tf.dann.domain_views import DomainViews
from gan_tf.dann.figures import DomainFeatures, write_figures
from gan_tf.dann.health import HealthReport
from gan_tf.dann.model import Classifier, DomainAdaptation
from gan_tf.dann.networks import build_domain_classifier, build_feature_extractor, build_label_classifier
from gan_tf.dann.predictor import Predictor
from gan_tf.dann.scores import accuracy_scores
from gan_tf.dann.stated_target import find_target
from gan_tf.dann.table import write_predictions
from gan_tf.evaluation.image_files import MEMORY_BUDGET, SourceImages, sample_indices
from gan_tf.evaluation.options import NOT_FOR_LABELED, EvaluationOptions
from gan_tf.evaluation.scores import Report, Score
from gan_tf.training.callbacks import Callback, Curves, ExportWeights, SampleGrid
from gan_tf.training.context import RunContext
from gan_tf.training.run_options import RunOptions
from gan_tf.utils.images import tile_images
from gan_tf.workflow import Workflow
from pipelines.errors import UserError
from pipelines.formats.domains import DIGIT_TARGETS, DomainData
from pipelines.location import Location, open_data
from pipelines.source import Source
from pipelines.stream import Stream

_NUM_WATCHED, _GRID_COLUMNS = 2048, 16  # training images that the grid and the words on the training are of


class DannWorkflow(Workflow):
    """The workflow of domain adaptation."""

    config: DannConfig

    @property
    def data_spec(self) -> DomainData:
        """Where the domains lie."""
        return build_data(self.config)

    def check_run_options(self, options: RunOptions) -> None:
        """Checks that no score of generated images is requested; raises as ``Workflow.check_run_options``."""
        if options.eval_every:
            raise UserError("--eval-every scores generated images, but a classifier makes none", "Leave --eval-every out")

    def build_model(self) -> DomainAdaptation:
        """Returns the model, its networks initialized from the seed."""
        student, teacher = (Classifier(*self._build_networks(self.config.seed).values()) for _ in range(2))
        num_features = student.feature_extractor.output_shape[1]
        return DomainAdaptation(student, teacher, build_domain_classifier(num_features, self.config.seed), self.config)

    def _build_networks(self, seed: int = 0) -> dict[str, keras.Model]:
        height, width, _ = self.task.image_shape
        feature_extractor = build_feature_extractor((height, width, 1), self.config.hidden_dim, seed)
        num_features = feature_extractor.output_shape[1]
        label_classifier = build_label_classifier(num_features, len(self.config.class_names), seed)
        return {"feature_extractor": feature_extractor, "label_classifier": label_classifier}

    def build_stream(self, model: DomainAdaptation, sources: Mapping[str, Source]) -> Stream:
        """Returns the stream of both domains, each at its own pace."""
        views = DomainViews(self.config)
        prepare = {"source": views.prepare_source, "target": views.prepare_target}
        return Stream(
            sources,
            self.config.batch,
            seed=self.config.seed,
            prepare={name: prepare[name] for name in sources},
            random_inputs=model.random_inputs,
        )

    def callbacks(self, run: RunContext, model: DomainAdaptation) -> list[Callback]:
        """Returns the exported weights, grids of training images by predicted class, words on how it goes, and the curves."""
        exporter = ExportWeights(run, model, self.task.image_shape)
        source = run.stream.sources["source" if self.config.phase == "source" else "target"]
        images = SourceImages(source, sample_indices(len(source), min(_NUM_WATCHED, len(source)), self.config.seed))[:]

        predictor = Predictor(model.teacher.networks(), self.config.class_names)

        def predictor_at(step: int) -> Predictor:
            exporter.networks(step)  # recomputes the statistics of the same networks
            return predictor

        def render_grid(step: int) -> np.ndarray:
            return render_by_class(images, predictor_at(step).predict(images), len(self.config.class_names))

        grid = SampleGrid(run.options.grid_every, run, render_grid, "predictions")
        health = HealthReport(run, self.config, predictor_at, images)
        return [exporter, grid, health, Curves(run.options.grid_every, run)]

    def load(self, directory: Path) -> Predictor:
        """Returns the classifier of exported weights; raises as ``Workflow.load``."""
        networks, weights = self._build_networks(), export.read_weights(directory)
        for name, network in networks.items():
            weights.assign(name, network)
        return Predictor(networks, self.config.class_names)

    def infer(self, directory: Path, options: DannInferOptions) -> None:
        """Classifies the images of a folder and writes a CSV file of their names and labels; raises as ``Workflow.infer``."""
        assert options.images is not None  # argparse requires it
        assert options.out is not None
        self._check_target(directory, options)
        write_predictions(self.load(directory), options.images, options.out)

    def _check_target(self, directory: Path, options: DannInferOptions) -> None:
        """Says which target domain the images belong to; refuses weights of another one."""
        assert options.images is not None
        if self.config.target == "folder" and options.target is None:
            print(f"classes: {', '.join(self.config.class_names)}", flush=True)
            return
        stated = find_target(options.images, options.target)
        print(f"target: {stated.name}, {stated.reason}", flush=True)
        if stated.name != self.config.target:
            problem = f"The weights {shipped.describe_weights(directory)} were trained for {self.config.target}, "
            problem += f"but the images are of {stated.name}, {stated.reason}"
            hint = f"Leave --weights out, or add --target {self.config.target} if the images are of {self.config.target}"
            raise UserError(problem, hint)

    def evaluate(self, directory: Path, data: Location | None, options: EvaluationOptions, report: Report) -> dict[str, Score]:
        """Returns the accuracy on the target's validation images of ``data``; raises as ``Workflow.evaluate``."""
        options.refuse(NOT_FOR_LABELED, f"--task {self.task.name}, which is scored on labeled images", "Leave it out")
        if data is None:
            raise UserError("There are no labeled images of the target to score on", "Name a folder with them by --data")
        if isinstance(data, Path) and {data.name, self.config.target} == set(DIGIT_TARGETS):
            problem = f"The weights {shipped.describe_weights(directory)} were trained for {self.config.target}, not for {data}"
            raise UserError(problem, f"Name others by --weights, such as {data.name}, or the folder above by --data")
        images = open_data(self.data_spec, data, "val", MEMORY_BUDGET)["target"]
        print(images.summary, flush=True)
        return accuracy_scores(self.config.target, images, self.load(directory))

    def write_figures(self, directory: Path, data: Path, title: str) -> list[Path]:
        """Writes figures of the validation images of both domains into ``figures`` of a run; returns the files.

        Args:
            directory: exported weights, which the run has reached.
            data: the digits of both domains.
            title: what the weights are, for the captions.

        Raises:
            UserError: there are no validation images of one of the domains.
        """
        predictor, domains = self.load(directory), []
        for domain, source in self.data_spec.open_validation(data).items():
            samples = source.take(np.arange(len(source)))
            features, logits = predictor(samples["image"].numpy())
            domains.append(
                DomainFeatures(f"{source.name} ({domain})", features, samples["label"].numpy(), logits.argmax(axis=1))
            )
        return write_figures(directory / "figures", title, domains, self.config.class_names)


def render_by_class(images: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns one picture in which row k holds the first 16 images with label k; it is black where there are fewer.

    Args:
        images: uint8 ``[n, height, width, 3]``.
        labels: integers ``[n]``, below ``num_classes``.
        num_classes: number of rows.
    """
    rows = np.zeros((num_classes, _GRID_COLUMNS, *images.shape[1:]), np.uint8)
    for label in range(num_classes):
        chosen = images[labels == label][:_GRID_COLUMNS]
        rows[label, : len(chosen)] = chosen
    return tile_images(rows.reshape(-1, *images.shape[1:]), num_classes, _GRID_COLUMNS)
