"""What ``infer.py`` takes for a GAN. Free of TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from gan_tf.options import option
from pipelines.errors import UserError, shorten

_DEFAULT_COUNT, _MAX_COUNT = 1000, 10_000_000
_MAX_SEED = 2**63 - 1  # TensorFlow's seeds are of type int64


@dataclass(frozen=True)
class GanInferOptions:
    """What ``infer.py`` takes for a GAN."""

    out: Path | None = option(
        None, "folder for 0000.png …, or a .png file with --grid or --interpolate", positional=True, metavar="OUT"
    )
    count: int | None = option(None, "images to write", minimum=1, maximum=_MAX_COUNT, shown_default=f"{_DEFAULT_COUNT}")
    seed: int | None = option(
        None, "seed of the latents: the same seed gives the same images", minimum=0, maximum=_MAX_SEED, shown_default="0"
    )
    seeds: str | None = option(
        None, "write image 0 of each seed from A to B: seed0000.png …, or with --grid the tiles of one image", metavar="A-B"
    )
    overwrite: bool = option(False, "remove images that gan_tf wrote into the folder OUT before")
    grid: str | None = option(None, "write one image of R rows and C columns, for instance 5x5", metavar="RxC")
    interpolate: int | None = option(
        None, "write one image of latent interpolations with K images each", minimum=2, maximum=200, metavar="K"
    )
    pairs: int | None = option(None, "number of interpolations, one in each row", minimum=1, maximum=200, shown_default="5")
    path: str | None = option(
        None, "interpolation path", choices=("slerp", "lerp"), shown_default="slerp, for uniform latents lerp"
    )
    extrapolate: float | None = option(
        None, "how far to extrapolate beyond both ends, as a fraction", minimum=0.0, maximum=10.0, shown_default="0"
    )

    @property
    def is_one_image(self) -> bool:
        """Whether one image is written, not a folder of them."""
        return self.grid is not None or self.interpolate is not None

    @property
    def grid_shape(self) -> tuple[int, int] | None:
        """Rows and columns of ``grid``, or None without one."""
        if self.grid is None:
            return None
        rows, _, columns = self.grid.partition("x")
        if not all(word.isdecimal() and len(word) <= 3 and 0 < int(word) <= 200 for word in (rows, columns)):
            problem = f"--grid {shorten(self.grid)} is not valid: rows x columns are needed, each from 1 to 200"
            raise UserError(problem, "Use --grid 5x5")
        return int(rows), int(columns)

    @property
    def seed_range(self) -> range | None:
        """The seeds of ``seeds``, or None without them."""
        if self.seeds is None:
            return None
        first, _, last = self.seeds.partition("-")
        if not (_is_seed(first) and _is_seed(last) and int(first) <= int(last)):
            problem = f"--seeds {self.seeds} is not valid: the first and the last of a range of seeds are needed"
            raise UserError(problem, "Use --seeds 0-24")
        if int(last) - int(first) >= _MAX_COUNT:
            raise UserError(f"--seeds {self.seeds} are more than {_MAX_COUNT:,} seeds", "Use --seeds 0-24")
        return range(int(first), int(last) + 1)

    @property
    def num_files(self) -> int:
        """How many images are written into a folder."""
        return len(self.seed_range) if self.seed_range else self.count or _DEFAULT_COUNT

    def validate(self) -> None:
        """Checks the combination of options.

        Raises:
            UserError: for options that exclude each other.
        """
        self._check_seeds()
        one_image = self.grid_shape is not None or self.interpolate is not None
        if self.grid is not None and self.interpolate is not None:
            raise UserError("--grid and --interpolate exclude each other", "Leave one of the two out")
        if self.count is not None and one_image:
            raise UserError(
                "--count does not apply to a single image", "Leave --count out, or leave --grid and --interpolate out"
            )
        if self.interpolate is None:
            for name in ("pairs", "path", "extrapolate"):
                if getattr(self, name) is not None:
                    raise UserError(f"--{name} applies to --interpolate only", f"Add --interpolate 10, or leave --{name} out")
        if self.out is not None and one_image != (self.out.suffix.lower() == ".png"):
            problem = f"OUT {self.out} must be a .png file with --grid or --interpolate, and a folder without them"
            raise UserError(problem, "Change OUT, or add --grid 5x5")

    def _check_seeds(self) -> None:
        """Refuses options that contradict ``--seeds``."""
        seeds = self.seed_range
        if seeds is None:
            return
        for name in ("seed", "count", "interpolate"):
            if getattr(self, name) is not None:
                raise UserError(f"--seeds and --{name} exclude each other", "Leave one of the two out")
        if self.grid_shape is not None:
            rows, columns = self.grid_shape
            if len(seeds) != rows * columns:
                problem = f"--seeds {self.seeds} are {len(seeds):,} seeds, but --grid {self.grid} has {rows * columns:,} tiles"
                raise UserError(problem, f"Use --seeds {seeds.start}-{seeds.start + rows * columns - 1}")


def _is_seed(text: str) -> bool:
    return text.isdecimal() and len(text) <= len(str(_MAX_SEED)) and int(text) <= _MAX_SEED
