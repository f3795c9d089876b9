"""The configuration of the digit classifier. Free of TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_tf.classifier.run_figures import describe_figures
from gan_tf.family import Family
from gan_tf.options import Resolved, option, resolve
from gan_tf.utils.files import check_label_files
from pipelines.source import DataSpec

if TYPE_CHECKING:
    from gan_tf.tasks import Task


@dataclass(frozen=True)
class ClassifierConfig:
    """Everything that decides a classifier's weights, besides the images and the number of steps."""

    network: str = option("cnn", "the network", choices=("cnn",))
    hidden_dim: int = option(
        24, "channels of the first layer; each halving of the size doubles them", minimum=1, maximum=1024, takes_memory=True
    )
    smoothing: float = option(0.05, "label smoothing: the fraction spread over all ten digits", minimum=0.0, maximum=0.9)
    augment: bool = option(True, "random affine transforms, backgrounds and colors of the training images")
    learning_rate: float = option(1e-3, "learning rate of Adam", above=0.0)
    batch: int = option(64, "batch size, over all devices together", minimum=2, maximum=65536, takes_memory=True)
    ema_half_life: float = option(20_000.0, "half-life of the network's EMA, in images (0: no EMA)", minimum=0.0)
    seed: int = option(
        0, "seed of the initial weights, the order of the images and all random inputs", minimum=0, maximum=2**31 - 1
    )

    @property
    def last_step(self) -> int | None:
        """The step after which the learning rate is 0: None, since it is constant."""
        return None


@dataclass(frozen=True)
class ClassifierInferOptions:
    """What ``infer.py`` takes for the classifier."""

    images: Path | None = option(None, "folder of images of digits, at any depth", positional=True, metavar="IMAGES_DIR")
    out: Path | None = option(None, "file for image_name,label", positional=True, metavar="OUT.csv")
    overwrite: bool = option(False, "replace the file OUT if there is one")

    def validate(self) -> None:
        """Checks the arguments.

        Raises:
            UserError: no such folder, or an output that is not a CSV file, or that there is already.
        """
        check_label_files(self.images, self.out, self.overwrite)


def _resolve(task: "Task", file: Mapping[str, Any], cli: Mapping[str, Any]) -> Resolved:
    return resolve(ClassifierConfig, task.defaults, (), file, cli)


def _variant(config: ClassifierConfig) -> str:
    return "classifier"


def _data(task: "Task", config: ClassifierConfig) -> DataSpec:
    return task.data


CLASSIFIER_FAMILY = Family(
    name="classifier",
    summary="Classifies images of digits",
    example="DIGITS_DIR digits.csv",
    config=ClassifierConfig,
    infer_options=ClassifierInferOptions,
    resolve=_resolve,
    variant=_variant,
    data=_data,
    workflow="gan_tf.classifier.workflow:ClassifierWorkflow",
    figures=describe_figures,
)
