"""The peer of ``train_step.py``: the same networks and the same step in PyTorch, written to be fast on a CPU.

Needs PyTorch and NumPy, not TensorFlow. As a script it is a worker process; the test uses the class ``Step`` directly.
"""

import contextlib
import copy
import dataclasses
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks._torch_networks import build_discriminator, build_generator, load_keras
from benchmarks._turns import first_line, serve, timing
from gan_tf.gan.config import GanConfig

LOSSES = ("gan", "wgangp", "rpgan", "hinge")
TRIAL_SECONDS = 8.0  # how long each mode is timed, with at most 3 steps


@dataclasses.dataclass(frozen=True)
class ExecutionMode:
    """How the step is run; the mathematics is the same.

    Attributes:
        passes: D is applied to real and fake images in "separate" batches, in a "joint" batch, or in a joint batch whose
            forward pass also serves the penalty ("shared", for R1 + R2).
        adam: "fused" or "foreach".
        layout: "channels_last" or "contiguous".
        run: "eager", or "compiled": both networks by ``torch.compile``. A compiled network cannot be differentiated
            twice, so the forward pass of a penalty stays eager.
    """

    passes: str
    adam: str = "fused"
    layout: str = "channels_last"
    run: str = "eager"

    def __str__(self) -> str:
        return f"{self.run}, {self.layout}, Adam {self.adam}, {self.passes} passes of real and fake images"


