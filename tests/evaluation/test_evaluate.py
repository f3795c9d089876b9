"""What ``evaluate.py`` does, with a small extractor in the network's place."""

import argparse
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from gan_tf.evaluation.evaluate import add_arguments, run
from gan_tf.evaluation.features import extractor as features
from gan_tf.evaluation.scores import ImageSet, Line
from pipelines.errors import InputError


def parsed(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def folder_of(path, images):
    path.mkdir()
    for place, image in enumerate(images):
        Image.fromarray(image).save(path / f"{place:04}.png")
    return path


@pytest.fixture
def small_network(monkeypatch, make_extractor):
    made = []

    def build(weights=None, protocol="pytorch-fid"):
        made.append((weights, protocol))
        return make_extractor(has_logits=len(made) % 2 == 0)

    monkeypatch.setattr(features, "fid_extractor", build)
    monkeypatch.setattr(features, "imagenet_extractor", build)
    return made


@pytest.fixture
def folders(tmp_path, photos):
    return folder_of(tmp_path / "generated", photos(30, 0)), folder_of(tmp_path / "real", photos(40, 1))


def test_two_folders_give_a_table_and_json(folders, small_network, tmp_path, capsys):
    args = parsed(
        "--images", folders[0], "--reference", folders[1], "--json", tmp_path / "s.json", "--protocol", "torch-fidelity"
    )
    assert run(args, lines=[Line("fid", "<", 1e6, "H0")]) == 0
    out = capsys.readouterr().out
    assert "(H0): met" in out
    assert "protocol: extractor small" in out
    assert out.count("no classifier") == 1
    record = json.loads((tmp_path / "s.json").read_text())
    assert record["fid"]["protocol"]["images"] == 30
    assert record["fid"]["protocol"]["generated"] == str(folders[0])
    assert small_network == [(None, "torch-fidelity")]


def test_images_may_be_handed_over(folders, photos, small_network, capsys):
    parts = iter([photos(20, 0), photos(20, 3)])
    run(parsed(), generated=ImageSet("shipped weights", parts), reference=ImageSet("real", photos(40, 1)))
    assert "generated shipped weights, images 40" in capsys.readouterr().out


def test_a_count_draws_from_the_folder(folders, small_network, capsys):
    run(parsed("--images", folders[0], "--reference", folders[1], "--count", 20))
    assert "images 20," in capsys.readouterr().out
    with pytest.raises(InputError, match="lower --count"):
        run(parsed("--images", folders[0], "--reference", folders[1], "--count", 31))


def test_another_network_has_other_names(folders, small_network, capsys):
    run(parsed("--images", folders[0], "--reference", folders[1], "--inception", "imagenet"))
    rows = capsys.readouterr().out.splitlines()
    assert any(row.startswith("imagenet_fid ") for row in rows)
    assert not any(row.startswith("fid ") for row in rows)


def test_nothing_to_score_is_told(folders):
    with pytest.raises(InputError, match="--images"):
        run(parsed())
    with pytest.raises(InputError, match="--reference"):
        run(parsed("--images", folders[0]))


def truncated(folder, photos):
    file = folder / "0003.png"
    file.write_bytes(file.read_bytes()[:60])


def another_size(folder, photos):
    Image.fromarray(np.zeros((8, 10, 3), np.uint8)).save(folder / "0003.png")


def not_a_picture(folder, photos):
    (folder / "0003.png").write_text("text")


@pytest.mark.parametrize("damage", [truncated, another_size, not_a_picture])
@pytest.mark.parametrize("which", [0, 1])
def test_a_bad_file_is_named_in_one_line(folders, photos, small_network, damage, which):
    damage(folders[which], photos)
    with pytest.raises(InputError, match=r"0003\.png") as caught:
        run(parsed("--images", folders[0], "--reference", folders[1]))
    assert "\n" not in str(caught.value)


def test_one_image_and_no_images(folders, photos, small_network, tmp_path):
    one = folder_of(tmp_path / "one", photos(1, 0))
    with pytest.raises(InputError):
        run(parsed("--images", one, "--reference", folders[1]))
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="none"):
        run(parsed("--images", tmp_path / "none", "--reference", folders[1]))


def test_the_anime_judge_needs_its_cascade(folders):
    with pytest.raises(InputError, match="--cascade"):
        run(parsed("--images", folders[0], "--judge", "anime"))


def test_a_judge_scores_with_real_images_beside(folders, monkeypatch, capsys, small_network):
    from gan_tf.evaluation import detectors as judges

    found = {30: judges.FaceCounts((1,) * 27 + (0,) * 3, "stub"), 40: None}
    monkeypatch.setattr(judges, "judge_faces", lambda images: found[len(images)])
    line = Line("one_face", ">=", 85, "H1 simple")
    run(parsed("--images", folders[0], "--reference", folders[1], "--judge", "face"), lines=[line])
    row = next(row for row in capsys.readouterr().out.splitlines() if row.startswith("one_face"))
    assert row.split()[1:3] == ["90.0000", "90.0000"]
    assert ">= 85 (H1 simple): met" in row


def test_importing_it_is_quick():
    code = "import sys, gan_tf.evaluation.evaluate; sys.exit(not {'tensorflow', 'keras', 'numpy'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
