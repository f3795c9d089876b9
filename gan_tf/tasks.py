"""The registry: which data, which model family and which networks belong to a task. Free of TensorFlow."""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gan_tf.classifier.config import CLASSIFIER_FAMILY
from gan_tf.cyclegan.config import CYCLEGAN_FAMILY
from gan_tf.dann.config import DANN_FAMILY
from gan_tf.diffusion.config import DIFFUSION_FAMILY
from gan_tf.evaluation.scores import Threshold
from gan_tf.family import Family
from gan_tf.gan.config import GAN_FAMILY, GanConfig, with_image_size
from gan_tf.options import suggest
from pipelines.errors import UserError
from pipelines.formats.cifar10 import Cifar10Data
from pipelines.formats.digits import LabeledDigitsData
from pipelines.formats.domains import SHAPE, DomainData
from pipelines.formats.image_dirs import FolderPair, ImageFolderData
from pipelines.formats.mnist import MnistData
from pipelines.formats.mnistm import MnistmData
from pipelines.formats.tfds import TfdsSplits
from pipelines.formats.unpaired import UnpairedData
from pipelines.formats.voc import VocData
from pipelines.source import DataSpec

_DIGIT_CLASSIFIER = "gan_tf.classifier.digit_classifier:load_digit_classifier"


@dataclass(frozen=True)
class Task:
    """An entry of the registry.

    Attributes:
        name: what ``--task`` takes.
        summary: one line for ``--help``.
        family: the kind of model.
        data: where training and reference images lie in what ``--data`` names, and synthetic ones for machines without data.
        image_shape: height, width and channels of an image.
        networks: the names that ``--network`` may take.
        default_variant: the shipped weights that are used by default.
        defaults: values that differ from the family's own defaults.
        steps: default number of training steps.
        num_scored: default number of generated images that are scored.
        variant: from a configuration to the name of its variant; None takes the family's own.
        detector: what counts faces in the handout's own score, if anything does: "anime" or "face".
        classifier: dotted path of the function that loads what classifies generated digits, if anything does.
        thresholds: what the handout asks for.
    """

    name: str
    summary: str
    family: Family
    data: DataSpec
    image_shape: tuple[int, int, int]
    networks: tuple[str, ...]
    default_variant: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 20_000
    num_scored: int = 2000
    variant: Callable[[Any], str] | None = None
    detector: str | None = None
    classifier: str | None = None
    thresholds: tuple[Threshold, ...] = ()

    def variant_of(self, config: Any) -> str:
        """Returns the name of a configuration's variant: of a run's folder, and of shipped weights."""
        return (self.variant or self.family.variant)(config)

    def load_classifier(self) -> Any:
        """Loads the classifier that scores generated images, of the interface of ``FeatureExtractor``; None without one.

        Raises:
            UserError: its weights are missing or damaged.
        """
        return pkgutil.resolve_name(self.classifier)() if self.classifier else None

    def at_size(self, image_size: int | None) -> "Task":
        """Returns the task with images of another height and width; itself with None or its own size.

        Raises:
            UserError: its data set has images of one size.
        """
        if image_size is None or image_size == self.image_shape[0]:
            return self
        shape = (image_size, image_size, self.image_shape[2])
        return replace(self, image_shape=shape, data=self.data.at_size(image_size))


def _network(config: GanConfig) -> str:
    return with_image_size(config.network, config)


def _size(config: GanConfig) -> str:
    """The sizes that the MNIST handout varies; another network than the handout's by its name."""
    return f"{config.latent_dim}-{config.hidden_dim}" if config.network == "dcgan" else config.network


ANIME = Task(
    name="anime",
    summary="generates anime faces, 64x64 (MLDS 2018, HW3-1); any folder of faces will do",
    family=GAN_FAMILY,
    data=ImageFolderData(
        image_shape=(64, 64, 3),
        synthetic="pipelines.synthetic.anime:SyntheticFaces",
        pairs=(FolderPair("extra_data/images", "extra_val"), FolderPair("extra_data", "extra_val"), FolderPair("faces", "val")),
    ),
    image_shape=(64, 64, 3),
    networks=("dcgan", "improved", "baseline", "residual"),
    default_variant="hinge",
    defaults={"loss": "hinge"},
    detector="anime",
    thresholds=(Threshold("anime_faces", ">=", 21, "MLDS HW3-1"),),
)

FACE = Task(
    name="face",
    summary="generates faces of people, 64x64 (CelebA as in DLCV 2022, HW2); any folder of faces will do",
    family=GAN_FAMILY,
    data=ImageFolderData(
        image_shape=(64, 64, 3),
        synthetic="pipelines.synthetic.anime:SyntheticFaces",
        pairs=(FolderPair("face/train", "face/val"),),
        tfds_name="celeb_a",
        tfds_splits=TfdsSplits(max_validation=2025),  # as many as the handout's, since the FID depends on their number
    ),
    image_shape=(64, 64, 3),
    networks=("dcgan", "improved", "baseline", "residual", "mlp"),
    default_variant="improved",
    num_scored=1000,
    variant=_network,
    detector="face",
    thresholds=(
        Threshold("fid", "<=", 30, "DLCV HW2 simple"),
        Threshold("fid", "<=", 27, "DLCV HW2 strong"),
        Threshold("one_face", ">=", 85, "DLCV HW2 simple"),
        Threshold("one_face", ">=", 90, "DLCV HW2 strong"),
    ),
)

