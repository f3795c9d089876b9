"""The reader against archives assembled by hand, against PyTorch where it is installed, and against malicious files."""

import pickle
import struct
import warnings
import zipfile

import numpy as np
import pytest

from gan_tf.evaluation.features.torch_checkpoint import read_tensors
from pipelines.errors import UserError


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def text(value):
    return f"V{value}\n".encode()


def numbers(*values):
    return b"(" + b"".join(f"I{value}\n".encode() for value in values) + b"t"


def tensor(key, count, shape, strides, offset=0, storage="FloatStorage"):
    """The pickle opcodes that PyTorch writes for a tensor."""
    identity = b"(" + text("storage") + name("torch", storage) + text(key) + text("cpu") + f"I{count}\n".encode() + b"tQ"
    hooks = b"I00\n" + name("collections", "OrderedDict") + b")R"
    arguments = b"(" + identity + f"I{offset}\n".encode() + numbers(*shape) + numbers(*strides) + hooks + b"t"
    return name("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def dictionary(**values):
    return b"(" + b"".join(text(key) + value for key, value in values.items()) + b"d"


def archive(path, content, storages, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("any/data.pkl", b"\x80\x02" + content + b".")
        for key, values in storages.items():
            file.writestr(f"any/data/{key}", values.tobytes())
    return path


VALUES = np.arange(12, dtype=np.float32)


def test_read_tensors_has_names_shapes_and_strides(tmp_path):
    content = dictionary(
        plain=tensor("0", 12, (3, 4), (4, 1)),
        turned=tensor("0", 12, (4, 3), (1, 4)),
        cut=tensor("0", 12, (2,), (1,), offset=10),
        inner=dictionary(whole=tensor("1", 2, (2,), (1,), storage="LongStorage"), count=b"I7\n"),
    )
    storages = {"0": VALUES, "1": np.array([3, -4], np.int64)}
    read = read_tensors(archive(tmp_path / "a.pt", content, storages))
    assert list(read) == ["plain", "turned", "cut", "inner.whole"]
    np.testing.assert_array_equal(read["plain"], VALUES.reshape(3, 4))
    np.testing.assert_array_equal(read["turned"], VALUES.reshape(3, 4).T)
    np.testing.assert_array_equal(read["cut"], [10, 11])
    np.testing.assert_array_equal(read["inner.whole"], [3, -4])


def test_read_tensors_torchscript_modules_become_dotted_names(tmp_path):
    state = dictionary(weight=tensor("0", 12, (12,), (1,)), training=b"I00\n")
    content = (
        name("__torch__.net", "Net") + b")\x81" + dictionary(layer=name("__torch__", "Layer") + b")\x81" + state + b"b") + b"b"
    )
    read = read_tensors(archive(tmp_path / "a.pt", content, {"0": VALUES}))
    assert list(read) == ["layer.weight"]


def test_read_tensors_older_layout_gives_the_same(tmp_path):
    path = tmp_path / "old.pth"
    system = b"\x80\x02" + dictionary(little_endian=b"I01\n") + b"."
    with open(path, "wb") as file:
        file.write(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + system)
        file.write(b"\x80\x02" + dictionary(a=tensor("77", 12, (3, 4), (4, 1))).replace(b"I12\ntQ", b"I12\nNtQ") + b".")
        file.write(pickle.dumps(["77"], 2) + struct.pack("<q", 12) + VALUES.tobytes())
    np.testing.assert_array_equal(read_tensors(path)["a"], VALUES.reshape(3, 4))


class Harm:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("layout", ["zip", "old"])
@pytest.mark.parametrize("function", [exec, eval, getattr, __import__, open, pickle.loads, np.load])
def test_read_tensors_executes_nothing(tmp_path, layout, function):
    witness = tmp_path / "witness"
    harm = pickle.dumps({"w": Harm(function, f"open({str(witness)!r}, 'w').close()")}, 2)
    path = tmp_path / "bad.pt"
    if layout == "zip":
        archive(path, harm[2:-1], {})
    else:
        path.write_bytes(harm)
    with pytest.raises(UserError, match="would execute"):
        read_tensors(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    "harm",
    [
        name("torch._utils", "_rebuild_tensor_v2") + b"(I1\nI2\n(I3\nt(I4\ntt" + b"R",  # no storage
        name("torch._utils", "_rebuild_tensor_v2.__globals__"),  # a way round the list
        name("torch.serialization", "load"),
        name("__torch__x", "Net"),
        name("collections", "Counter"),
        name("torch", "FloatStorage") + b"(I1\ntR",
        name("torch", "FloatStorage") + dictionary(a=b"I1\n") + b"b",
        b"(" + text("other") + b"tQ",
        b"I1\n",
    ],
)
def test_read_tensors_malformed_pickle_is_refused_on_one_line(tmp_path, harm):
    with pytest.raises(UserError) as caught:
        read_tensors(archive(tmp_path / "bad.pt", dictionary(w=harm), {}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "bad",
    [
        tensor("0", 12, (13,), (1,)),
        tensor("0", 12, (3, 4), (5, 1)),
        tensor("0", 12, (4,), (1,), offset=9),
        tensor("0", 12, (4,), (1,), offset=-4),
        tensor("0", 12, (2, 2), (-1, 1)),
        tensor("0", 12, (10**6, 10**6), (0, 0)),
        tensor("0", 12, (2,), (1, 1)),
        tensor("0", 99, (2,), (1,)),
        tensor("missing", 12, (2,), (1,)),
    ],
)
def test_read_tensors_tensor_beyond_its_storage_is_refused(tmp_path, bad):
    with pytest.raises(UserError, match="cannot be read as a TorchScript"):
        read_tensors(archive(tmp_path / "bad.pt", dictionary(w=bad), {"0": VALUES}))


def test_read_tensors_compressed_archive_is_refused(tmp_path):
    content = dictionary(w=tensor("0", 10**6, (10**6,), (1,)))
    path = archive(tmp_path / "bomb.pt", content, {"0": np.zeros(10**6, np.float32)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="compressed"):
        read_tensors(path)


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04cut", b"\x80\x02."])
def test_read_tensors_other_file_is_refused(tmp_path, content):
    path = tmp_path / "file.pt"
    path.write_bytes(content)
    with pytest.raises(UserError):
        read_tensors(path)


def test_read_tensors_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        read_tensors(tmp_path / "nowhere.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_read_tensors_equals_what_pytorch_saved(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    path = tmp_path / "layer.pth"
    torch.save(layer.state_dict(), path, _use_new_zipfile_serialization=zipped)
    read = read_tensors(path)
    assert set(read) == set(layer.state_dict())
    for key, values in layer.state_dict().items():
        np.testing.assert_array_equal(read[key], values.numpy())


def test_read_tensors_equals_a_torchscript_module(tmp_path):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 2)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(layer).save(str(tmp_path / "layer.pt"))
    read = read_tensors(tmp_path / "layer.pt")
    for key, values in layer.state_dict().items():
        np.testing.assert_array_equal(read[key], values.numpy())
