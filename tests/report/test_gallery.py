"""Which grids a page holds, and how images become small enough for it."""

import base64

import numpy as np
import pytest
from PIL import Image

from gan_tf.report import embedding
from gan_tf.report.embedding import ImageEmbedder, UnusableImage
from gan_tf.report.gallery import choose_steps


@pytest.mark.parametrize("limit", [2, 5, 24])
def test_choose_steps_is_bounded_and_needs_one_new_step_at_most(limit):
    """A page that is refreshed with each grid embeds one image: all others were in the page before."""
    before: set[int] = set()
    for count in range(200):
        steps = [10 * number for number in range(count)]
        chosen = choose_steps(steps, limit)
        assert chosen == sorted(set(chosen))
        assert len(chosen) <= limit
        assert chosen[:1] == steps[:1]
        assert chosen[-1:] == steps[-1:]
        assert len(set(chosen) - before) <= 1
        before = set(chosen)


def test_choose_steps_few_are_all_chosen():
    assert choose_steps([5, 6, 7], 3) == [5, 6, 7]


def write_noise(path, size):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)).save(path)


def test_embed_small_file_is_kept_byte_for_byte(tmp_path):
    write_noise(tmp_path / "a.png", 16)
    image = ImageEmbedder().embed(tmp_path / "a.png", 10_000)
    assert image.exact
    assert base64.b64decode(image.uri.removeprefix("data:image/png;base64,")) == (tmp_path / "a.png").read_bytes()


@pytest.mark.parametrize("max_bytes", [500, 5_000, 100_000])
def test_embed_large_file_becomes_small_enough(tmp_path, max_bytes):
    write_noise(tmp_path / "a.png", 256)
    image = ImageEmbedder().embed(tmp_path / "a.png", max_bytes)
    assert not image.exact
    assert (image.width, image.height) == (256, 256)
    assert len(image.uri) <= len("data:image/webp;base64,") + 4 * (max_bytes + 2) / 3


def test_embed_again_encodes_changed_files_only(tmp_path, monkeypatch):
    write_noise(tmp_path / "a.png", 64)
    embedder, calls, original = ImageEmbedder(), [], embedding._embed
    monkeypatch.setattr(embedding, "_embed", lambda *words: calls.append(1) or original(*words))
    first = embedder.embed(tmp_path / "a.png", 5000)
    assert embedder.embed(tmp_path / "a.png", 5000) is first
    assert len(calls) == 1
    write_noise(tmp_path / "a.png", 65)
    assert embedder.embed(tmp_path / "a.png", 5000).width == 65
    assert len(calls) == 2


def test_embed_remembers_a_bounded_number(tmp_path):
    embedder = ImageEmbedder()
    for number in range(200):
        write_noise(tmp_path / f"{number}.png", 2)
        embedder.embed(tmp_path / f"{number}.png", 5000)
    assert len(embedder._known) == embedding._MAX_KNOWN


@pytest.mark.parametrize(("content", "reason"), [(None, "is missing"), (b"", "cannot be read"), (b"GIF89a", "cannot be read")])
def test_embed_unusable_file_says_why(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UnusableImage, match=reason):
        ImageEmbedder().embed(tmp_path / "a.png", 5000)


def test_embed_large_animation_is_refused(tmp_path):
    frames = [Image.fromarray(pixels) for pixels in np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=100)
    assert ImageEmbedder().embed(tmp_path / "a.webp", 100_000).animated
    with pytest.raises(UnusableImage, match="too large for this page"):
        ImageEmbedder().embed(tmp_path / "a.webp", 1000)
