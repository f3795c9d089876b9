"""How CycleGANs are built, trained, used and scored."""

from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf

from gan_tf import export
from gan_tf.cyclegan.callbacks import InversionWarning, TranslationScores, Triptychs
from gan_tf.cyclegan.config import CycleGanConfig, CycleGanInferOptions
from gan_tf.cyclegan.model import CycleGAN
from gan_tf.cyclegan.networks import build_discriminator, build_generator
from gan_tf.cyclegan.scores import translation_scores
from gan_tf.cyclegan.translation import ImageTranslator, translate_files
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.scores import Report, Score
from gan_tf.nn.precision import dtype_policy_scope
from gan_tf.training.callbacks import Callback, Curves, ExportWeights, RealGrid, SampleGrid
from gan_tf.training.context import RunContext
from gan_tf.workflow import Workflow
from pipelines.location import Location
from pipelines.randomness import Purpose, seed_for
from pipelines.source import Source
from pipelines.stream import Stream
from pipelines.transforms import normalize, random_crop, random_flip

_GENERATORS = ("generator_ab", "generator_ba")
_DISCRIMINATORS = ("discriminator_a", "discriminator_b")
_PURPOSES = {"a": (Purpose.CROP_A, Purpose.FLIP_A), "b": (Purpose.CROP_B, Purpose.FLIP_B)}


class CycleGanWorkflow(Workflow):
    """The workflow of CycleGANs."""

    config: CycleGanConfig

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """That of the random crops."""
        return self.config.crop_size, self.config.crop_size, 3

    def build_model(self) -> CycleGAN:
        """Returns the model, its networks initialized from the seed; EMA generators compute in float32, as in inference."""
        config = self.config
        generators_ema = self._build_generators()
        with dtype_policy_scope(config.precision):
            networks = self._build_generators()
            for i, name in enumerate(_DISCRIMINATORS):
                networks[name] = build_discriminator(config.hidden_dim, 2 * config.seed + i, name)
        return CycleGAN(networks, generators_ema, config)

    def _build_generators(self) -> dict[str, keras.Model]:
        config = self.config
        sizes = config.hidden_dim, config.num_blocks, config.upsample, config.input_skip
        return {name: build_generator(*sizes, 2 * config.seed + i, name) for i, name in enumerate(_GENERATORS)}

    def build_stream(self, model: CycleGAN, sources: Mapping[str, Source]) -> Stream:
        """Returns the stream of random crops of both domains, each at its own pace, that ``model`` trains on."""
        config = self.config

        def prepare(name: str, images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
            crop, flip = (seed_for(config.seed, step, purpose) for purpose in _PURPOSES[name])
            cropped = random_crop(images, config.crop_size, crop)
            return normalize(random_flip(cropped, flip) if config.flip else cropped)

        def random_inputs(step: tf.Tensor) -> dict[str, tf.Tensor]:
            images = tf.cast(step + 1, tf.float32) * config.batch
            epoch = tf.stack([images / len(sources[name]) for name in ("a", "b")])
            return {**model.random_inputs(step), "epoch": tf.repeat(epoch[None], config.batch, axis=0)}

        return Stream(
            sources,
            config.batch,
            seed=config.seed,
            prepare={
                "a": lambda images, step: prepare("a", images, step),
                "b": lambda images, step: prepare("b", images, step),
            },
            random_inputs=random_inputs,
        )

    def callbacks(self, run: RunContext, model: CycleGAN) -> list[Callback]:
        """Returns triptychs of fixed images, a warning of inverted brightness, curves, exported weights, and perhaps scores."""
        exporter = ExportWeights(run, model, self.image_shape)
        translator = ImageTranslator(model.exported(), self.config.hidden_dim)
        triptychs = Triptychs(translator, run.stream.sources)
        every, eval_every = run.options.grid_every, run.options.eval_every
        callbacks: list[Callback] = [
            RealGrid(run),
            exporter,
            SampleGrid(every, run, triptychs.render, "translations"),
            InversionWarning(every, triptychs),
        ]
        if eval_every:
            callbacks.append(TranslationScores(eval_every, run, translator))
        callbacks.append(Curves(every, run))  # after the scores, so that it shows the last one too
        return callbacks

    def load(self, directory: Path) -> ImageTranslator:
        """Returns the translator of exported weights; raises as ``Workflow.load``."""
        weights, generators = export.read_weights(directory), self._build_generators()
        for name, network in generators.items():
            weights.assign(name, network)
        return ImageTranslator(generators, self.config.hidden_dim)

    def infer(self, directory: Path, options: CycleGanInferOptions) -> None:
        """Translates an image or a folder of images; raises as ``Workflow.infer``."""
        translate_files(self.load(directory), options)

    def evaluate(self, directory: Path, data: Location | None, options: EvaluationOptions, report: Report) -> dict[str, Score]:
        """Returns FID and KID of translated test images in both directions; raises as ``Workflow.evaluate``."""
        return translation_scores(self.load(directory), self.data_spec, data, options, report)
