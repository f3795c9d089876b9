"""Data sets of tensorflow-datasets: what it writes itself is read as the same images in folders are."""

import re

import numpy as np
import pytest
import tensorflow_datasets as tfds
from helpers.tfds_fixtures import encode, prepare, prepare_labeled
from PIL import Image

from gan_tf.tasks import ANIME, CIFAR10, DIGITS, DOG, FACE, MNIST
from pipelines.errors import UserError
from pipelines.formats.tfds import TfdsData, TfdsSample, TfdsSplits
from pipelines.location import TfdsLocation, has_validation, open_data

BUDGET = 1 << 30


def read(task, data_dir, split="train", name=None, budget=BUDGET):
    """Returns a task's source from tensorflow-datasets, and all its samples."""
    source = open_data(task.data, TfdsLocation(name, data_dir), split, budget)["real"]
    return source, source.take(range(len(source)))


def random_image(seed, height, width):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


# Images, labels and boxes are those of the fixture


@pytest.mark.parametrize("budget", [0, BUDGET])
def test_cifar10_splits_are_the_images_that_were_written(tmp_path, budget):
    written = prepare_labeled("cifar10", tmp_path, {"train": 11, "test": 4})
    for split, part in (("train", "train"), ("val", "test")):
        source, images = read(CIFAR10, tmp_path, split, budget=budget)
        np.testing.assert_array_equal(images, written[part][0])
        assert (source.name, source.split) == ("cifar10", part)
        place = "in a temporary file" if budget == 0 else "in memory"
        assert f"held {place}" in source.summary
        assert source.summary.endswith(f"cifar10/3.0.2 of tensorflow-datasets, split {part}")
    assert has_validation(CIFAR10.data, TfdsLocation(None, tmp_path))


def test_tfds_digest_covers_the_images_and_not_where_they_are(tmp_path):
    digests = []
    for folder, last in (("a", 0), ("b", 0), ("c", 1)):
        pixels = np.zeros((2, 32, 32, 3), np.uint8)
        pixels[1, 31, 31, 2] = last
        prepare("cifar10", tmp_path / folder, {"train": [{"image": encode(image)} for image in pixels]})
        digests.append(read(CIFAR10, tmp_path / folder, budget=BUDGET if folder == "a" else 0)[0].digest)
    assert digests[0] == digests[1] != digests[2]


def test_mnist_is_resized_as_pillow_does_bilinearly(tmp_path):
    written = prepare_labeled("mnist", tmp_path, {"train": 5, "test": 2})
    source, images = read(MNIST, tmp_path)
    bilinear = [Image.fromarray(image[..., 0]).resize((32, 32), Image.Resampling.BILINEAR) for image in written["train"][0]]
    np.testing.assert_array_equal(images[..., 0], np.stack(bilinear))
    assert (source.name, images.shape) == ("mnist", (5, 32, 32, 1))


def test_digits_are_labeled_rgb_images_of_any_set_of_digits(tmp_path):
    mnist, svhn = (prepare_labeled(name, tmp_path, {"train": 12, "test": 3}) for name in ("mnist", "svhn_cropped"))
    source, samples = read(DIGITS, tmp_path)
    np.testing.assert_array_equal(samples["image"], np.repeat(mnist["train"][0], 3, axis=-1))
    np.testing.assert_array_equal(samples["label"], mnist["train"][1])
    assert source.name == "mnist"
    source, samples = read(DIGITS, tmp_path, "val", "svhn_cropped")
    lanczos = [Image.fromarray(image).resize((28, 28), Image.Resampling.LANCZOS) for image in svhn["test"][0]]
    np.testing.assert_array_equal(samples["image"], np.stack(lanczos))
    np.testing.assert_array_equal(samples["label"], svhn["test"][1])
    assert (source.name, source.split) == ("svhn_cropped", "test")


