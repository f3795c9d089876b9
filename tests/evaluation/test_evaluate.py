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
from gan_tf.tasks import ANIME
from pipelines.errors import UserError


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
    return built


@pytest.fixture
def folders(tmp_path, photos):
    return write_images(tmp_path / "generated", photos(30, 0)), write_images(tmp_path / "real", photos(40, 1))


def test_command_two_folders_prints_a_table_and_writes_json(folders, small_network, tmp_path, capsys):
    words = ["--images", folders[0], "--reference", folders[1], "--json", tmp_path / "s.json", "--protocol", "torch-fidelity"]
    assert call("evaluate", *words) == 0
    output = capsys.readouterr().out
    assert "protocol: extractor small" in output
    assert output.count("no classifier") == 1
    values = json.loads((tmp_path / "s.json").read_text())
    assert values["fid"]["protocol"]["images"] == 30
    assert values["fid"]["protocol"]["generated"] == str(folders[0])
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
    monkeypatch.setattr(evaluate, "find_cascade", lambda: None)
    assert call("evaluate", "--task", "anime", "--images", generated, "--data", data) == 0
    output = capsys.readouterr().out
    assert ">= 21 (MLDS HW3-1): passed" in output
    assert "reference data/val" in output
    assert "real images: generated data/faces" in output


def test_evaluate_images_several_batches_are_gathered(photos, small_network):
    batches = iter([photos(20, 0), photos(20, 3)])
    real = RealImages(ImageSet("real", photos(40, 1)))
    scores = evaluate_images(ImageSet("shipped weights", batches), real, EvaluationOptions())
    assert scores["fid"].protocol["generated"] == "shipped weights"
    assert scores["fid"].protocol["images"] == 40


def test_command_count_samples_from_the_folder(folders, small_network, capsys):
    words = ["--images", folders[0], "--reference", folders[1]]
    assert call("evaluate", *words, "--count", 20) == 0
    assert "images 20," in capsys.readouterr().out
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


def change_size(folder):
    Image.fromarray(np.zeros((8, 10, 3), np.uint8)).save(folder / "0003.png")


def write_text(folder):
    (folder / "0003.png").write_text("text")


@pytest.mark.parametrize("damage", [truncate, change_size, write_text])
@pytest.mark.parametrize("which", [0, 1])
def test_command_bad_file_is_named_on_one_line(folders, small_network, damage, which, capsys):
    damage(folders[which])
    assert call("evaluate", "--images", folders[0], "--reference", folders[1]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "0003.png" in line


def test_command_one_image_or_none_is_refused(folders, photos, small_network, tmp_path, capsys):
    one = write_images(tmp_path / "one", photos(1, 0))
    assert call("evaluate", "--images", one, "--reference", folders[1]) == 2
    (tmp_path / "none").mkdir()
    assert call("evaluate", "--images", tmp_path / "none", "--reference", folders[1]) == 2
    assert "none" in capsys.readouterr().err


def test_command_detector_without_its_cascade_is_refused(folders, capsys):
    assert call("evaluate", "--images", folders[0], "--detector", "anime") == 2
    assert "--cascade" in capsys.readouterr().err


def test_evaluate_images_detector_has_real_images_as_the_baseline(photos, monkeypatch, small_network):
    counts = {30: detectors.FaceCounts((1,) * 27 + (0,) * 3, "stub")}
    monkeypatch.setattr(evaluate, "detect_faces", lambda images: counts[len(images)])
    real = RealImages(ImageSet("real", photos(40, 1)))
    scores = evaluate_images(ImageSet("g", photos(30, 0)), real, EvaluationOptions(detector="face"))
    assert (scores["one_face"].value, scores["one_face"].baseline.value) == (90.0, 90.0)


def test_find_real_images_without_a_reference_folder_says_so(tmp_path, photos, capsys):
    write_images(tmp_path / "faces", photos(3, 0))
    assert find_real_images(ANIME.data, tmp_path, EvaluationOptions()) is None
    assert "no folder of validation images" in capsys.readouterr().out
    assert find_real_images(ANIME.data, None, EvaluationOptions()) is None
    assert "add --data or --reference" in capsys.readouterr().out


def test_find_real_images_count_limits_the_training_sample(tmp_path, photos):
    write_images(tmp_path / "faces", photos(9, 0))
    write_images(tmp_path / "val", photos(5, 1))
    real = find_real_images(ANIME.data, tmp_path, EvaluationOptions(), count=4)
    assert (len(real.reference.files), len(real.second_sample.files)) == (5, 4)
    assert real.second_sample.split == "4 sampled from 9"
    assert real.reference.name == f"{tmp_path.name}/val"


def test_read_image_dir_reads_the_pixels_in_the_order_of_names(tmp_path, photos):
    images = photos(5, 0)
    read = read_image_dir(write_images(tmp_path / "images", images))
    np.testing.assert_array_equal(np.concatenate(list(read.batches)), images)
    assert [file.name for file in read.files] == [f"{i:04}.png" for i in range(5)]
