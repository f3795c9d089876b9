"""The FID network against Keras's own, the resizes against NumPy, and both packages where they are installed."""

import numpy as np
import pytest

from gan_tf.evaluation.features import extractor as module
from gan_tf.evaluation.features.extractor import (
    check_images,
    extract,
    fid_extractor,
    imagenet_extractor,
    prepare,
)
from gan_tf.evaluation.features.inception_weights import Convolution, from_tensors, kernel_shapes, load_weights, to_tensors
from pipelines.errors import UserError


def random_images(count, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def weights():
    """Weights of the network's shapes that keep the activations in range, with a classifier."""
    random = np.random.default_rng(0)
    tensors = {}
    for name, (height, width, inputs, outputs) in kernel_shapes().items():
        scale = np.sqrt(2 / (height * width * inputs))
        tensors[f"{name}.conv.weight"] = random.normal(0, scale, (outputs, inputs, height, width)).astype(np.float32)
        for part, (low, high) in {"bias": (-0.2, 0.3), "running_mean": (-0.1, 0.1), "running_var": (0.8, 1.3)}.items():
            tensors[f"{name}.bn.{part}"] = random.uniform(low, high, outputs).astype(np.float32)
    tensors["fc.weight"] = random.normal(size=(1008, 2048)).astype(np.float32)
    tensors["fc.bias"] = np.zeros(1008, np.float32)
    return from_tensors(tensors, "random")


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    """Calls of four images, so that the large network is fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCH", 4)
        yield


@pytest.fixture(scope="module")
def network(weights):
    return fid_extractor(weights, "pytorch-fid")


def test_fid_extractor_equals_keras_except_for_the_last_pool(weights, network):
    """Features 0 to 1855 are Keras's; the last 192 are its branch after max pooling instead of average pooling."""
    import keras
    import tensorflow as tf

    theirs = keras.applications.InceptionV3(weights=None, include_top=False, pooling="avg")
    kernels = [layer for layer in theirs.layers if isinstance(layer, keras.layers.Conv2D)]
    norms = [layer for layer in theirs.layers if isinstance(layer, keras.layers.BatchNormalization)]

    def number(layer):
        return int((layer.name.rsplit("_", 1)[1:] or ["0"])[0]) if layer.name[-1].isdigit() and "_" in layer.name else -1

    by_creation = [sorted(group, key=number) for group in (kernels, norms)]
    for kernel, norm, layer in zip(*by_creation, weights.convolutions.values(), strict=True):
        kernel.set_weights([layer.kernel])
        norm.set_weights([layer.beta, layer.mean, layer.variance])
    images = random_images(2, 40, 40)
    middle = keras.Model(theirs.input, [theirs.output, theirs.get_layer("mixed9").output])
    expected, mixed9 = middle(prepare(images, "pytorch-fid"), training=False)
    features, logits = network(images)
    np.testing.assert_allclose(features[:, :1856], expected[:, :1856], rtol=1e-3, atol=1e-4)
    kernel, bias = weights.convolutions["Mixed_7c.branch_pool"].folded()
    pooled = tf.nn.relu(tf.nn.max_pool2d(mixed9, 3, 1, "SAME") @ kernel[0, 0] + bias)
    np.testing.assert_allclose(features[:, 1856:], tf.reduce_mean(pooled, [1, 2]), rtol=1e-3, atol=1e-4)
    assert np.abs(features[:, 1856:] - expected[:, 1856:]).max() > 1e-2
    np.testing.assert_allclose(logits, features @ weights.classifier[0], rtol=1e-3, atol=1e-3)


def test_extract_does_not_depend_on_the_count(network):
    images = random_images(5, 32, 32)
    together, _ = extract(network, images)
    alone, _ = extract(network, images[:1])
    np.testing.assert_array_equal(alone, together[:1])
    moved, _ = extract(network, images[1:])
    np.testing.assert_allclose(moved, together[1:], rtol=1e-4, atol=1e-5)


def bilinear(image, half_pixel_centers):
    """Bilinear resize to 299x299 in float64, pixel by pixel as the two definitions have it."""

    def positions(size):
        at = np.arange(299) * size / 299
        at = np.clip((np.arange(299) + 0.5) * size / 299 - 0.5, 0, None) if half_pixel_centers else at
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, size - 1), at - low

    top, bottom, down = positions(image.shape[0])
    left, right, across = positions(image.shape[1])
    image = image.astype(np.float64)
    rows = image[top] * (1 - down)[:, None, None] + image[bottom] * down[:, None, None]
    return rows[:, left] * (1 - across)[:, None] + rows[:, right] * across[:, None]


@pytest.mark.parametrize("size", [(32, 32), (64, 48), (299, 299), (400, 333)])
def test_prepare_equals_the_two_definitions(size):
    images = random_images(2, *size)
    for image, ours in zip(images, prepare(images, "pytorch-fid").numpy(), strict=True):
        np.testing.assert_allclose(ours, bilinear(image, True) * 2 / 255 - 1, atol=1e-4)
    for image, ours in zip(images, prepare(images, "torch-fidelity").numpy(), strict=True):
        np.testing.assert_allclose(ours, (bilinear(image, False) - 128) / 128, atol=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (64, 48), (400, 333)])
