"""Archives that would expand to far more than they are."""

import gzip
import io
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest

from gan_tf import export
from pipelines.archives import gunzip, open_arrays
from pipelines.errors import UserError
from pipelines.formats.cifar10_files import read_cifar10
from pipelines.formats.idx import read_idx

MEBIBYTE = 1 << 20


def write_zip_bomb(path, name="about.npy"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        for _ in range(300):
            member.write(bytes(MEBIBYTE))
    return path


def peak_of(call) -> float:
    """Returns the most memory that a call has held, in MiB."""
    tracemalloc.start()
    try:
        call()
    finally:
        peak = tracemalloc.get_traced_memory()[1] / MEBIBYTE
        tracemalloc.stop()
    return peak


def refuse_weights(path):
    with pytest.raises(UserError, match=r"it would expand from 0\.3 to 315 MB"):
        export.read_weights(path.parent)


def refuse_idx(path):
    with pytest.raises(UserError, match="it would expand from"):
        read_idx(path, 3)


def refuse_cifar10(path):
    with pytest.raises(UserError, match="it would expand from"):
        read_cifar10(path, "test")


def test_read_weights_that_expand_a_thousandfold_are_refused_before_they_are_expanded(tmp_path):
    path = write_zip_bomb(tmp_path / "weights.npz")
    assert peak_of(lambda: refuse_weights(path)) < 8


def test_read_idx_that_expands_a_thousandfold_is_refused_at_a_limit(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(300):
            file.write(bytes(MEBIBYTE))
    assert peak_of(lambda: refuse_idx(path)) < 160


def test_read_cifar10_with_a_member_that_expands_a_thousandfold_is_refused(tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("test_batch.bin")
        member.size = 300 * MEBIBYTE
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    assert peak_of(lambda: refuse_cifar10(path)) < 8


def test_open_arrays_and_gunzip_of_ordinary_files_give_their_content(tmp_path):
    values = np.random.default_rng(0).normal(size=1000)
    np.savez_compressed(tmp_path / "a.npz", values=values, zeros=np.zeros(5_000_000))  # zeros, but less than 64 MiB
    with open_arrays(tmp_path / "a.npz") as arrays:
        np.testing.assert_array_equal(arrays["values"], values)
    assert gunzip(gzip.compress(values.tobytes())) == values.tobytes()
