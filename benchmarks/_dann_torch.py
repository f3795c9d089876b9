"""The peer of ``dann.py``: the same networks and the same step in PyTorch, written to be fast on a CPU.

Needs PyTorch and NumPy, not TensorFlow. As a script it is a worker process; the test uses the class ``Step`` directly.
"""

import copy
import dataclasses
import math
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks._turns import first_line, serve, timing
from gan_tf.dann.config import DannConfig

DROPOUT = (0.15, 0.3)
TRIAL_STEPS = 6  # of each mode, the fastest of which counts


@dataclasses.dataclass(frozen=True)
class ExecutionMode:
    """How the step is run; the mathematics is the same.

    Attributes:
        adam: "fused" or "foreach".
        layout: "channels_last" or "contiguous".
        run: "eager", or "compiled" by ``torch.compile``.
    """

    adam: str = "fused"
    layout: str = "channels_last"
    run: str = "eager"

    def __str__(self) -> str:
        return f"{self.run}, {self.layout}, Adam {self.adam}"


class ReverseGradient(torch.autograd.Function):
    """The gradient reversal layer."""

    @staticmethod
    def forward(context, features, strength):
        context.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(context, gradient):
        return -context.strength * gradient, None


class FeatureExtractor(nn.Module):
    """Five convolutions and a dense layer; see ``gan_tf.dann.networks``."""

    def __init__(self, width: int):
        super().__init__()
        channels = [1, width, int(1.5 * width), 2 * width, 4 * width, 4 * width]
        kernels = (5, 3, 3, 3, 3)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, k, 2 if k == 5 else 1, 0 if k == 5 else 1, bias=False)
            for a, b, k in zip(channels, channels[1:], kernels, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(b, eps=1e-5, momentum=0.1) for b in channels[1:])
        self.dense = nn.Linear(16 * channels[-1], 4 * width, bias=False)
        self.dense_norm = nn.BatchNorm1d(4 * width, eps=1e-5, momentum=0.1)

    def forward(self, images: torch.Tensor, multipliers: torch.Tensor | None) -> torch.Tensor:
        x = F.pad(images, (1, 2, 1, 2))  # TensorFlow's "same" for stride 2
        for n, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = F.leaky_relu(norm(convolution(x)), 0.1)
            if n in (2, 3):
                x = F.max_pool2d(x, 2, ceil_mode=True)
        x = x.flatten(1)
        if multipliers is not None:
            x = x * multipliers
        return F.leaky_relu(self.dense_norm(self.dense(x)), 0.1)


