"""Decoding against images whose pixels are known before they are written."""

import contextlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines import decode as module
from pipelines.decode import UnreadableImage, _from_16_bits, decode, decode_bytes, read_bytes, read_size

SIDE = 8
LOSSLESS = {"png": {}, "bmp": {}, "webp": {"lossless": True, "exact": True}}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def write_gray_png(path: Path, values: np.ndarray, transparent: int | None = None) -> Path:
    """Writes a 16-bit grayscale PNG as its specification says."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    key = b"" if transparent is None else chunk(b"tRNS", struct.pack(">H", transparent))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + key + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


def composite_on_white(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    opacity = alpha[..., None].astype(float) / 255
    return color * opacity + 255 * (1 - opacity)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_decode_of_an_image_of_the_right_size_leaves_it_unchanged(tmp_path, kind):
    pixels = noise(SIDE, SIDE, 3)
    path = save(tmp_path / f"x.{kind}", pixels, **LOSSLESS[kind])
    np.testing.assert_array_equal(decode(path, SIDE), pixels)


def test_decode_of_gray_and_one_bit_images_repeats_the_channel(tmp_path):
    gray = noise(SIDE, SIDE)
    black = np.where(gray > 127, 255, 0).astype(np.uint8)
    for name, pixels, mode in (("gray.png", gray, None), ("bit.png", black, "1"), ("gray.bmp", gray, None)):
        decoded = decode(save(tmp_path / name, pixels, mode), SIDE)
        np.testing.assert_array_equal(decoded, np.repeat(pixels[..., None], 3, axis=2))


def test_decode_to_one_channel_gives_luma(tmp_path):
    pixels = noise(SIDE, SIDE, 3)
    decoded = decode(save(tmp_path / "x.png", pixels), SIDE, channels=1)
    assert decoded.shape == (SIDE, SIDE, 1)
    np.testing.assert_allclose(decoded[..., 0], pixels @ [0.299, 0.587, 0.114], atol=0.6)  # ITU-R BT.601
    with pytest.raises(ValueError, match="channels"):
        decode(tmp_path / "x.png", SIDE, channels=4)


@pytest.mark.parametrize("kind", ["png", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_decode_composites_transparency_on_white(tmp_path, kind, channels):
    color, alpha = noise(SIDE, SIDE, channels), noise(SIDE, SIDE, seed=1)
    path = save(tmp_path / f"x.{kind}", np.dstack((color, alpha)), **LOSSLESS[kind])
    assert path.suffix != ".png" or Image.open(path).mode == ("LA" if channels == 1 else "RGBA")
    expected = np.broadcast_to(composite_on_white(color, alpha), (SIDE, SIDE, 3))
    np.testing.assert_allclose(decode(path, SIDE), expected, atol=1)


@pytest.mark.parametrize("form", ["opaque", "bytes", "index"])
def test_decode_of_palettes_with_and_without_transparency(tmp_path, form):
    palette, indices = noise(16, 3), noise(SIDE, SIDE) % 16
    alphas = {"opaque": np.full(16, 255), "bytes": noise(16, seed=1), "index": np.where(np.arange(16) == 5, 0, 255)}
    image = Image.fromarray(indices.astype(np.uint8), "L")
    image.putpalette(palette.tobytes())
    options = {"bytes": {"transparency": alphas["bytes"].astype(np.uint8).tobytes()}, "index": {"transparency": 5}}
    image.save(tmp_path / "x.png", **options.get(form, {}))
    assert Image.open(tmp_path / "x.png").mode == "P"
    expected = composite_on_white(palette[indices], alphas[form][indices])
    np.testing.assert_allclose(decode(tmp_path / "x.png", SIDE), expected, atol=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_decode_of_a_transparent_color_gives_white(tmp_path, channels):
    pixels = noise(SIDE, SIDE, channels)
    key = pixels[2, 3].copy()
    transparency = int(key[0]) if channels == 1 else tuple(key.tolist())
    path = save(tmp_path / "x.png", pixels.squeeze(), transparency=transparency)
    expected = np.where((pixels == key).all(axis=2, keepdims=True), 255, pixels)
    np.testing.assert_array_equal(decode(path, SIDE), np.broadcast_to(expected, (SIDE, SIDE, 3)))


def test_decode_of_cmyk_is_subtractive(tmp_path):
    ink = np.zeros((SIDE, SIDE, 4), np.uint8)
    ink[:] = (200, 40, 0, 60)
    Image.frombytes("CMYK", (SIDE, SIDE), ink.tobytes()).save(tmp_path / "x.jpg", quality=100)
    expected = (255 - np.array([200, 40, 0])) * (255 - 60) / 255
    np.testing.assert_allclose(decode(tmp_path / "x.jpg", SIDE), np.broadcast_to(expected, (SIDE, SIDE, 3)), atol=4)


def test_decode_of_sixteen_bits_scales_instead_of_clipping(tmp_path):
    values = np.linspace(0, 65535, SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16)
    decoded = decode(write_gray_png(tmp_path / "x.png", values), SIDE, channels=1)[..., 0]
    np.testing.assert_array_equal(decoded, np.rint(values / 257))
    keyed = decode(write_gray_png(tmp_path / "k.png", values, transparent=int(values[1, 1])), SIDE, channels=1)[..., 0]
    np.testing.assert_array_equal(keyed, np.where(values == values[1, 1], 255, np.rint(values / 257)))


@pytest.mark.parametrize(("mode", "kind"), [("I", "<i4"), ("I;16", "<u2"), ("I;16B", ">u2")])
def test_from_16_bits_of_every_pillow_mode_scales(mode, kind):
    values = np.linspace(0, 65535, SIDE * SIDE).reshape(SIDE, SIDE).astype(kind)
    image = Image.frombytes(mode, (SIDE, SIDE), values.tobytes())
    np.testing.assert_array_equal(_from_16_bits(image), np.rint(values / 257))


# How each orientation is stored as the EXIF specification says: where the first row and column are seen.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["png", "webp"])
def test_decode_undoes_the_exif_orientation(tmp_path, orientation, kind):
    upright = noise(SIDE, SIDE, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    path = save(tmp_path / f"x.{kind}", stored, exif=exif, **LOSSLESS[kind])
    np.testing.assert_array_equal(decode(path, SIDE), upright)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12broken", b"Exif\0\0no such thing"])
def test_decode_with_damaged_exif_gives_the_pixels(tmp_path, exif):
    pixels = noise(SIDE, SIDE, 3)
    plain, broken = save(tmp_path / "a.jpg", pixels), save(tmp_path / "b.jpg", pixels, exif=exif)
    np.testing.assert_array_equal(decode(broken, SIDE), decode(plain, SIDE))


@pytest.mark.parametrize("upright", [False, True])
def test_decode_of_a_long_image_keeps_its_center(tmp_path, upright):
    pixels = np.zeros((SIDE, 3 * SIDE, 3), np.uint8)
    for third in range(3):
        pixels[:, third * SIDE : (third + 1) * SIDE, third] = 255
    pixels = pixels.transpose(1, 0, 2) if upright else pixels
    decoded = decode(save(tmp_path / "x.png", np.ascontiguousarray(pixels)), SIDE)
    np.testing.assert_array_equal(decoded, np.broadcast_to([0, 255, 0], (SIDE, SIDE, 3)))


@pytest.mark.parametrize(("kind", "side"), [("png", 256), ("jpg", 256), ("jpg", 1024), ("png", 16)])
def test_decode_with_resizing_keeps_a_ramp(tmp_path, kind, side):
    size = 32
    ramp = np.rint(np.linspace(20, 220, side)).astype(np.uint8)
    pixels = np.broadcast_to(ramp[None, :, None], (side, side, 3))
    decoded = decode(save(tmp_path / f"x.{kind}", np.ascontiguousarray(pixels), quality=100), size)
    centers = (np.arange(size) + 0.5) * side / size - 0.5
    expected = np.broadcast_to((20 + 200 * centers / (side - 1))[None, 3:-3, None], (size, size - 6, 3))
    np.testing.assert_allclose(decoded[:, 3:-3], expected, atol=2)


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_decode_with_resizing_keeps_fine_stripes(tmp_path, kind):
    side, size, period = 128, 32, 4  # in pixels of the small image; 2 is the finest there is
    stripes = np.sin(2 * np.pi * (np.arange(side) + 0.5) / side * size / period)
    pixels = np.broadcast_to(np.rint(128 + 100 * stripes)[None, :, None], (side, side, 3)).astype(np.uint8)
    decoded = decode(save(tmp_path / f"x.{kind}", np.ascontiguousarray(pixels), quality=100), size)
    expected = 128 + 100 * np.sin(2 * np.pi * (np.arange(size) + 0.5) / period)
    expected = np.broadcast_to(expected[None, 3:-3, None], (size, size - 6, 3))
    np.testing.assert_allclose(decoded[:, 3:-3], expected, atol=15)


def test_decode_with_a_wrong_suffix_detects_the_format(tmp_path):
    pixels = noise(SIDE, SIDE, 3)
    path = save(tmp_path / "really-a-png.jpg", pixels, format="PNG")
    np.testing.assert_array_equal(decode(path, SIDE), pixels)


# The own size


@pytest.mark.parametrize("kind", [*LOSSLESS, "jpg"])
def test_decode_without_a_size_keeps_that_of_the_file(tmp_path, kind):
    pixels = noise(7, 12, 3)
    path = save(tmp_path / f"x.{kind}", pixels, **LOSSLESS.get(kind, {}))
    with Image.open(path) as image:
        np.testing.assert_array_equal(decode(path), np.asarray(image))
    assert read_size(read_bytes(path), path) == (7, 12)


@pytest.mark.parametrize(("orientation", "shape"), [(1, (6, 10)), (3, (6, 10)), (6, (10, 6)), (8, (10, 6))])
def test_decode_without_a_size_turns_the_image_and_its_size(tmp_path, orientation, shape):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "x.png", noise(6, 10, 3), exif=exif)
    assert decode(path).shape == (*shape, 3)
    assert read_size(read_bytes(path), path) == shape
    assert decode_bytes(read_bytes(path), path, SIDE).own_size == shape


def test_decode_at_a_reduced_scale_still_tells_the_own_size(tmp_path):
    path = save(tmp_path / "x.jpg", noise(SIDE * 9, SIDE * 12, 3))
    decoded = decode_bytes(read_bytes(path), path, SIDE)
    assert (decoded.pixels.shape, decoded.own_size) == ((SIDE, SIDE, 3), (SIDE * 9, SIDE * 12))


# Unreadable files


@pytest.mark.parametrize("kind", ["jpg", "png", "bmp", "webp"])
@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.5, 0.9])
def test_decode_of_a_truncated_file_is_an_error(tmp_path, kind, fraction):
    whole = save(tmp_path / f"x.{kind}", noise(64, 64, 3)).read_bytes()
    (tmp_path / f"x.{kind}").write_bytes(whole[: int(len(whole) * fraction)])
    with pytest.raises(UnreadableImage, match=f"x.{kind}: ."):
        decode(tmp_path / f"x.{kind}", SIDE)


def test_decode_of_other_files_with_an_image_suffix_is_an_error(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    huge = write_gray_png(tmp_path / "bomb.png", np.zeros((1, 1), np.uint16)).read_bytes()
    header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 16, 0, 0, 0, 0)
    huge = huge[:12] + header + struct.pack(">I", zlib.crc32(header)) + huge[33:]
    (tmp_path / "bomb.png").write_bytes(huge)
    for name in ("text.png", "folder.png", "bomb.png", "missing.png"):
        for read in (lambda path: read_size(read_bytes(path), path), lambda path: decode(path, SIDE)):
            with pytest.raises(UnreadableImage):
                read(tmp_path / name)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["jpg", "png", "bmp", "webp", "tif.png"]))
def test_decode_of_damaged_bytes_gives_an_image_or_unreadable_image(tmp_path, data, kind):
    path = tmp_path / f"x.{kind}"
    whole = bytearray(save(path, noise(16, 16, 3), format="GIF" if kind == "tif.png" else None).read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=8)):
        whole[position] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    with contextlib.suppress(UnreadableImage):
        assert decode(path, SIDE).shape == (SIDE, SIDE, 3)


# The fast path of plain JPEG files


def result(path: Path, channels: int = 3):
    """The pixels, or the reason why there are none."""
    try:
        return decode(path, SIDE, channels).tolist()
    except UnreadableImage as error:
        return error.reason


def exif_with(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:.*corrupt MPO", "ignore:Image size")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_decode_on_the_fast_path_equals_pillow(tmp_path, data):
    path = tmp_path / "x.jpg"
    mode = data.draw(st.sampled_from(["RGB", "RGB", "RGB", "L", "CMYK"]))
    as_rgb = mode == "RGB" and data.draw(st.booleans())
    options = {
        "quality": data.draw(st.integers(1, 100)),
        "subsampling": 0 if as_rgb else data.draw(st.integers(0, 2)),
        "progressive": data.draw(st.booleans()),
        "keep_rgb": as_rgb,
        "exif": data.draw(st.sampled_from([b"", b"", exif_with(1), exif_with(6)])),
        "xmp": data.draw(st.sampled_from([b"", b"", b'<x tiff:Orientation="3"/>'])),
    }
    shape = data.draw(st.sampled_from([(SIDE, SIDE, 3), (SIDE, SIDE, 3), (SIDE, SIDE + 1, 3), (8 * SIDE, 8 * SIDE, 3)]))
    whole = bytearray(save(path, noise(*shape, seed=data.draw(st.integers(0, 9))), mode, **options).read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=3)):
        whole[position] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.sampled_from([len(whole), len(whole), len(whole) - 2, len(whole) // 2]))])
    for channels in (1, 3):
        found = result(path, channels)
        with pytest.MonkeyPatch.context() as without:
            without.setattr(module, "_decode_plain_jpeg", lambda path, size: None)
            assert found == result(path, channels)


def test_decode_of_plain_jpeg_files_takes_the_fast_path(tmp_path, monkeypatch):
    plain = save(tmp_path / "plain.jpg", noise(SIDE, SIDE, 3))
    other = save(tmp_path / "rotated.jpg", noise(SIDE, SIDE, 3), exif=exif_with(6))
    monkeypatch.setattr(module, "_open", lambda data, path, use: pytest.fail("Pillow was called"))
    assert decode(plain, SIDE).dtype == np.uint8
    with pytest.raises(pytest.fail.Exception):
        decode(other, SIDE)
