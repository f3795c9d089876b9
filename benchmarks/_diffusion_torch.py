"""The U-Net of ``gan_tf/diffusion/unet.py`` and a training step of it in PyTorch: the peer of ``diffusion.py``."""

import contextlib
import math
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks._turns import first_line, serve, timing

EVALUATED = 50  # images: twice a batch of 25, with and without labels
TRIALS = 3  # timed calls of each mode


class UNet(nn.Module):
    """The network, with our weights in the order of their creation: ``_diffusion_ours.creation_order``."""

    def __init__(self, config: dict, channels: int = 3):
        super().__init__()
        width, emb = config["hidden_dim"], 4 * config["hidden_dim"]
        self.convs, self.denses = nn.ModuleList(), nn.ModuleList()
        self.denses += [nn.Linear(128, emb), nn.Linear(emb, emb), nn.Linear(config["classes"] + 1, emb, bias=False)]
        self.classes, self.blocks = config["classes"], config["blocks"]
        self.emb = emb
        self.add_conv(4 * channels, width, 3)
        self.add_block(width, width)
        self.add_conv(4 * width, 2 * width, 1)
        for _ in range(self.blocks):
            self.add_block(2 * width, 2 * width)
        self.denses.append(nn.Linear(emb, 4 * width))
        self.add_conv(2 * width, 6 * width, 1, bias=False)
        self.add_conv(2 * width, 2 * width, 1)
        self.add_conv(2 * width, 4 * width, 1)
        self.add_block(3 * width, width)
        self.denses.append(nn.Linear(emb, 2 * width))
        self.add_conv(width, 4 * channels, 3)

    def add_conv(self, inputs: int, outputs: int, size: int, bias: bool = True) -> None:
        self.convs.append(nn.Conv2d(inputs, outputs, size, padding="same", bias=bias))

    def add_block(self, inputs: int, outputs: int) -> None:
        self.denses.append(nn.Linear(self.emb, 2 * inputs))
        self.add_conv(inputs, outputs, 3)
        self.add_conv(outputs, outputs, 3)
        if inputs != outputs:
            self.add_conv(inputs, outputs, 1)

    def load(self, arrays: list[np.ndarray]) -> None:
        """Takes our weights over; blocks of pixels are ordered otherwise here (see ``reorder``)."""
        remaining = iter(arrays)
        last = len(self.convs) - 1
        up = last - 4  # the convolution before blocks of channels become pixels at 7x7
        for i, conv in enumerate(self.convs):
            kernel = torch.from_numpy(next(remaining)).permute(3, 2, 0, 1)
            kernel = reorder(kernel, 1) if i in (0, 3) else kernel
            kernel = reorder(kernel, 0) if i in (up, last) else kernel
            conv.weight.data.copy_(kernel)
            if conv.bias is not None:
                bias = torch.from_numpy(next(remaining))
                conv.bias.data.copy_(reorder(bias, 0) if i in (up, last) else bias)
        for dense in self.denses:
            dense.weight.data.copy_(torch.from_numpy(next(remaining)).T)
            if dense.bias is not None:
                dense.bias.data.copy_(torch.from_numpy(next(remaining)))
        assert next(remaining, None) is None

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        convs, denses = iter(self.convs), iter(self.denses)
        with torch.autocast("cpu", enabled=False):
            angles = t[:, None].float() * torch.exp(-math.log(10_000.0) * torch.arange(64) / 64)
            time_embedding = next(denses)(torch.cat([angles.cos(), angles.sin()], 1))
            time_embedding = next(denses)(functional.silu(time_embedding))
            emb = functional.silu(time_embedding + next(denses)(functional.one_hot(y.long(), self.classes + 1).float()))

        def norm(x: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", enabled=False):
                scale, shift = next(denses)(emb)[:, :, None, None].chunk(2, 1)
                images = x.float()
                images = images * torch.rsqrt(images.square().mean(1, keepdim=True) + 1e-6) * (1 + scale) + shift
            return images.to(x.dtype)

        def block(x: torch.Tensor) -> torch.Tensor:
            h = functional.silu(norm(x))
            first, second = next(convs), next(convs)
            h = second(functional.silu(first(h)))
            return h + (x if x.shape[1] == h.shape[1] else next(convs)(x))

        def attention(x: torch.Tensor) -> torch.Tensor:
            batch, channels, height, width = x.shape
            heads = max(1, channels // 32)
            parts = next(convs)(norm(x)).permute(0, 2, 3, 1).reshape(batch, height * width, 3, heads, channels // heads)
            query, key, value = parts.permute(2, 0, 3, 1, 4)
            h = functional.scaled_dot_product_attention(query, key, value)
            h = h.permute(0, 2, 1, 3).reshape(batch, height, width, channels).permute(0, 3, 1, 2)
            return x + next(convs)(h)

        stem = next(convs)(functional.pixel_unshuffle(x, 2))
        skip = block(stem)
        h = next(convs)(functional.pixel_unshuffle(skip, 2))
        for _ in range(self.blocks):
            h = block(h)
        h = attention(h)
        h = functional.pixel_shuffle(next(convs)(h), 2)
        h = block(torch.cat([h, stem, skip], 1))
        h = functional.silu(norm(h))
        with torch.autocast("cpu", enabled=False):
            return functional.pixel_shuffle(next(convs)(h.float()), 2)


def reorder(weights: torch.Tensor, axis: int) -> torch.Tensor:
    """Brings channels from (row, column, channel), as TensorFlow orders blocks of 2x2 pixels, to (channel, row, column)."""
    channels = weights.shape[axis] // 4
    order = torch.arange(4 * channels).reshape(4, channels).T.reshape(-1)
    return weights.index_select(axis, order)


class Step:
    """A training step, and an evaluation of the network, in one mode.

    Args:
        start: the common start: weights, images and random inputs.
        config: ours, as a dictionary.
        layout: "contiguous" or "channels_last".
        compiled: by ``torch.compile``.
    """

    def __init__(self, start: dict, config: dict, layout: str, compiled: bool):
        self.config = config
        memory = {"memory_format": torch.channels_last if layout == "channels_last" else torch.contiguous_format}
        self.network = UNet(config)
        self.network.load([start[name] for name in sorted(start) if name.startswith("weights/")])
        self.network = self.network.to(**memory)
        self.function = torch.compile(self.network) if compiled else self.network
        self.optimizer = torch.optim.Adam(self.network.parameters(), config["learning_rate"], (0.9, 0.99), 1e-7, fused=True)

        def image(name: str) -> torch.Tensor:
            return torch.from_numpy(start[name]).permute(0, 3, 1, 2).contiguous(**memory)

        self.images, self.noise = image("images"), image("noise")
        self.timesteps = torch.from_numpy(start["timestep"])
        labels = np.where(start["is_label_dropped"], config["classes"], start["labels"])
        self.labels, self.weights = torch.from_numpy(labels), torch.from_numpy(start["loss_weights"])
        self.rates = self.signal_rates()

    def signal_rates(self) -> torch.Tensor:
        """Returns sqrt(ᾱ_t) of the cosine schedule."""
        t = np.arange(self.config["timesteps"] + 1) / self.config["timesteps"]
        f = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
        betas = np.minimum(1 - f[1:] / f[:-1], 0.999)
        return torch.from_numpy(np.sqrt(np.cumprod(np.concatenate([[1.0], 1 - betas]))))

    def __call__(self) -> float:
        """Does one step; returns the loss."""
        rate = self.rates[self.timesteps][:, None, None, None]
        signal, noise_rate = rate.float(), (1 - rate**2).sqrt().float()
        noisy = signal * self.images + noise_rate * self.noise
        target = signal * self.noise - noise_rate * self.images
        bfloat16 = self.config["precision"] == "bfloat16"
        with torch.autocast("cpu", torch.bfloat16) if bfloat16 else contextlib.nullcontext():
            prediction = self.function(noisy, self.timesteps, self.labels)
        errors = (prediction.float() - target).square().mean((1, 2, 3))
        loss = (errors * self.weights[self.timesteps.long()]).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def evaluate(self) -> None:
        """Evaluates the network in float32, as sampling does."""
        with torch.inference_mode():
            labels = torch.zeros(EVALUATED, dtype=torch.int64)
            self.function(self.noise[:EVALUATED], torch.full((EVALUATED,), 500), labels)


class Peer:
    """The requests of the benchmark."""

    def build(self, config: dict, threads: int, start: str) -> dict:
        """Loads the common start and does the first step in the simplest mode."""
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)  # as TensorFlow does
        self.config, self.start = config, dict(np.load(start))
        step = Step(self.start, config, "contiguous", False)
        parameters = {"unet": sum(p.numel() for p in step.network.parameters())}
        return {"losses": {"loss": step()}, "parameters": parameters, "version": f"PyTorch {torch.__version__}"}

    def choose(self, compiled: bool) -> dict:
        """Chooses the fastest mode of the step and of the evaluation, each for itself."""
        modes = [("contiguous", False), ("channels_last", False)]
        tried, best = [], {}
        for layout, is_compiled in [*modes, *([("channels_last", True)] if compiled else [])]:
            words = f"{layout}, {'compiled' if is_compiled else 'eager'}"
            try:
                step = Step(self.start, self.config, layout, is_compiled)
                for name, function in (("steps", step), ("evaluations", step.evaluate)):
                    function()
                    seconds = min(timing(function)[0] for _ in range(TRIALS))
                    tried.append(f"{name}, {words}: {seconds:.4f} s")
                    if name not in best or seconds < best[name][0]:
                        best[name] = seconds, words, function
            except Exception as error:  # compiling needs a C++ compiler, and fails in many ways without one
                tried.append(f"{words}: failed ({first_line(error)})")
        self.functions = {name: entry[2] for name, entry in best.items()}
        modes_of = {name: entry[1] for name, entry in best.items()}
        return {"modes": modes_of, "seconds": {name: entry[0] for name, entry in best.items()}, "tried": tried}

    def call(self, name: str, count: int) -> dict:
        """Calls the chosen function."""
        start = time.perf_counter()
        for _ in range(count):
            self.functions[name]()
        return {"seconds": time.perf_counter() - start}

    def steps(self, count: int) -> dict:
        """Does training steps."""
        return self.call("steps", count)

    def evaluations(self, count: int) -> dict:
        """Evaluates the network."""
        return self.call("evaluations", count)


if __name__ == "__main__":
    peer = Peer()
    serve({"build": peer.build, "choose": peer.choose, "steps": peer.steps, "evaluations": peer.evaluations})