DOG = Task(
    name="dog",
    summary="generates dogs, 64x64 (Stanford Dogs as in NCTU Data Science 2021, HW4)",
    family=GAN_FAMILY,
    data=VocData(ImageFolderData(image_shape=(64, 64, 3), synthetic="pipelines.synthetic.shapes:build_large_shapes")),
    image_shape=(64, 64, 3),
    networks=("dcgan", "improved", "baseline", "residual", "mlp"),
    default_variant="gan",
    # With hinge and spectral norm, at rates of 5e-4 and 1e-3, D could not tell these images from fakes: its loss stayed at 2.
    defaults={"augment": "diffaugment"},
    num_scored=10_000,
    thresholds=(Threshold("fid", "<", 270, "NCTU Data Science HW4"),),
)

CIFAR10 = Task(
    name="cifar10",
    summary="generates images of CIFAR-10's ten classes, 32x32 (KAIST AI604 2020, HW3)",
    family=GAN_FAMILY,
    data=Cifar10Data(),
    image_shape=(32, 32, 3),
    networks=("cifar10", "dcgan", "improved", "baseline", "residual", "mlp"),
    default_variant="gan",
    defaults={"network": "cifar10"},
    steps=50_000,
    num_scored=10_000,
)

MNIST = Task(
    name="mnist",
    summary="generates digits, 32x32 gray (MNIST as in THU's Artificial Neural Networks, 2021)",
    family=GAN_FAMILY,
    data=MnistData(),
    image_shape=(32, 32, 1),
    networks=("dcgan", "improved", "baseline", "residual", "mlp"),
    default_variant="16-16",
    defaults={"latent_dim": 16, "hidden_dim": 16, "flip": False},
    num_scored=10_000,
    variant=_size,
    classifier=_DIGIT_CLASSIFIER,
    thresholds=(Threshold("fid", "<", 60, "THU ANN 2021"),),
)

DIGITS = Task(
    name="digits",
    summary="classifies digits, 28x28 (MNIST and MNIST-M), and so scores generated digits",
    family=CLASSIFIER_FAMILY,
    data=LabeledDigitsData(),
    image_shape=(28, 28, 3),
    networks=("cnn",),
    default_variant="classifier",
    steps=5000,
    thresholds=(
        Threshold("mnist_accuracy", ">=", 99, "this project"),
        Threshold("mnistm_accuracy", ">=", 97, "this project"),
    ),
)

YOSEMITE = Task(
    name="yosemite",
    summary="translates summer (A) to winter (B) and back, 256x256 (KAIST AI604 2020, HW3); any two domains will do",
    family=CYCLEGAN_FAMILY,
    data=UnpairedData(size=286, names=("yosemite", "summer2winter_yosemite")),
    image_shape=(256, 256, 3),
    networks=("resnet",),
    default_variant="w32-96px-skip",
    # 100 epochs of the 1,231 summer images at a constant learning rate, then 100 in which it falls.
    defaults={"lr_constant_images": 123_100, "lr_decay_images": 123_100},
)

DIFFUSION = Task(
    name="diffusion",
    summary="generates requested digits in color, 28x28 (MNIST-M as in DLCV 2022, HW2); any folder of images without labels",
    family=DIFFUSION_FAMILY,
    data=MnistmData(),
    image_shape=(28, 28, 3),
    networks=("unet",),
    default_variant="unet",
    steps=50_000,
    num_scored=1000,
    classifier=_DIGIT_CLASSIFIER,
    thresholds=(
        Threshold("class_conditional_accuracy", ">=", 80, "DLCV HW2 simple"),
        Threshold("class_conditional_accuracy", ">=", 88, "DLCV HW2 strong"),
    ),
)

DANN = Task(
    name="dann",
    summary="classifies digits of SVHN or USPS without their labels, from those of MNIST-M (DLCV 2022, HW2)",
    family=DANN_FAMILY,
    data=DomainData(),
    image_shape=SHAPE,
    networks=("cnn",),
    default_variant="svhn",
    thresholds=(
        Threshold("svhn_accuracy", ">=", 40, "DLCV HW2"),
        Threshold("usps_accuracy", ">=", 76, "DLCV HW2"),
    ),
)

TASKS: dict[str, Task] = {task.name: task for task in (ANIME, FACE, DOG, CIFAR10, MNIST, DIGITS, YOSEMITE, DIFFUSION, DANN)}


def find_task(name: str | None) -> Task:
    """Returns the entry of a task.

    Raises:
        UserError: no name, or one that is not registered; the nearest one is suggested.
    """
    if name is None:
        raise UserError(f"No task was given; {suggest('', TASKS)}", "Add --task NAME, for instance --task anime")
    if name not in TASKS:
        raise UserError(f"There is no task {name!r}; {suggest(name, TASKS)}", "Correct --task")
    return TASKS[name]
