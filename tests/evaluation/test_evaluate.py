"""Scoring folders and images, with a small extractor instead of Inception."""

import json

import numpy as np
import pytest
from helpers.cli import call
from PIL import Image

from gan_tf.evaluation import detectors, evaluate
from gan_tf.evaluation.evaluate import evaluate_images, find_real_images
from gan_tf.evaluation.features import extractor as features
from gan_tf.evaluation.image_files import read_image_dir
from gan_tf.evaluation.image_scores import RealImages
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.scores import ImageSet
from gan_tf.gan import workflow as gan_workflow
from gan_tf.tasks import ANIME
from pipelines.errors import UserError
from pipelines.image_folder import ImageFolder


def write_images(directory, images):
    directory.mkdir(parents=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(directory / f"{index:04}.png")
    return directory


@pytest.fixture
def small_network(monkeypatch, make_extractor):
    built = []

    def build(weights=None, protocol="pytorch-fid"):
        built.append((weights, protocol))
        return make_extractor(has_logits=len(built) % 2 == 0)

    monkeypatch.setattr(features, "fid_extractor", build)
    monkeypatch.setattr(features, "imagenet_extractor", build)
    monkeypatch.setattr(evaluate, "find_weights_file", lambda path: path)
    return built


@pytest.fixture
def folders(tmp_path, photos):
    return write_images(tmp_path / "generated", photos(30, 0)), write_images(tmp_path / "real", photos(40, 1))


def test_command_two_folders_prints_a_table_and_writes_json(folders, small_network, tmp_path, capsys):
    words = ["--images", folders[0], "--reference", folders[1], "--json", tmp_path / "s.json", "--protocol", "torch-fidelity"]
    assert call("evaluate", *words) == 0
    output = capsys.readouterr().out
    assert f"{folders[0]} against {folders[1]}, protocol test; --verbose" in output
    assert "protocol: " not in output
    assert output.count("no classifier") == 1
    values = json.loads((tmp_path / "s.json").read_text())
    assert values["fid"]["protocol"]["images"] == 30
    assert values["fid"]["protocol"]["generated"] == str(folders[0])
    assert values["fid"]["protocol"]["size"] == values["fid"]["protocol"]["reference_size"] == "8x8"
    assert small_network == [(None, "torch-fidelity")]


def test_command_task_compares_thresholds_and_names_the_reference_by_its_place(
    tmp_path, photos, small_network, monkeypatch, capsys
):
    data = tmp_path / "data"
    generated = write_images(tmp_path / "generated", photos(25, 0))
    write_images(data / "val", photos(40, 1))
    write_images(data / "faces", photos(50, 2))
    counts = detectors.FaceCounts((22,), "stub")
    monkeypatch.setattr(evaluate, "detect_anime_faces", lambda images, cascade: counts)
    assert call("evaluate", "--task", "anime", "--images", generated, "--data", data, "--verbose") == 0
    output = capsys.readouterr().out
    assert ">= 21 (MLDS HW3-1): passed" in output
    assert "reference data/val" in output
    assert "real images: generated data/faces" in output
    assert "25 resized and cropped from 8x8, 25 of them enlarged" in output
    assert "size 64x64" in output


def test_command_count_samples_from_the_folder(folders, small_network, capsys):
    words = ["--images", folders[0], "--reference", folders[1]]
    assert call("evaluate", *words, "--count", 20) == 0
    assert "20 vs 40" in capsys.readouterr().out
    assert call("evaluate", *words, "--count", 31) == 2
    assert "Lower --count" in capsys.readouterr().err


def test_command_another_network_has_other_score_names(folders, small_network, capsys):
    assert call("evaluate", "--images", folders[0], "--reference", folders[1], "--inception", "imagenet") == 0
    rows = capsys.readouterr().out.splitlines()
    assert any(row.startswith("imagenet_fid ") for row in rows)
    assert not any(row.startswith("fid ") for row in rows)


def test_evaluate_images_nothing_to_compare_with_is_refused(photos):
    with pytest.raises(UserError, match="--reference"):
        evaluate_images(ImageSet("g", photos(30, 0)), None, EvaluationOptions())


def truncate(folder):
    file = folder / "0003.png"
    file.write_bytes(file.read_bytes()[:60])


def write_text(folder):
    (folder / "0003.png").write_text("text")


@pytest.mark.parametrize("damage", [truncate, write_text])
@pytest.mark.parametrize("which", [0, 1])
def test_command_unreadable_file_is_left_out_and_named(folders, small_network, damage, which, tmp_path, capsys):
    damage(folders[which])
    words = ["--images", folders[0], "--reference", folders[1], "--json", tmp_path / "s.json"]
    assert call("evaluate", *words) == 0
    assert "1 unreadable file left out: 0003.png" in capsys.readouterr().out
    protocol = json.loads((tmp_path / "s.json").read_text())["fid"]["protocol"]
    assert (protocol["images"], protocol["reference_images"]) == ((29, 40), (30, 39))[which]


@pytest.mark.parametrize("which", [0, 1])
def test_command_odd_size_is_refused_by_name_before_the_network_is_built(folders, small_network, which, capsys):
    Image.fromarray(np.zeros((8, 10, 3), np.uint8)).save(folders[which] / "0003.png")
    words = ["--images", folders[0], "--reference", folders[1]]
    assert call("evaluate", *words) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "0003.png has 10x8" in line
    assert small_network == []
    assert call("evaluate", *words, "--image-size", 8) == 0


def as_16_bit_gray(photo):
    return Image.fromarray((photo[..., 0].astype(np.uint16)) * 257)


def as_transparent(photo):
    alpha = np.full((*photo.shape[:2], 1), 255, np.uint8)
    alpha[:4] = 0  # the colors below are hidden
    return Image.fromarray(np.concatenate([photo, alpha], axis=2))


def as_palette(photo):
    return Image.fromarray(photo).quantize(16)


@pytest.mark.parametrize("convert", [as_16_bit_gray, as_transparent, as_palette])
def test_command_images_and_what_training_makes_of_them_have_fid_0(tmp_path, photos, small_network, convert):
    folder = tmp_path / "files"
    folder.mkdir()
    for index, photo in enumerate(photos(30, 0)):
        convert(photo).save(folder / f"{index:04}.png")
    trained_on = write_images(tmp_path / "trained", ImageFolder(folder, 8).take(range(30)).numpy())
    assert call("evaluate", "--images", folder, "--reference", trained_on, "--json", tmp_path / "s.json") == 0
    values = json.loads((tmp_path / "s.json").read_text())
    assert values["fid"]["value"] == pytest.approx(0, abs=1e-9)
    assert "30 of the 30 generated images are copies of real ones" in values["fid"]["protocol"]["warning"]


def test_command_rotated_jpeg_files_and_what_training_makes_of_them_have_fid_0(tmp_path, photos, small_network):
    folder, exif = tmp_path / "files", Image.Exif()
    folder.mkdir()
    exif[0x0112] = 6
    for index, photo in enumerate(photos(30, 0)):
        Image.fromarray(photo).save(folder / f"{index:04}.jpg", exif=exif)
    trained_on = write_images(tmp_path / "trained", ImageFolder(folder, 8).take(range(30)).numpy())
    assert call("evaluate", "--images", folder, "--reference", trained_on, "--json", tmp_path / "s.json") == 0
    assert json.loads((tmp_path / "s.json").read_text())["fid"]["value"] == pytest.approx(0, abs=1e-9)


def test_command_other_sizes_are_warned_of_in_free_folders_and_fitted_for_a_task(tmp_path, photos, small_network, capsys):
    small = write_images(tmp_path / "small", photos(30, 0))
    large = write_images(tmp_path / "large", np.kron(photos(30, 0), np.ones((1, 2, 2, 1), np.uint8)))
    json_file = tmp_path / "s.json"
    assert call("evaluate", "--images", small, "--reference", large, "--json", json_file) == 0
    protocol = json.loads(json_file.read_text())["fid"]["protocol"]
    assert (protocol["size"], protocol["reference_size"]) == ("8x8", "16x16")
    assert "warning: generated images have 8x8 pixels, real ones 16x16" in capsys.readouterr().out
    words = ["--images", small, "--reference", large, "--json", json_file]
    for more, size in ((["--image-size", 8], "8x8"), (["--task", "anime"], "64x64")):
        assert call("evaluate", *words, *more) == 0
        protocol = json.loads(json_file.read_text())["fid"]["protocol"]
        assert protocol["size"] == protocol["reference_size"] == size
        assert "pixels, real ones" not in capsys.readouterr().out


def test_command_few_images_give_the_scores_that_are_possible(tmp_path, photos, small_network, capsys):
    """Twelve against eight: halves of eight are too few for a baseline of precision and recall."""
    generated, real = write_images(tmp_path / "g", photos(12, 0)), write_images(tmp_path / "r", photos(8, 1))
    assert call("evaluate", "--images", generated, "--reference", real, "--json", tmp_path / "s.json") == 0
    values = json.loads((tmp_path / "s.json").read_text())
    assert {"fid", "kid", "precision", "recall"} <= values.keys()
    assert "baseline" not in values["precision"]
    assert values["fid"]["baseline"]["protocol"]["images"] == 4
    output = capsys.readouterr().out
    assert "left out: the baseline of precision, the baseline of recall" in output
    for file in sorted(real.iterdir())[5:]:
        file.unlink()
    assert call("evaluate", "--images", generated, "--reference", real) == 0
    assert "left out: precision, recall, density, coverage, since 5 images are too few" in capsys.readouterr().out


def test_command_a_detector_that_was_not_requested_refuses_nothing(tmp_path, photos, small_network, capsys):
    data = tmp_path / "data"
    write_images(data / "val", photos(40, 1))
    generated = write_images(tmp_path / "generated", photos(10, 0))
    words = ["--task", "anime", "--images", generated, "--data", data / "val", "--reference", data / "val"]
    assert call("evaluate", *words) == 0
    output = capsys.readouterr().out
    assert "left out: anime faces, since 10 images are too few" in output
    assert "fid " in output
    assert call("evaluate", *words, "--detector", "anime") == 2


def test_command_a_network_that_was_not_requested_refuses_nothing(tmp_path, photos, monkeypatch, capsys):
    """Without the FID network's weights a task's detector still counts, and one line says what to do."""
    write_images(tmp_path / "data/faces", photos(3, 1))
    write_images(tmp_path / "data/val", photos(3, 1))
    generated = write_images(tmp_path / "generated", photos(25, 0))
    monkeypatch.setattr(evaluate, "detect_anime_faces", lambda images, cascade: detectors.FaceCounts((22,), "stub"))
    words = ["--task", "anime", "--images", generated]
    assert call("evaluate", *words, "--data", tmp_path / "data") == 0
    output = capsys.readouterr().out
    assert "left out: FID, KID, precision and recall, since there are no weights of the FID network" in output
    assert "anime_faces " in output
    assert call("evaluate", *words, "--reference", tmp_path / "data/val") == 2


def test_command_one_image_file_counts_the_faces_of_a_grid(tmp_path, photos, monkeypatch, capsys):
    grid = write_images(tmp_path / "grids", np.tile(photos(1, 0), (1, 40, 40, 1))) / "0000.png"
    shapes = []

    def count(images, cascade):
        shapes.extend(image.shape for image in images)
        return detectors.FaceCounts((24,), "stub")

    monkeypatch.setattr(evaluate, "count_anime_faces", count)
    assert call("evaluate", "--task", "anime", "--images", grid) == 0
    assert shapes == [(320, 320, 3)]
    assert ">= 21 (MLDS HW3-1): passed" in capsys.readouterr().out
    assert call("evaluate", "--images", grid) == 2
    assert "is a file, not a folder" in capsys.readouterr().err
    assert call("evaluate", "--task", "anime", "--images", grid, "--reference", grid.parent) == 2
    assert "--reference does not apply to one image" in capsys.readouterr().err


def test_command_one_image_file_counts_faces_of_people_in_its_tiles(tmp_path, monkeypatch, capsys):
    """Tile n has the gray level n, by which the stub of the detector knows it: all but tiles 3 and 7 have one face."""
    levels = np.arange(25, dtype=np.uint8).reshape(5, 5)
    grid = write_images(tmp_path / "grids", [np.kron(levels, np.ones((64, 64), np.uint8))[..., None].repeat(3, 2)]) / "0000.png"

    def detect(images):
        assert images.shape[1:] == (64, 64, 3)
        return detectors.FaceCounts(tuple({3: 0, 7: 2}.get(int(image.max()), 1) for image in images), "stub")

    monkeypatch.setattr(evaluate, "detect_faces", detect)
    for words in (["--task", "face"], ["--detector", "face"], ["--task", "anime", "--detector", "face"]):
        assert call("evaluate", *words, "--images", grid, "--json", tmp_path / "s.json") == 0
        score = json.loads((tmp_path / "s.json").read_text())["one_face"]
        assert (score["value"], score["protocol"]["images"], score["protocol"]["size"]) == (92, 25, "64x64")
    capsys.readouterr()
    assert call("evaluate", "--task", "face", "--images", grid) == 0
    assert ">= 90 (DLCV HW2 strong): passed" in capsys.readouterr().out


def test_command_one_image_file_that_is_no_grid_of_tiles_is_refused(tmp_path, monkeypatch, capsys):
    grid = write_images(tmp_path / "grids", [np.zeros((96, 160, 3), np.uint8)]) / "0000.png"
    monkeypatch.setattr(evaluate, "detect_faces", lambda images: detectors.FaceCounts((1,) * len(images), "stub"))
    assert call("evaluate", "--task", "face", "--images", grid) == 2
    assert "0000.png has 160x96 pixels, which are no grid of 64x64 tiles" in capsys.readouterr().err
    assert call("evaluate", "--detector", "face", "--images", grid, "--image-size", 32) == 0
    assert "15" in capsys.readouterr().out
    assert call("evaluate", "--detector", "face", "--images", grid, "--count", 3) == 2
    assert "--count does not apply to one image" in capsys.readouterr().err


def test_command_one_image_or_none_is_refused(folders, photos, small_network, tmp_path, capsys):
    one = write_images(tmp_path / "one", photos(1, 0))
    assert call("evaluate", "--images", one, "--reference", folders[1]) == 2
    assert "No score can be computed: fid, kid" in capsys.readouterr().err
    (tmp_path / "none").mkdir()
    assert call("evaluate", "--images", tmp_path / "none", "--reference", folders[1]) == 2
    assert "none" in capsys.readouterr().err


REFUSED = [
    (["--head", "cifar10", "--cifar", "nowhere"], "no CIFAR-10 at 'nowhere'"),
    (["--cifar", "nowhere"], "--cifar applies to --head only"),
    (["--detector", "anime", "--cascade", "nowhere"], "no anime face cascade at 'nowhere'"),
    (["--inception-weights", "nowhere"], "no weights of the FID network at 'nowhere'"),
    (["--image-size", 32], "--image-size 32 does not apply to the images of task anime, which have 64x64 pixels"),
    (["--classifier", "digits"], "--classifier applies to --images only"),
    (["--json", "pyproject.json"], "exists already and holds no scores"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_command_impossible_request_is_refused_before_images_are_generated(
    tmp_path, photos, words, message, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.json").write_text('{"name": 1}')
    monkeypatch.setattr(gan_workflow, "generate_images", lambda *args: pytest.fail("images were generated"))
    write_images(tmp_path / "data/faces", photos(3, 1))
    write_images(tmp_path / "data/val", photos(3, 1))
    assert call("evaluate", "--task", "anime", "--data", tmp_path / "data", *words) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "pyproject.json").read_text() == '{"name": 1}'


def test_command_json_file_of_scores_is_replaced(folders, small_network, tmp_path):
    words = ["--images", folders[0], "--reference", folders[1], "--json", tmp_path / "s.json"]
    for _ in range(2):
        assert call("evaluate", *words) == 0


def test_command_classifier_sees_images_as_infer_does(tmp_path, photos, capsys):
    """Larger images and such of several sizes are brought to the classifier's size by the one decoder."""
    digits = tmp_path / "digits"
    digits.mkdir()
    for index, (height, width) in enumerate([(28, 28), (56, 80), (90, 90)]):
        Image.fromarray(np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)).save(
            digits / f"{index}_.png"
        )
    assert call("infer", "--task", "digits", digits, tmp_path / "out.csv") == 0
    rows = [line.split(",") for line in (tmp_path / "out.csv").read_text().splitlines()[1:]]
    accuracy = 100 * np.mean([name[0] == label for name, label in rows])
    assert call("evaluate", "--images", digits, "--classifier", "digits", "--json", tmp_path / "s.json") == 0
    assert json.loads((tmp_path / "s.json").read_text())["class_conditional_accuracy"]["value"] == pytest.approx(accuracy)


def test_evaluate_images_anime_detector_counts_the_images_of_whole_grids(photos, monkeypatch):
    monkeypatch.setattr(evaluate, "detect_anime_faces", lambda images, cascade: detectors.FaceCounts((22,), "stub"))
    scores = evaluate_images(ImageSet("g", photos(49, 0)), None, EvaluationOptions(detector="anime"))
    assert scores["anime_faces"].protocol["images"] == 25


def test_command_detector_without_its_cascade_is_refused(folders, capsys):
    assert call("evaluate", "--images", folders[0], "--detector", "anime") == 2
    assert "--cascade" in capsys.readouterr().err


def test_evaluate_images_detector_has_real_images_as_the_baseline(photos, monkeypatch, small_network):
    counts = {30: detectors.FaceCounts((1,) * 27 + (0,) * 3, "stub")}
    monkeypatch.setattr(evaluate, "detect_faces", lambda images: counts[len(images)])
    real = RealImages(ImageSet("real", photos(40, 1)))
    scores = evaluate_images(ImageSet("g", photos(30, 0)), real, EvaluationOptions(detector="face"))
    assert (scores["one_face"].value, scores["one_face"].baseline.value) == (90.0, 90.0)


def find_anime_images(data, count=None):
    return find_real_images(ANIME, data, EvaluationOptions(), count=count)


def test_find_real_images_without_a_reference_folder_says_so(tmp_path, photos, capsys):
    write_images(tmp_path / "faces", photos(3, 0))
    assert find_anime_images(tmp_path) is None
    assert "has no validation images, such as a folder val/ in it" in capsys.readouterr().out
    assert find_anime_images(None) is None
    assert "no real images to compare with" in capsys.readouterr().out


def test_find_real_images_count_limits_the_training_sample(tmp_path, photos):
    write_images(tmp_path / "faces", photos(9, 0))
    write_images(tmp_path / "val", photos(5, 1))
    real = find_anime_images(tmp_path, count=4)
    assert (len(real.reference), len(real.second_sample)) == (5, 4)
    assert real.second_sample.split == "4 sampled from 9"
    assert real.reference.name == f"{tmp_path.name}/val"


def test_find_real_images_are_those_that_training_holds_out(tmp_path, photos):
    """Images beside val/ are trained on, so a sample of them is the baseline; those in val/ are the reference."""
    write_images(tmp_path / "data", photos(9, 0))
    write_images(tmp_path / "data/val", photos(5, 1))
    real = find_anime_images(tmp_path / "data")
    assert (len(real.reference), len(real.second_sample)) == (5, 9)
    trained_on = ANIME.data.open(tmp_path / "data", "train", 0)["real"]
    np.testing.assert_array_equal(real.second_sample.images[:], trained_on.take(range(9)))


def test_read_image_dir_reads_the_pixels_in_the_order_of_names(tmp_path, photos):
    images = photos(5, 0)
    read = read_image_dir(write_images(tmp_path / "images", images))
    np.testing.assert_array_equal(read.images[:], images)
    np.testing.assert_array_equal(np.stack(list(read.images)), images)
    np.testing.assert_array_equal(read.images[np.array([3, 1])], images[[3, 1]])
    assert (read.images.shape, len(read), read.size) == (images.shape, 5, "8x8")
    assert [file.name for file in read.files] == [f"{i:04}.png" for i in range(5)]