def test_celeb_a_files_are_cropped_to_their_central_178_pixels(tmp_path):
    files = [encode(random_image(seed, 218, 178), "jpeg") for seed in range(3)]
    prepare("celeb_a", tmp_path, {"train": [{"image": file} for file in files], "validation": [{"image": files[0]}]})
    _, images = read(FACE, tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, file in enumerate(files):
        (folder / f"{number}.jpg").write_bytes(file)
        square = Image.open(folder / f"{number}.jpg").crop((0, 20, 178, 198)).resize((64, 64), Image.Resampling.LANCZOS)
        inner = slice(3, -3)  # the filter of the other rows reaches over the edges of the crop
        np.testing.assert_array_equal(images[number, inner], np.asarray(square)[inner])
    np.testing.assert_array_equal(images, FACE.data.open(folder, "train", BUDGET)["real"].take(range(3)))


def test_celeb_a_is_compared_with_as_many_validation_images_as_the_handout_has(tmp_path):
    assert FACE.data.tfds.splits["real"].max_validation == 2025
    image = {"image": encode(random_image(0, 218, 178), "jpeg")}
    prepare("celeb_a", tmp_path, {"train": [image] * 4, "validation": [image] * 5, "test": [image] * 6})
    data = TfdsData("celeb_a", TfdsSample(64), {"real": TfdsSplits(max_validation=2)})
    sources = [data.open(TfdsLocation(None, tmp_path), split, BUDGET)["real"] for split in ("train", "val")]
    assert [(len(source), source.split) for source in sources] == [(4, "train"), (2, "validation")]
    assert "the first 2 examples" in sources[1].summary


ANNOTATION = (
    "<annotation><size><width>{width}</width><height>{height}</height></size>{boxes}</annotation>",
    "<object><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>",
)
DOGS = (  # height, width, boxes as xmin, ymin, xmax, ymax
    (90, 120, [(3, 7, 71, 80)]),
    (120, 77, [(0, 0, 77, 120), (10, 11, 33, 99)]),
    (64, 200, [(101, 1, 199, 63)]),
)


def boxed_example(seed, height, width, boxes):
    objects = [
        {"bbox": tfds.features.BBox(top / height, left / width, bottom / height, right / width)}
        for left, top, right, bottom in boxes
    ]
    return {"image": encode(random_image(seed, height, width), "jpeg"), "objects": objects}


def test_stanford_dogs_are_the_squares_of_the_same_boxes_in_annotations(tmp_path):
    examples = [boxed_example(seed, *dog) for seed, dog in enumerate(DOGS)]
    prepare("stanford_dogs", tmp_path / "tfds", {"train": examples[:2], "test": examples[2:]})
    for number, (example, (height, width, boxes)) in enumerate(zip(examples, DOGS, strict=True)):
        for name in ("images", "annotations"):
            (tmp_path / "voc" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / f"voc/images/{number}.jpg").write_bytes(example["image"])
        objects = "".join(ANNOTATION[1].format(*box) for box in boxes)
        (tmp_path / f"voc/annotations/{number}").write_text(ANNOTATION[0].format(width=width, height=height, boxes=objects))
    folder = DOG.data.open(tmp_path / "voc", "train", BUDGET)["real"]
    source, images = read(DOG, tmp_path / "tfds")
    np.testing.assert_array_equal(images, folder.take(range(4)))
    assert "the boxes of 3 images" in source.summary
    assert read(DOG, tmp_path / "tfds", "val")[0].digest == source.digest  # there is no validation set
    assert has_validation(DOG.data, TfdsLocation(None, tmp_path / "tfds"))


def test_dog_of_a_data_set_without_boxes_takes_whole_images(tmp_path):
    prepare_labeled("svhn_cropped", tmp_path, {"train": 3, "test": 2})
    assert read(DOG, tmp_path, name="svhn_cropped")[1].shape == (5, 64, 64, 3)


def test_cycle_gan_domains_are_sources_of_their_own(tmp_path):
    name = "cycle_gan/summer2winter_yosemite"
    images = {
        split: [random_image(10 * count + n, 8, 8) for n in range(count)]
        for split, count in zip(("trainA", "trainB", "testA", "testB"), (4, 3, 2, 1), strict=True)
    }
    prepare(name, tmp_path, {split: [{"image": encode(image)} for image in part] for split, part in images.items()})
    splits = {"a": TfdsSplits("trainA", ("testA",)), "b": TfdsSplits("trainB", ("testB",))}
    data, location = TfdsData(name, TfdsSample(8), splits), TfdsLocation(None, tmp_path)
    for split, parts in (("train", ("trainA", "trainB")), ("val", ("testA", "testB"))):
        sources = data.open(location, split, BUDGET)
        assert list(sources) == ["a", "b"]
        for source, part in zip(sources.values(), parts, strict=True):
            np.testing.assert_array_equal(source.take(range(len(source))), np.stack(images[part]))
            assert (source.name, source.split) == ("cycle_gan-summer2winter_yosemite", part)
    assert data.has_validation(location)


# What does not fit, or is damaged


def test_tfds_unusable_examples_are_counted_named_and_left_out(tmp_path):
    good, damaged = boxed_example(0, 20, 30, [(1, 2, 11, 12)]), {"image": b"no image", "objects": []}
    flat = good | {"objects": [{"bbox": tfds.features.BBox(0.5, 0.25, 0.5, 0.75)}]}
    prepare("stanford_dogs", tmp_path, {"train": [damaged, good, flat, good | {"objects": []}]})
    source, images = read(DOG, tmp_path)
    np.testing.assert_array_equal(images.shape, (1, 64, 64, 3))
    reasons = ["example 0: not an image in a supported format", "example 2: a box without area", "example 3: no box"]
    assert source.summary.endswith(f"; 3 left out: {'; '.join(reasons)}")


def test_tfds_damaged_images_keep_labels_with_their_images(tmp_path):
    pixels = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 28, 28, 1), np.uint8)
    examples = [{"image": encode(image), "label": number + 4} for number, image in enumerate(pixels)]
    prepare("mnist", tmp_path, {"train": [examples[0], examples[1] | {"image": b"\x89PNG"}, examples[2]]})
    _, samples = read(DIGITS, tmp_path)
    assert samples["image"][:, 0, 0, 0].numpy().tolist() == [0, 2]
    assert samples["label"].numpy().tolist() == [4, 6]