class Step:
    """One training step of ``gan_tf.dann.model.DomainAdaptation`` by the full method, without metrics and finite check.

    Args:
        config: the configuration.
        start: weights and batches; see ``_dann_ours.write_start``.
        mode: how to run it.
        images_seen: before the first step.
        sgd: learning rate of SGD, which replaces Adam if it is not 0, for the test.
    """

    def __init__(self, config: DannConfig, start: dict, mode: ExecutionMode, images_seen: int = 0, sgd: float = 0.0):
        self.config, self.images_seen, self.done = config, images_seen, 0
        self.channels = 4 * config.hidden_dim
        self.features = FeatureExtractor(config.hidden_dim)
        self.labels = nn.Linear(self.channels, len(config.class_names))
        self.domains = nn.Sequential(
            *(nn.Linear(self.channels, 128), nn.LeakyReLU(0.1), nn.Linear(128, 128), nn.LeakyReLU(0.1), nn.Linear(128, 1))
        )
        self.load(start)
        layout = torch.channels_last if mode.layout == "channels_last" else torch.contiguous_format
        self.features.to(memory_format=layout)
        self.teacher_features, self.teacher_labels = copy.deepcopy(self.features), copy.deepcopy(self.labels)
        self.student_parameters = [*self.features.parameters(), *self.labels.parameters()]
        self.teacher_parameters = [*self.teacher_features.parameters(), *self.teacher_labels.parameters()]
        parameters = [*self.student_parameters, *self.domains.parameters()]
        if sgd:
            self.optimizer = torch.optim.SGD(parameters, sgd)
        else:
            betas = (config.beta1, config.beta2)
            self.optimizer = torch.optim.Adam(parameters, config.learning_rate, betas, eps=1e-7, **{mode.adam: True})
        self.has_schedule = not sgd
        self.extract = torch.compile(self.features) if mode.run == "compiled" else self.features
        self.teach = torch.compile(self.teacher_features) if mode.run == "compiled" else self.teacher_features
        self.means = torch.full((2, len(config.class_names)), 1 / len(config.class_names))
        self.batches = [self.prepare(start, n, layout) for n in range(len(start["labels"]))]

    def load(self, start: dict) -> None:
        """Assigns Keras's weights, in the order of the layers."""
        names = ("feature_extractor", "label_classifier", "domain_classifier")
        weights = [torch.from_numpy(start[key]) for name in names for key in sorted(start) if key.startswith(name)]
        with torch.no_grad():
            for convolution, norm in zip(self.features.convolutions, self.features.norms, strict=True):
                convolution.weight.copy_(weights.pop(0).permute(3, 2, 0, 1))
                norm.weight.copy_(weights.pop(0))
                norm.bias.copy_(weights.pop(0))
            dense = weights.pop(0).reshape(4, 4, self.channels, -1)  # rows, columns, channels of the flattened activations
            self.features.dense.weight.copy_(dense.permute(3, 2, 0, 1).flatten(1))
            self.features.dense_norm.weight.copy_(weights.pop(0))
            self.features.dense_norm.bias.copy_(weights.pop(0))
            for layer in (self.labels, *self.domains[::2]):
                layer.weight.copy_(weights.pop(0).T)
                layer.bias.copy_(weights.pop(0))
        if weights:
            raise ValueError(f"{len(weights)} weights were not assigned")

    def prepare(self, start: dict, n: int, layout: torch.memory_format) -> dict[str, torch.Tensor]:
        """Returns a batch as the step needs it: channels first, and dropout's noise in their order."""
        batch = {}
        for name in ("source", "weak", "strong"):
            batch[name] = torch.from_numpy(start[name][n]).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        noise = torch.from_numpy(start["dropout"][n])
        flat = noise[..., : 16 * self.channels].unflatten(2, (4, 4, self.channels)).permute(0, 1, 4, 2, 3).flatten(2)
        batch["feature_noise"], batch["label_noise"] = flat.contiguous(), noise[..., 16 * self.channels :].contiguous()
        batch["labels"] = torch.from_numpy(start["labels"][n]).long()
        return batch

    def __call__(self) -> dict[str, torch.Tensor]:
        """Does the next step; returns its losses."""
        config, batch = self.config, self.batches[self.done % len(self.batches)]
        progress = min(self.images_seen / config.lr_decay_images, 1.0)
        with torch.no_grad():
            p_weak = F.softmax(self.teacher_labels(self.teach(batch["weak"], None)), dim=1)
        source_features, source_logits = self.forward(batch, "source", 0)
        target_features, target_logits = self.forward(batch, "strong", 1)
        loss = F.cross_entropy(source_logits, batch["labels"])
        strength = config.domain_weight * (2 / (1 + math.exp(-10 * progress)) - 1)
        source_domain, target_domain = (
            self.domains(ReverseGradient.apply(features, strength)) for features in (source_features, target_features)
        )
        domain_loss = 0.5 * (F.softplus(source_domain).mean() + F.softplus(-target_domain).mean())
        with torch.no_grad():
            p_source = F.softmax(source_logits, dim=1)
            self.means.mul_(0.99).add_(torch.stack([p_source.mean(0), p_weak.mean(0)]), alpha=0.01)
            aligned = F.normalize(p_weak * (self.means[0] / self.means[1].clamp_min(1e-6)), p=1, dim=1)
            mask = aligned.amax(1) >= config.pseudo_threshold * p_source.amax(1).mean()
        pseudo_loss = (mask * F.cross_entropy(target_logits, aligned, reduction="none")).mean()
        total = loss + domain_loss + config.pseudo_weight * min(progress / 0.3, 1.0) * pseudo_loss
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        if self.has_schedule:
            self.optimizer.param_groups[0]["lr"] = self.learning_rate()
        self.optimizer.step()
        steps = self.images_seen // config.batch
        with torch.no_grad():
            weight = 1 - min(config.teacher_decay, steps / (steps + 1))
            torch._foreach_lerp_(self.teacher_parameters, self.student_parameters, weight)
        self.images_seen += config.batch
        self.done += 1
        return {"loss": loss.detach(), "domain_loss": domain_loss.detach(), "pseudo_loss": pseudo_loss.detach()}

    def forward(self, batch: dict[str, torch.Tensor], images: str, domain: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the student's features and logits, with dropout."""
        kept = [
            (batch[f"{name}_noise"][:, domain] >= rate) / (1 - rate)
            for name, rate in zip(("feature", "label"), DROPOUT, strict=True)
        ]
        features = self.extract(batch[images], kept[0])
        return features, self.labels(features * kept[1])

    def learning_rate(self) -> float:
        """Returns Keras's cosine decay with a linear warm-up at this step."""
        config, warmup = self.config, min(self.config.warmup_images // self.config.batch, self.config.last_step // 2)
        if self.done < warmup:
            return config.learning_rate * self.done / warmup
        fraction = min((self.done - warmup) / max(1, config.last_step - warmup), 1.0)
        return config.learning_rate * (0.98 * 0.5 * (1 + math.cos(math.pi * fraction)) + 0.02)


class Peer:
    """The requests of the benchmark."""

    def build(self, config: dict, threads: int, start: str) -> dict:
        """Loads the common start and does the first step in the simplest mode."""
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)  # as TensorFlow does
        self.config, self.start = DannConfig(**config), dict(np.load(start))
        step = self.build_step(ExecutionMode())
        return {
            "losses": {name: float(value) for name, value in step().items()},
            "parameters": sum(p.numel() for p in [*step.student_parameters, *step.domains.parameters()]),
            "version": f"PyTorch {torch.__version__}",
        }

    def build_step(self, mode: ExecutionMode) -> Step:
        """Returns the step in a mode, in the middle of the training."""
        torch.compiler.reset()
        return Step(self.config, self.start, mode, self.config.lr_decay_images // 2)

    def choose(self) -> dict:
        """Chooses the fastest mode: keeps each change of the first one that makes it faster."""
        best, seconds, tried = ExecutionMode(), math.inf, []
        for change in ({}, {"adam": "foreach"}, {"layout": "contiguous"}, {"run": "compiled"}):
            mode = dataclasses.replace(best, **change)
            try:
                step = self.build_step(mode)
                step(), step()  # are not timed: the second traces what the first did not
                taken = min(timing(step)[0] for _ in range(TRIAL_STEPS))
            except Exception as error:  # compiling needs a C++ compiler, and fails in many ways without one
                tried.append(f"{mode}: failed ({first_line(error)})")
                continue
            tried.append(f"{mode}: {taken:.4f} s")
            if taken < seconds:
                best, seconds = mode, taken
        self.step = self.build_step(best)
        self.step(), self.step()
        return {"mode": str(best), "seconds": seconds, "tried": tried}

    def steps(self, count: int) -> dict:
        """Does steps."""
        start = time.perf_counter()
        for _ in range(count):
            self.step()
        return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    peer = Peer()
    serve({"build": peer.build, "choose": peer.choose, "steps": peer.steps})
