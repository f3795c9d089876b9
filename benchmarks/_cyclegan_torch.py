"""CycleGAN in PyTorch, written from the handout's Table 2: the peer of ``cyclegan.py``, and the reference of its tests."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import nn
from torch.nn.functional import l1_loss, mse_loss

from benchmarks._turns import first_line, serve, timing

NAMES = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")
LAMBDA_CYCLE, LAMBDA_IDENTITY = 10.0, 5.0
TRIALS = 2  # timed steps of each mode


class ResidualBlock(nn.Module):
    """Two convolutions of 3x3, reflected at the edges, beside the identity."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU()),
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


def build_generator(width: int, num_blocks: int, upsample: str = "deconv") -> nn.Sequential:
    """Builds the generator; the arguments are those of ``gan_tf.cyclegan.networks.build_generator``."""

    def up(inputs: int, outputs: int) -> nn.Module:
        if upsample == "resize":
            return nn.Sequential(nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3))
        return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)

    return nn.Sequential(
        *(nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU()),
        *(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.InstanceNorm2d(2 * width), nn.ReLU()),
        *(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1), nn.InstanceNorm2d(4 * width), nn.ReLU()),
        *(ResidualBlock(4 * width) for _ in range(num_blocks)),
        *(up(4 * width, 2 * width), nn.InstanceNorm2d(2 * width), nn.ReLU()),
        *(up(2 * width, width), nn.InstanceNorm2d(width), nn.ReLU()),
        *(nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7, bias=False), nn.Tanh()),
    )


def build_discriminator(width: int) -> nn.Sequential:
    """Builds the discriminator; ``width`` is the number of channels of the first layer."""
    layers = [nn.Conv2d(3, width, 4, stride=2, padding=1, bias=False), nn.LeakyReLU(0.2)]
    for inputs, outputs, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
        layers.append(nn.Conv2d(inputs * width, outputs * width, 4, stride=stride, padding=1))
        layers += [nn.InstanceNorm2d(outputs * width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, padding=1, bias=False))


