"""Files among images that are none: each is left out and said, and none waits, hides the others or refuses the folder."""

import os
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.decode import UnreadableImage, read_bytes
from pipelines.errors import UserError
from pipelines.formats.voc import _list_annotations
from pipelines.image_folder import ImageFolder
from pipelines.image_listing import list_images


def write_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    return path


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere.png")


def make_link_below_a_file(path: Path) -> None:
    path.symlink_to("a.png/b.png")


def make_link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


MAKERS = [make_pipe, make_socket, make_loop, make_dangling_link, make_link_below_a_file, make_link_to_a_device]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__[5:])
def test_list_images_with_an_odd_file_leaves_it_out_and_says_so(tmp_path, make, monkeypatch):
    image = write_image(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "odd.png")
    with pytest.warns(UserWarning, match=r"1 that cannot be opened: odd\.png \("):
        assert list_images(tmp_path) == [image]
    with pytest.warns(UserWarning, match="left out in"):
        assert len(ImageFolder(tmp_path, 4)) == 1
    image.unlink()
    with pytest.raises(UserError, match=r"No images can be read in .*; odd\.png: "):
        list_images(tmp_path)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__[5:])
def test_list_images_with_an_odd_folder_or_file_of_another_kind_reads_the_rest(tmp_path, make, monkeypatch):
    image = write_image(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "odd")
    with pytest.warns(UserWarning, match="left out in"):
        assert list_images(tmp_path) == [image]


def test_list_images_names_the_kinds_that_are_not_read_but_no_companions(tmp_path):
    image = write_image(tmp_path / "a.png")
    for name in ("b.gif", "c.GIF", "d.tif", "e.jfif", "f", "labels.csv", "notes.txt", "g.xml", ".hidden.gif"):
        (tmp_path / name).touch()
    with pytest.warns(
        UserWarning, match=r"5 files of kinds that are not read \(2 \.gif, 1 without suffix, 1 \.jfif, 1 \.tif"
    ) as found:
        assert list_images(tmp_path) == [image]
    assert len(found) == 1


def test_list_images_with_a_name_that_is_no_utf_8_can_be_printed(tmp_path):
    image = write_image(tmp_path / "a.png")
    os.mkfifo(os.fsencode(tmp_path) + b"/\xff.png")
    with pytest.warns(UserWarning, match=r"1 that cannot be opened: \\xff\.png") as found:
        assert list_images(tmp_path) == [image]
    assert r"\xff.png" in str(found[0].message).encode().decode()  # UTF-8, as most terminals and files want it


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_list_images_with_a_folder_without_permission_reads_the_rest(tmp_path):
    image = write_image(tmp_path / "a.png")
    write_image(tmp_path / "closed/b.png").parent.chmod(0)
    try:
        with pytest.warns(UserWarning, match=r"closed/ \(Permission denied\)"):
            assert list_images(tmp_path) == [image]
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_read_bytes_of_a_pipe_or_device_does_not_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero"), tmp_path):
        errors: list[Exception] = []

        def read(path=path, errors=errors):
            try:
                read_bytes(path)
            except UnreadableImage as error:
                errors.append(error)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        thread.join(10)
        assert len(errors) == 1, path


def test_list_annotations_leaves_pipes_out(tmp_path):
    (tmp_path / "a.xml").touch()
    os.mkfifo(tmp_path / "b.xml")
    (tmp_path / "c.xml").symlink_to("nowhere")
    assert [path.name for path in _list_annotations(tmp_path)] == ["a.xml", "c.xml"]
