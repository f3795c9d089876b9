"""Pascal VOC boxes: which squares are cut out, how annotations are found, and what faulty ones do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.boxed_images import Box, cut_square
from pipelines.errors import UserError
from pipelines.formats.image_dirs import ImageFolderData
from pipelines.formats.voc import VocData, read_boxes

DATA = VocData(ImageFolderData((8, 8, 3), "pipelines.synthetic.shapes:SyntheticShapes"))


def annotation(*boxes, width=20, height=16) -> str:
    objects = "".join(
        f"<object><name>dog</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for a, b, c, d in boxes
    )
    return f"<annotation><size><width>{width}</width><height>{height}</height></size>{objects}</annotation>"


def write_image(path, seed=0, width=20, height=16):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def write_annotation(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def open_all(path, budget=1 << 20):
    source = DATA.open(path, "train", budget)["real"]
    return source, source.take(range(len(source))).numpy()


# The square


def test_cut_square_of_a_square_box_is_that_part_of_the_image():
    image = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)
    np.testing.assert_array_equal(cut_square(image, Box(3, 2, 11, 10, 20, 16), 8), image[2:10, 3:11])
    larger = np.kron(image, np.ones((2, 2, 1), np.uint8))  # the box belongs to an image of half the size
    np.testing.assert_array_equal(cut_square(larger, Box(3, 2, 11, 10, 20, 16), 16), larger[4:20, 6:22])


def test_cut_square_of_a_wide_box_takes_the_context_above_and_below():
    image = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)
    np.testing.assert_array_equal(cut_square(image, Box(4, 6, 12, 8, 20, 16), 8), image[3:11, 4:12])
    np.testing.assert_array_equal(cut_square(image, Box(4, 0, 12, 2, 20, 16), 8), image[0:8, 4:12])  # shifted inside
    np.testing.assert_array_equal(cut_square(image, Box(4, 14, 12, 16, 20, 16), 8), image[8:16, 4:12])


def test_cut_square_where_the_image_has_no_context_is_mirrored_at_its_edges():
    image = np.random.default_rng(0).integers(0, 256, (4, 8, 3), np.uint8)
    expected = image[[2, 1, 0, 1, 2, 3, 2, 1]]
    np.testing.assert_array_equal(cut_square(image, Box(0, 1, 8, 3, 8, 4), 8), expected)


@given(data=st.data(), width=st.integers(1, 40), height=st.integers(1, 40))
def test_cut_square_of_any_box_keeps_a_constant_image(data, width, height):
    left, top = data.draw(st.floats(0, width - 0.5)), data.draw(st.floats(0, height - 0.5))
    right, bottom = data.draw(st.floats(left + 0.25, width)), data.draw(st.floats(top + 0.25, height))
    square = cut_square(np.full((height, width, 3), 77, np.uint8), Box(left, top, right, bottom, width, height), 5)
    assert square.shape == (5, 5, 3)
    assert (square == 77).all()


# Which annotation belongs to which image


@pytest.mark.parametrize("ending", ["", ".xml"])
@pytest.mark.parametrize("place", ["n01-Pug/a", "a"])
@pytest.mark.parametrize("names", [("images", "annotations"), ("Images", "Annotation"), ("JPEGImages", "Annotations")])
def test_voc_data_counts_boxes_in_any_of_the_usual_layouts(tmp_path, ending, place, names):
    pixels = write_image(tmp_path / names[0] / "n01-Pug/a.png")
    write_image(tmp_path / names[0] / "n01-Pug/b.png", 1)
    write_annotation(tmp_path / names[1] / f"{place}{ending}", annotation((3, 2, 11, 10), (0, 0, 8, 8)))
    source, images = open_all(tmp_path)
    np.testing.assert_array_equal(images, [pixels[2:10, 3:11], pixels[:8, :8]])
    assert len(source) == 2
    assert "1 image with boxes; without a box and not used: 1 image" in source.summary


def test_voc_data_decodes_the_same_on_each_access(tmp_path):
    for index in range(3):
        write_image(tmp_path / f"images/{index}.png", index)
        write_annotation(tmp_path / f"annotations/{index}", annotation((1, 1, 7, 15), (index, 0, 20, 16)))
    (held, images), (read, again) = open_all(tmp_path), open_all(tmp_path, 0)
    np.testing.assert_array_equal(images, again)
    assert held.digest == read.digest
    assert (held.memory_bytes > 0, read.memory_bytes) == (True, 0)


def test_voc_data_digest_covers_images_and_boxes(tmp_path):
    write_image(tmp_path / "images/a.png")
    digests = []
    for box, seed in (((1, 1, 9, 9), 0), ((1, 1, 9, 10), 0), ((1, 1, 9, 9), 1)):
        write_image(tmp_path / "images/a.png", seed)
        write_annotation(tmp_path / "annotations/a", annotation(box))
        digests.append(open_all(tmp_path)[0].digest)
    assert len(set(digests)) == 3


def test_voc_data_without_annotations_reads_whole_images(tmp_path):
    write_image(tmp_path / "images/a.png")
    source, images = open_all(tmp_path)
    assert (len(source), images.shape) == (1, (1, 8, 8, 3))


def test_voc_data_is_compared_with_its_training_images(tmp_path):
    write_image(tmp_path / "images/a.png")
    write_annotation(tmp_path / "annotations/a", annotation((1, 1, 9, 9)))
    assert DATA.has_validation(tmp_path)
    assert DATA.open(tmp_path, "val", 0)["real"].digest == DATA.open(tmp_path, "train", 0)["real"].digest


# Faulty annotations

BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;">]><annotation>&c;</annotation>'
FAULTS = {
    "broken": "<annotation><size>",
    "bomb": BOMB,
    "encoding": '<?xml version="1.0" encoding="foo"?><annotation></annotation>',
    "long": annotation((1, 1, 9, 9)) + " " * (1 << 20),
    "nobox": annotation(),
    "outside": annotation((30, 30, 40, 40)),
    "inverted": annotation((9, 9, 3, 3)),
    "words": annotation(("a", 1, 9, 9)),
    "nan": annotation(("nan", 1, 9, 9)),
    "nosize": "<annotation></annotation>",
    "missing": annotation((1, 1, 9, 9)),
}


def test_voc_data_faulty_annotations_are_counted_named_and_left_out(tmp_path):
    write_image(tmp_path / "images/good.png")
    write_annotation(tmp_path / "annotations/good", annotation((-5, -5, 9, 99)))
    for name, text in FAULTS.items():
        if name != "missing":
            write_image(tmp_path / f"images/{name}.png")
        write_annotation(tmp_path / f"annotations/{name}", text)
    (tmp_path / "annotations/notes.txt").write_text("no annotation")
    source, _ = open_all(tmp_path)
    assert len(source) == 1
    assert f"{len(FAULTS)} faulty annotations left out: bomb (it is too long, or declares entities); broken (" in source.summary
    assert "and 6 more" in source.summary
    assert (read_boxes(tmp_path / "annotations/good")[0]) == Box(0, 0, 9, 16, 20, 16)


@pytest.mark.parametrize("name", FAULTS)
def test_voc_data_with_faulty_annotations_only_is_one_sentence(tmp_path, name):
    write_image(tmp_path / "images/other.png")
    if name != "missing":
        write_image(tmp_path / f"images/{name}.png")
    write_annotation(tmp_path / f"annotations/{name}", FAULTS[name])
    with pytest.raises(UserError, match=f"No annotation in .*annotations is usable: {name} "):
        open_all(tmp_path)
    (tmp_path / f"annotations/{name}").unlink()
    with pytest.raises(UserError, match=r"is usable \(it is empty\)"):
        open_all(tmp_path)


# Validation images


def write_annotated(image_dir, annotation_dir, names):
    for seed, name in enumerate(names):
        write_image(image_dir / f"{name}.png", seed)
        write_annotation(annotation_dir / f"{name}.xml", annotation((0, 0, 8, 8)))


LAYOUTS = {  # where images and annotations of the two splits lie
    "split images": (("images/train", "annotations/train"), ("images/val", "annotations/val")),
    "split images only": (("images/train", "annotations"), ("images/test", "annotations")),
    "nothing called training": (("images/pugs", "annotations/pugs"), ("images/val", "annotations/val")),
    "deep": (("images/a/pugs", "annotations/a/pugs"), ("images/a/val", "annotations/a/val")),
    "a folder for each split": (("train/images", "train/annotations"), ("val/images", "val/annotations")),
    "names with additions": (("train_set/images", "train_set/annotations"), ("test_set/images", "test_set/annotations")),
    "beside the images": (("images", "annotations"), ("val", "annotations")),
    "no folder of images": (("train", "annotations"), ("val", "annotations")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_voc_data_with_validation_images_never_trains_on_them(tmp_path, layout):
    (training, training_boxes), (validation, validation_boxes) = LAYOUTS[layout]
    write_annotated(tmp_path / training, tmp_path / training_boxes, ["a", "b", "c"])
    write_annotated(tmp_path / validation, tmp_path / validation_boxes, ["x", "y"])
    train, val = (DATA.open(tmp_path, split, 1 << 20)["real"] for split in ("train", "val"))
    assert sorted(path.stem for path in train.paths) == ["a", "b", "c"]
    assert sorted(path.stem for path in val.paths) == ["x", "y"]
    assert (train.split, val.split) == ("train", "val")
    assert "3 images with boxes" in train.summary
    assert "faulty" not in train.summary


def test_voc_data_with_a_separate_folder_of_annotations_holds_out_validation_images(tmp_path):
    write_annotated(tmp_path / "data/train", tmp_path / "boxes", ["a", "b"])
    write_annotated(tmp_path / "data/val", tmp_path / "boxes", ["x"])
    data = VocData(DATA.folders, annotations=tmp_path / "boxes")
    source = data.open(tmp_path / "data", "train", 1 << 20)["real"]
    assert [path.stem for path in source.paths] == ["a", "b"]
    assert "held out: val/" in source.summary
    assert [path.stem for path in data.open(tmp_path / "data", "val", 1 << 20)["real"].paths] == ["x"]


def test_voc_data_of_training_images_only_compares_with_their_boxes(tmp_path):
    write_annotated(tmp_path / "train/images", tmp_path / "train/annotations", ["a", "b"])
    train, val = (DATA.open(tmp_path, split, 1 << 20)["real"] for split in ("train", "val"))
    assert train.digest == val.digest
    assert (train.split, val.split) == ("train", "train")


def test_voc_data_named_validation_images_beside_training_images_are_refused(tmp_path):
    write_annotated(tmp_path / "train/images", tmp_path / "train/annotations", ["a"])
    write_annotated(tmp_path / "val/images", tmp_path / "val/annotations", ["x"])
    with pytest.raises(UserError, match=r"held out from training on .*/train"):
        DATA.open(tmp_path / "val", "train", 1 << 20)