def torch_layout(array: np.ndarray) -> np.ndarray:
    """Transposes a kernel of Keras to PyTorch's order of axes: [h, w, in, out] -> [out, in, h, w]."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def assign_weights(module: nn.Module, arrays: list[np.ndarray]) -> None:
    """Assigns the weights of a Keras network with the same layers in the same order.

    Raises:
        ValueError: there are more or fewer.
    """
    for parameter, array in zip(module.parameters(), arrays, strict=True):
        parameter.data = torch.from_numpy(np.ascontiguousarray(torch_layout(array)))


def to_torch(images: np.ndarray) -> torch.Tensor:
    """Returns images ``[batch, height, width, channels]`` as ``[batch, channels, height, width]``."""
    return torch.from_numpy(np.ascontiguousarray(np.asarray(images).transpose(0, 3, 1, 2)))


class Step:
    """One training step with Adam, without a pool of images.

    Args:
        start: "NAME/INDEX" of all weights in Keras's layout, and "a" and "b", images ``[batch, size, size, 3]``.
        config: "hidden_dim", "num_blocks" and "precision".
        joint: whether the passes of one network share a batch where they can.
        layout: "channels_last" or "contiguous".
        compiled: whether networks are compiled.
    """

    def __init__(self, start: dict, config: dict, joint: bool, layout: str, compiled: bool):
        sizes, width = (config["hidden_dim"], config["num_blocks"]), config["hidden_dim"]
        self.modules = {name: build_generator(*sizes) if "generator" in name else build_discriminator(width) for name in NAMES}
        memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        for name, module in self.modules.items():
            assign_weights(module, [start[key] for key in sorted(start) if key.startswith(name)])
            module.to(memory_format=memory_format)
        groups = [[p for name in names for p in self.modules[name].parameters()] for names in (NAMES[:2], NAMES[2:])]
        self.g_optimizer, self.d_optimizer = (torch.optim.Adam(group, 2e-4, (0.5, 0.999), fused=True) for group in groups)
        self.d_parameters, self.joint = groups[1], joint
        self.images = [to_torch(start[name]).contiguous(memory_format=memory_format) for name in ("a", "b")]
        self.autocast = torch.autocast("cpu", torch.bfloat16, enabled=config["precision"] == "bfloat16")
        self.networks = [torch.compile(module) if compiled else module for module in self.modules.values()]

    def __call__(self) -> dict[str, float]:
        """Does a step; returns the losses of all networks before it."""
        g_ab, g_ba, d_a, d_b = self.networks
        x, y = self.images
        for parameter in self.d_parameters:
            parameter.requires_grad_(False)
        with self.autocast:
            (fake_b, same_b), (fake_a, same_a) = self.pair(g_ab, x, y), self.pair(g_ba, y, x)
            logits_a, logits_b = d_a(fake_a).float(), d_b(fake_b).float()
            cycle = l1_loss(g_ba(fake_b).float(), x) + l1_loss(g_ab(fake_a).float(), y)
        g_loss = mse_loss(logits_a, torch.ones_like(logits_a)) + mse_loss(logits_b, torch.ones_like(logits_b))
        identity = l1_loss(same_a.float(), x) + l1_loss(same_b.float(), y)
        g_loss = g_loss + LAMBDA_CYCLE * cycle + LAMBDA_IDENTITY * identity
        self.g_optimizer.zero_grad()
        g_loss.backward()
        self.g_optimizer.step()
        for parameter in self.d_parameters:
            parameter.requires_grad_(True)
        d_loss = torch.zeros(())
        for network, real, fake in ((d_a, x, fake_a), (d_b, y, fake_b)):
            with self.autocast:
                real_logits, fake_logits = self.pair(network, real, fake.detach().float())
            real_logits, fake_logits = real_logits.float(), fake_logits.float()
            targets = torch.ones_like(real_logits), torch.zeros_like(fake_logits)
            d_loss = d_loss + 0.5 * (mse_loss(real_logits, targets[0]) + mse_loss(fake_logits, targets[1]))
        self.d_optimizer.zero_grad()
        d_loss.backward()
        self.d_optimizer.step()
        return {"g_loss": g_loss.item(), "d_loss": d_loss.item()}

    def pair(self, network: nn.Module, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Applies a network to two batches."""
        if not self.joint:
            return network(first), network(second)
        return torch.chunk(network(torch.cat([first, second])), 2)


class Peer:
    """The requests of the benchmark."""

    def build(self, config: dict, threads: int, start: str) -> dict:
        """Loads the common start and does the first step in the simplest mode."""
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)  # as TensorFlow does
        self.config, self.start = config, dict(np.load(start))
        step = Step(self.start, config, False, "contiguous", False)
        parameters = {name: sum(p.numel() for p in module.parameters()) for name, module in step.modules.items()}
        return {"losses": step(), "parameters": parameters, "version": f"PyTorch {torch.__version__}"}

    def choose(self, compiled: bool) -> dict:
        """Chooses the fastest of all modes."""
        tried, best = [], None
        modes = [(joint, layout, False) for joint in (False, True) for layout in ("contiguous", "channels_last")]
        for mode in [*modes, *([(True, "channels_last", True)] if compiled else [])]:
            words = f"{'joint' if mode[0] else 'separate'}, {mode[1]}, {'compiled' if mode[2] else 'eager'}"
            try:
                step = Step(self.start, self.config, *mode)
                step()
                seconds = min(timing(step)[0] for _ in range(TRIALS))
            except Exception as error:  # compiling needs a C++ compiler, and fails in many ways without one
                tried.append(f"{words}: failed ({first_line(error)})")
                continue
            tried.append(f"{words}: {seconds:.3f} s")
            if best is None or seconds < best[0]:
                best, self.step = (seconds, words), step
        assert best is not None
        return {"mode": best[1], "seconds": best[0], "tried": tried}

    def steps(self, count: int) -> dict:
        """Does steps."""
        start = time.perf_counter()
        for _ in range(count):
            self.step()
        return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    peer = Peer()
    serve({"build": peer.build, "choose": peer.choose, "steps": peer.steps})