def discriminator_loss(loss: str, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Computes the loss that D minimizes; see ``gan_tf.gan.losses``."""
    if loss == "gan":
        return F.softplus(-real).mean() + F.softplus(fake).mean()
    if loss == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    return F.softplus(fake - real).mean() if loss == "rpgan" else fake.mean() - real.mean()


def generator_loss(loss: str, fake: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
    """Computes the loss that G minimizes; see ``gan_tf.gan.losses``."""
    if loss == "gan":
        return F.softplus(-fake).mean()
    return F.softplus(real - fake).mean() if loss == "rpgan" else -fake.mean()


def squared_gradient_norm(logits: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Returns ‖∇ D(x)‖² of each image; it can be differentiated."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.float().square().sum((1, 2, 3))


class Step:
    """One training step of ``gan_tf.gan.model.GAN``, without its metrics and finite check.

    Args:
        config: one of the losses above, with its presets, on the DCGAN.
        start: weights and batches; see ``_step_ours.write_start``.
        mode: how to run it.
        sgd: learning rate of SGD, which replaces Adam if it is not 0, for the test.
    """

    def __init__(self, config: GanConfig, start: dict[str, np.ndarray], mode: ExecutionMode, sgd: float = 0.0):
        if config.loss not in LOSSES or config.network != "dcgan" or config.optimizer != "adam" or config.clip:
            raise ValueError(f"the peer has only the DCGAN with Adam and the losses {', '.join(LOSSES)}")
        if config.penalty not in ("none", "two-sided", "r1r2"):
            raise ValueError(f"the peer does not have the penalty {config.penalty}")
        self.config, self.mode, self.images_seen, self.done = config, mode, 0, 0
        layout = torch.channels_last if mode.layout == "channels_last" else torch.contiguous_format
        shape = start["real"].shape[3:]
        networks = {"generator": build_generator(shape, config), "discriminator": build_discriminator(shape, config)}
        for name, network in networks.items():
            load_keras(network, [start[key] for key in sorted(start) if key.startswith(name)])
            network.to(memory_format=layout)
        self.generator, self.discriminator = networks.values()
        self.generator_ema = copy.deepcopy(self.generator)
        compiled = mode.run == "compiled"
        self.generate = torch.compile(self.generator) if compiled else self.generator
        self.discriminate = torch.compile(self.discriminator) if compiled else self.discriminator
        self.g_parameters, self.d_parameters = list(self.generator.parameters()), list(self.discriminator.parameters())
        self.g_optimizer = self.build_optimizer(self.g_parameters, config.g_lr, sgd)
        self.d_optimizer = self.build_optimizer(self.d_parameters, config.d_lr, sgd)
        data = {name: torch.from_numpy(start[name]) for name in ("real", "latents", "interpolation")}
        real = data["real"].permute(0, 2, 1, 5, 3, 4)  # [batches, d_steps, batch, channels, height, width]
        self.real = [[images.contiguous(memory_format=layout) for images in batch] for batch in real]
        self.latents = data["latents"].transpose(1, 2).contiguous()
        self.interpolation = data["interpolation"].transpose(1, 2).contiguous()

    def build_optimizer(self, parameters: list, learning_rate: float, sgd: float) -> torch.optim.Optimizer:
        """Returns the Adam of the configuration, with Keras's epsilon."""
        if sgd:
            return torch.optim.SGD(parameters, sgd)
        betas = (self.config.beta1, self.config.beta2)
        return torch.optim.Adam(parameters, learning_rate, betas, eps=1e-7, **{self.mode.adam: True})

    def __call__(self) -> dict[str, torch.Tensor]:
        """Does the next step; returns its losses."""
        s, n = self.config, self.done % len(self.real)
        real, latents, interpolation = self.real[n], self.latents[n], self.interpolation[n]
        if s.shares_fakes:
            with self.autocast():
                fake = self.generate(latents[0])
            losses = self.update_discriminator(real[0], fake.detach(), interpolation[0])
            losses |= self.update_generator(real[0], fake)
        else:
            for k in range(s.d_steps):
                with torch.no_grad(), self.autocast():
                    fake = self.generate(latents[k])
                losses = self.update_discriminator(real[k], fake, interpolation[k])
            for k in range(s.g_steps):
                with self.autocast():
                    fake = self.generate(latents[s.d_steps + k])
                losses |= self.update_generator(real[-1], fake)
        self.update_ema()
        self.done += 1
        return losses

    def autocast(self) -> contextlib.AbstractContextManager:
        """Computes in the configured precision; ends before weights change, since it keeps copies of them."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.config.precision == "bfloat16")

    def update_discriminator(
        self, real: torch.Tensor, fake: torch.Tensor, interpolation: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Updates D."""
        s, fake = self.config, fake.float()
        penalty = torch.zeros(())
        with self.autocast():
            if self.mode.passes == "separate":
                real_logits, fake_logits = self.discriminate(real).float(), self.discriminate(fake).float()
            else:
                both = torch.cat([real, fake]).requires_grad_(self.mode.passes == "shared")
                logits = self.discriminate(both).float()
                real_logits, fake_logits = logits.chunk(2)
            loss = discriminator_loss(s.loss, real_logits, fake_logits)
            if self.mode.passes == "shared":
                penalty = 0.5 * squared_gradient_norm(logits, both).sum() / s.batch
            elif s.penalty == "r1r2":
                both = torch.cat([real, fake]).requires_grad_()
                penalty = 0.5 * squared_gradient_norm(self.discriminator(both).float(), both).sum() / s.batch
            elif s.penalty == "two-sided":
                interpolates = torch.lerp(fake, real, interpolation[:, None, None, None]).requires_grad_()
                norm = torch.sqrt(squared_gradient_norm(self.discriminator(interpolates).float(), interpolates) + 1e-12)
                penalty = (norm - 1).square().mean()
            total = loss + s.penalty_weight * penalty if s.penalty != "none" else loss
        self.d_optimizer.zero_grad(set_to_none=True)
        total.backward(inputs=self.d_parameters)  # not by the images, for which a penalty requires gradients
        self.d_optimizer.step()
        return {"d_loss": loss.detach(), "penalty": penalty.detach()}

    def update_generator(self, real: torch.Tensor, fake: torch.Tensor) -> dict[str, torch.Tensor]:
        """Updates G on fakes that are part of its graph; D's weights are frozen, so that they get no gradient."""
        s = self.config
        with frozen(self.d_parameters), self.autocast():
            real_logits = None
            if s.loss == "rpgan":
                with torch.no_grad():
                    real_logits = self.discriminate(real).float()
            loss = generator_loss(s.loss, self.discriminate(fake).float(), real_logits)
        self.g_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.g_optimizer.step()
        return {"g_loss": loss.detach()}

    def update_ema(self) -> None:
        """Updates the EMA of G; see ``gan_tf.nn.ema``."""
        s = self.config
        half_life = max(min(s.ema_half_life, 0.05 * self.images_seen), 1e-8)
        with torch.no_grad():
            torch._foreach_lerp_(list(self.generator_ema.parameters()), self.g_parameters, 1 - 0.5 ** (s.batch / half_life))
        self.images_seen += s.batch


@contextlib.contextmanager
def frozen(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Excludes parameters from gradients during the forward pass."""
    for p in parameters:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in parameters:
            p.requires_grad_(True)


def alternative_modes(s: GanConfig) -> list[dict[str, str]]:
    """Returns single changes of a mode, which are tried one after another to find the fastest; see ``Peer.choose``."""
    passes = [] if s.norm == "batch" else ["separate", "shared"] if s.penalty == "r1r2" else ["separate"]
    return [*({"passes": p} for p in passes), {"adam": "foreach"}, {"layout": "contiguous"}, {"run": "compiled"}]


class Peer:
    """The requests of the benchmark."""

    def build(self, config: dict, threads: int, start: str) -> dict:
        """Loads the common start and does the first step in the simplest mode; see ``check_equivalence``."""
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)  # as TensorFlow does
        self.config, self.start = GanConfig(**config), dict(np.load(start))
        self.step = Step(self.config, self.start, ExecutionMode("separate"))
        networks = {"generator": self.step.g_parameters, "discriminator": self.step.d_parameters}
        return {
            "losses": {name: float(value) for name, value in self.step().items()},
            "parameters": {name: sum(p.numel() for p in parameters) for name, parameters in networks.items()},
            "version": f"PyTorch {torch.__version__}",
        }

    def choose(self) -> dict:
        """Chooses the fastest mode: starts from the most promising one, and keeps each change that makes it faster."""
        best = ExecutionMode("separate" if self.config.norm == "batch" else "joint")
        seconds, tried = self.time_mode(best), []
        tried.append(f"{best}: {seconds:.3f} s")
        for change in alternative_modes(self.config):
            mode = dataclasses.replace(best, **change)
            if mode.run == "compiled" and mode.passes == "shared":
                mode = dataclasses.replace(mode, passes="joint")  # see ExecutionMode
            try:
                taken = self.time_mode(mode)
            except Exception as error:  # compiling needs a C++ compiler, and fails in many ways without one
                tried.append(f"{mode}: failed ({first_line(error)})")
                continue
            tried.append(f"{mode}: {taken:.3f} s")
            if taken < seconds:
                best, seconds = mode, taken
        torch.compiler.reset()
        self.step = Step(self.config, self.start, best)
        self.step(), self.step()
        return {"mode": str(best), "seconds": seconds, "tried": tried}

    def time_mode(self, mode: ExecutionMode) -> float:
        """Returns the minimum seconds of a step, after two that are not timed: the second traces what the first did not."""
        torch.compiler.reset()
        step = Step(self.config, self.start, mode)
        step(), step()
        taken = [timing(step)[0]]
        while len(taken) < 3 and sum(taken) < TRIAL_SECONDS:
            taken.append(timing(step)[0])
        return min(taken)

    def steps(self, count: int) -> dict:
        """Does steps."""
        start = time.perf_counter()
        for _ in range(count):
            self.step()
        return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    peer = Peer()
    serve({"build": peer.build, "choose": peer.choose, "steps": peer.steps})