def test_prepare_equals_the_packages(size):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    images = random_images(2, *size)
    channels_first = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    expected = 2 * torch.nn.functional.interpolate(channels_first / 255, (299, 299), mode="bilinear") - 1
    np.testing.assert_allclose(prepare(images, "pytorch-fid"), expected.permute(0, 2, 3, 1), atol=2e-5)
    resized = theirs.interpolate_bilinear_2d_like_tensorflow1x(channels_first, (299, 299), align_corners=False)
    np.testing.assert_allclose(prepare(images, "torch-fidelity"), (resized.permute(0, 2, 3, 1) - 128) / 128, atol=2e-6)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((2, 8, 8, 1), np.uint8),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
    ],
)
def test_check_images_other_arrays_are_refused(bad):
    with pytest.raises(UserError, match="uint8"):
        check_images(bad)


@pytest.mark.parametrize("count", [1, 256, 257, 600])
def test_extract_reads_slices_in_order(make_extractor, photos, count):
    """Something that has only a length and slices, as images of a folder have, gives the features of the array."""

    class Sliced:
        def __init__(self, images):
            self.images = images

        def __len__(self):
            return len(self.images)

        def __getitem__(self, rows):
            assert rows.stop - rows.start <= 256
            return self.images[rows]

    images = photos(count, 0)
    np.testing.assert_array_equal(extract(make_extractor(), Sliced(images))[0], make_extractor()(images)[0])


def test_extract_features_that_are_not_finite_are_refused(make_extractor, photos):
    class Broken(make_extractor):
        def __call__(self, images):
            features, logits = super().__call__(images)
            features[0, 0] = np.nan
            return features, logits

    with pytest.raises(UserError, match="finite"):
        extract(Broken(), photos(5, 0))
    with pytest.raises(UserError, match="There are no images"):
        extract(make_extractor(), photos(5, 0)[:0])


def test_fid_extractor_unknown_protocol_is_refused_and_other_weights_warn(weights, network):
    with pytest.raises(UserError, match="pytorch-fid, torch-fidelity"):
        fid_extractor(weights, "clean-fid")
    assert "not the original" in network.warning


def test_imagenet_extractor_missing_weights_are_refused(tmp_path):
    with pytest.raises(UserError, match="--inception fid"):
        imagenet_extractor(tmp_path / "none.weights.h5")


@pytest.mark.slow
def test_imagenet_extractor_has_another_name(tmp_path):
    import keras

    keras.applications.InceptionV3(weights=None).save_weights(tmp_path / "random.weights.h5")
    network = imagenet_extractor(tmp_path / "random.weights.h5")
    features, logits = network(random_images(2, 16, 16))
    assert (features.shape, logits.shape) == ((2, 2048), (2, 1000))
    assert network.name == "inception-v3-imagenet-keras"
    assert "not the literature's" in network.warning


@pytest.fixture
def original(tmp_path):
    """The 2015 weights from the cache folder as the checkpoint that both packages read."""
    torch = pytest.importorskip("torch")
    try:
        weights = load_weights()
    except UserError as error:
        pytest.skip(str(error))
    assert weights.is_original
    state = {name: torch.from_numpy(values.copy()) for name, values in to_tensors(weights).items()}
    state |= {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save(state, tmp_path / "inception.pth")
    return tmp_path / "inception.pth"


@pytest.mark.slow
@pytest.mark.parametrize("size", [(32, 32), (64, 48)])
def test_fid_extractor_equals_torch_fidelity(original, size):
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    theirs = package.FeatureExtractorInceptionV3("i", ["2048"], feature_extractor_weights_path=str(original))
    images = random_images(40, *size)
    expected = theirs(torch.from_numpy(images).permute(0, 3, 1, 2))[0].numpy()
    features, _ = fid_extractor(original, "torch-fidelity")(images)
    np.testing.assert_allclose(features, expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(32, 32), (64, 48)])
def test_fid_extractor_equals_pytorch_fid(original, size, monkeypatch):
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("pytorch_fid.inception")
    monkeypatch.setattr(package, "load_state_dict_from_url", lambda *_, **__: torch.load(original))
    theirs = package.InceptionV3().eval()
    images = random_images(40, *size)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)[0][:, :, 0, 0].numpy()
    features, _ = fid_extractor(original, "pytorch-fid")(images)
    np.testing.assert_allclose(features, expected, atol=1e-4)


def test_folded_kernels_keep_their_type():
    ones = np.ones(4, np.float32)
    kernel, bias = Convolution(np.ones((1, 1, 2, 4), np.float32), ones, ones, ones, ones).folded()
    assert kernel.dtype == bias.dtype == np.float32
