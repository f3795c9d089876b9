"""MNIST-M: how it is built, where it is found, and what its tables may not hold."""

import errno
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import UserError
from pipelines.formats import label_csv, mnistm
from pipelines.formats.mnistm import MnistmData, build_mnistm, main
from pipelines.labeled import LabeledImages

ROOT = Path(__file__).resolve().parents[3]


def write_idx(folder, part: str, images: np.ndarray, labels: list[int]) -> None:
    """Writes one part of MNIST."""
    folder.mkdir(parents=True, exist_ok=True)
    header = b"\0\0\x08\x03" + struct.pack(">III", *images.shape)
    (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", len(labels)) + bytes(labels))


@pytest.fixture
def mnist(tmp_path):
    """MNIST of four black and three white images."""
    write_idx(tmp_path / "mnist/raw", "train", np.zeros((4, 28, 28), np.uint8), [1, 2, 3, 4])
    write_idx(tmp_path / "mnist/raw", "t10k", np.full((3, 28, 28), 255, np.uint8), [7, 8, 9])
    return tmp_path / "mnist"


@pytest.fixture
def photos(tmp_path):
    """One photograph in which each pixel tells its place, one that is too small, and a damaged one."""
    (tmp_path / "photos").mkdir()
    rows, columns = np.indices((60, 50))
    Image.fromarray(np.stack([rows, columns, 200 - rows], -1).astype(np.uint8)).save(tmp_path / "photos/a.png")
    Image.fromarray(np.zeros((27, 60, 3), np.uint8)).save(tmp_path / "photos/b.png")
    (tmp_path / "photos/c.png").write_bytes(b"no image")
    return tmp_path / "photos"


def contents(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_build_mnistm_is_the_difference_of_patch_and_digit(mnist, photos, tmp_path):
    line = build_mnistm(mnist, photos, tmp_path / "out")
    assert "7 images, from patches of 1 photographs; left out: 2" in line
    train, val = (label_csv.read_split(tmp_path / "out", split) for split in ("train", "val"))
    assert train.labels.tolist() == [1, 2, 3, 4]
    assert val.labels.tolist() == [7, 8, 9]
    patches = np.concatenate([train.images, 255 - val.images]).astype(int)  # |p - 0| and |p - 255|
    top, left = patches[:, 0, 0, 0], patches[:, 0, 0, 1]
    rows, columns = np.indices((28, 28))
    np.testing.assert_array_equal(patches[..., 0], top[:, None, None] + rows)
    np.testing.assert_array_equal(patches[..., 1], left[:, None, None] + columns)
    assert len({*zip(top, left, strict=True)}) > 3


def test_build_mnistm_writes_the_same_bytes_each_time(mnist, photos, tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        build_mnistm(mnist, photos, tmp_path / name, seed)
    one, two, other = (contents(tmp_path / name) for name in ("one", "two", "other"))
    assert sorted(one) == [*(f"data/{number:05d}.png" for number in range(7)), "train.csv", "val.csv"]
    assert one == two
    assert one != other


def test_main_bad_input_is_one_line_and_exit_code_2(mnist, photos, tmp_path, capsys):
    for words, message in (
        ((tmp_path / "photos", photos, tmp_path / "out"), "No MNIST was found"),
        ((mnist, mnist, tmp_path / "out"), "images"),
        ((mnist, photos, photos), "exists already"),
        ((mnist, photos, tmp_path / "out", "--seed", -1), "--seed: -1 is not valid"),
        ((mnist, photos, tmp_path / "out", "--seed", "one"), "Argument --seed"),
        ((mnist, photos), "OUT"),
        ((mnist, photos, "/proc/out"), "/proc/out cannot be written (No such file or directory)"),
        ((mnist, photos, mnist / "raw/train-images-idx3-ubyte/out"), "cannot be written (Not a directory)"),
        (("x" * 300, photos, tmp_path / "out"), "x cannot be opened (File name too long)"),
    ):
        assert main([str(word) for word in words]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert message in error
        assert sorted(path.name for path in tmp_path.iterdir()) == ["mnist", "photos"]


def test_build_mnistm_of_photographs_beyond_the_memory_is_refused(mnist, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(mnistm, "_MAX_BYTES", 5000)
    with pytest.raises(UserError, match="take more than 5e-06 GB as pixels"):
        build_mnistm(mnist, photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_build_mnistm_that_fails_leaves_nothing_of_its_own_and_everything_of_others(mnist, photos, tmp_path, monkeypatch):
    def fail(image, path):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "out.part").mkdir()
    build_mnistm(mnist, photos, tmp_path / "out")
    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(UserError, match=r"other cannot be written \(No space left on device\)"):
        build_mnistm(mnist, photos, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mnist", "out", "out.part", "photos"]


def test_main_with_a_full_standard_output_does_its_work_and_ends_with_0(mnist, photos, tmp_path):
    command = ["bash", "-c", '"$0" "$@" > /dev/full', sys.executable, "-m", "pipelines.formats.mnistm", mnist, photos]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    assert subprocess.run([*command, tmp_path / "ü"], cwd=ROOT, check=False, env=environment).returncode == 0
    assert len(list((tmp_path / "ü/data").iterdir())) == 7


def test_mnistm_data_reads_what_was_built(mnist, photos, tmp_path):
    build_mnistm(mnist, photos, tmp_path / "digits/mnistm")
    data = MnistmData()
    assert data.has_labels(tmp_path)
    assert data.has_validation(tmp_path)
    source = data.open(tmp_path, "train", 0)["real"]
    assert (source.name, len(source)) == ("mnistm", 4)
    assert source.take([2])["label"].numpy().tolist() == [3]


def test_mnistm_data_of_a_folder_of_images_has_no_labels(image_dir):
    data = MnistmData()
    assert not data.has_labels(image_dir)
    assert not data.has_validation(image_dir)
    (source,) = data.open(image_dir, "train", 1 << 20).values()
    assert source.take([0]).shape == (1, 28, 28, 3)


def test_mnistm_data_synthetic_digits_have_labels():
    source = MnistmData().open_synthetic()["real"]
    assert source.take([13])["label"].numpy().tolist() == [3]


def read_table(folder, *rows: str, header: str = "image_name,label") -> LabeledImages:
    """Reads a folder with the images a.png to c.png and a table of some rows."""
    (folder / "data").mkdir(exist_ok=True)
    for name in "abc":
        Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save(folder / f"data/{name}.png")
    (folder / "train.csv").write_text("\n".join([header, *rows]) + "\n")
    return label_csv.read_split(folder, "train")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("missing.png,1", "missing.png"),
        ("../a.png,1", "../a.png"),
        ("/a.png,1", "/a.png"),
        ("a.png,2", "a.png"),
    ],
)
def test_read_split_leaves_out_and_counts_what_is_wrong(row, message, tmp_path):
    Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save(tmp_path / "a.png")  # what ../a.png would find
    source = read_table(tmp_path, "a.png,1", row, "b.png,2")
    assert source.labels.tolist() == [1, 2]
    assert message in source.summary
    assert "1" in source.note


def test_read_split_of_another_size_is_fitted_and_counted(tmp_path):
    (tmp_path / "data").mkdir()
    Image.fromarray(np.zeros((28, 56, 3), np.uint8)).save(tmp_path / "data/wide.png")
    source = read_table(tmp_path, "a.png,1", "wide.png,2")
    assert source.images.shape == (2, 28, 28, 3)
    assert "wide.png" in source.summary


def test_read_split_with_nothing_usable_is_refused(tmp_path):
    with pytest.raises(UserError, match="None of the 2 images"):
        read_table(tmp_path, "../a.png,1", "missing.png,2")