def refusal(task, *arguments, **more) -> str:
    with pytest.raises(UserError) as error:
        read(task, *arguments, **more)
    return str(error.value)


def test_tfds_without_a_usable_example_is_one_sentence(tmp_path):
    prepare("cifar10", tmp_path, {"train": [{"image": b"no image"}] * 7})
    message = refusal(CIFAR10, tmp_path)
    assert message.startswith("No example of split 'train' of cifar10 is usable: example 0: not an image")
    assert "and 2 more" in message
    assert "no split validation or test" in refusal(CIFAR10, tmp_path, "val")
    assert not has_validation(CIFAR10.data, TfdsLocation(None, tmp_path))


def test_tfds_that_does_not_fit_the_task_is_refused(tmp_path):
    prepare_labeled("cifar10", tmp_path, {"train": 2})
    prepare("stanford_dogs", tmp_path, {"train": [boxed_example(0, 9, 9, [])]})
    prepare("cycle_gan/apple2orange", tmp_path, {"trainA": [{"image": encode(random_image(0, 8, 8))}]})
    assert "uint8 images of 32x32x3, but this task takes uint8 images of 32x32x1" in refusal(MNIST, tmp_path, name="cifar10")
    assert "anyxanyx3" in refusal(MNIST, tmp_path, name="stanford_dogs")
    assert "120 classes, but this task takes images with labels of 10" in refusal(DIGITS, tmp_path, name="stanford_dogs")
    assert "no split 'train', but trainA" in refusal(ANIME, tmp_path, name="cycle_gan/apple2orange")
    assert "names no data set" in refusal(ANIME, tmp_path)


def test_tfds_that_is_not_there_says_where_it_was_looked_for_and_how_to_prepare_it(tmp_path, monkeypatch):
    message = refusal(CIFAR10, tmp_path)
    assert f"there is no {tmp_path}/cifar10/3.0.2. Download and prepare it once by: python -c" in message
    code = re.search(r'python -c "(.*)"; or', message)[1]
    assert f"tfds.builder('cifar10', data_dir='{tmp_path}').download_and_prepare()" in code
    asked = []
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", lambda builder: asked.append(builder.name))
    exec(code, {})
    assert asked == ["cifar10"]  # the hint is valid Python
    assert "There is no folder" in refusal(CIFAR10, tmp_path / "nowhere")
    assert "no data set 'cifarr10'" in refusal(CIFAR10, tmp_path, name="cifarr10")
    assert "(BuilderConfig nope not found" in refusal(CIFAR10, tmp_path, name="cycle_gan/nope")
    assert "only: 3.0.1)" in refusal(CIFAR10, tmp_path, name="mnist:1.0.0")


def test_tfds_damaged_files_are_one_sentence(tmp_path):
    for damage in ("truncated", "changed", "removed"):
        prepare_labeled("cifar10", tmp_path / damage, {"train": 9})
        (file,) = (tmp_path / damage).rglob("*train.tfrecord*")
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data if damage == "changed" else data[:-9])
        if damage == "removed":
            file.unlink()
        assert "The files of split 'train' in" in refusal(CIFAR10, tmp_path / damage), damage


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"{}", b"\xff\xfe", None], ids=repr)
def test_tfds_damaged_description_is_one_sentence(tmp_path, content):
    prepare_labeled("cifar10", tmp_path, {"train": 3})
    (file,) = tmp_path.rglob("dataset_info.json")
    file.unlink()
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    message = refusal(CIFAR10, tmp_path)
    assert f"{file}, which describes the data set, cannot be read (" in message
    assert f"Remove {file.parent}, and prepare the data set again." in message


@pytest.mark.parametrize("kind", ["empty", "folder"])
def test_tfds_without_records_is_one_sentence(tmp_path, kind):
    prepare_labeled("cifar10", tmp_path, {"train": 9})
    (file,) = tmp_path.rglob("*train.tfrecord*")
    file.write_bytes(b"")
    if kind == "folder":
        file.unlink()
        file.mkdir()
    message = refusal(CIFAR10, tmp_path)
    assert "The files of split 'train' in" in message
    assert "{{" not in message


def test_tfds_of_another_file_format_is_one_sentence(tmp_path):
    prepare("cifar10", tmp_path, {"train": [{"image": encode(random_image(0, 32, 32))}]}, "array_record")
    assert "another format than TFRecord" in refusal(CIFAR10, tmp_path)
