"""The networks of ``train_step.py``'s peer in PyTorch: the same layers as in ``gan_tf.gan.networks.dcgan``."""

import numpy as np
import torch
from torch import nn

from gan_tf.gan.config import GanConfig


class Reshape(nn.Module):
    """Reshapes ``[batch, 16 * channels]`` to channels-last images ``[batch, channels, 4, 4]`` without a copy."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2)


class Float32Conv2d(nn.Conv2d):
    """A convolution that computes in float32 inside an autocast too, as the last one of D does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


def build_generator(shape: tuple[int, int, int], config: GanConfig) -> nn.Module:
    """Builds the network of ``gan_tf.gan.networks.dcgan.build_generator``, with its layers in the same order."""
    num_upsamplings = (shape[0] // 4).bit_length() - 1
    width = config.hidden_dim * 2 ** (num_upsamplings - 1)
    layers = [nn.Linear(config.latent_dim, 16 * width, bias=False), Reshape(), nn.BatchNorm2d(width), nn.ReLU(True)]
    for _ in range(1, num_upsamplings):
        layers.append(nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False))
        width //= 2
        layers += [nn.BatchNorm2d(width), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, shape[2], 4, 2, 1), nn.Tanh())


def build_discriminator(shape: tuple[int, int, int], config: GanConfig) -> nn.Module:
    """Builds the network of ``gan_tf.gan.networks.dcgan.build_discriminator``, with its layers in the same order."""
    num_downsamplings = (shape[0] // 4).bit_length() - 1
    layers: list[nn.Module] = []
    in_channels = shape[2]
    for i in range(num_downsamplings):
        width = config.hidden_dim * 2**i
        bias = i == 0 or config.norm in ("none", "spectral")
        layers.append(_apply_spectral_norm(nn.Conv2d(in_channels, width, 4, 2, 1, bias=bias), config.norm))
        if i > 0:
            layers += _activation_norms(config.norm, width)
        layers.append(nn.LeakyReLU(0.2, inplace=config.penalty == "none"))
        in_channels = width
    return nn.Sequential(*layers, _apply_spectral_norm(Float32Conv2d(in_channels, 1, 4), config.norm), nn.Flatten())


def _apply_spectral_norm(conv: nn.Module, norm: str) -> nn.Module:
    return nn.utils.parametrizations.spectral_norm(conv) if norm == "spectral" else conv


def _activation_norms(norm: str, width: int) -> list[nn.Module]:
    """Returns the layers, one or none, that normalize activations of ``width`` channels."""
    if norm == "batch":
        return [nn.BatchNorm2d(width)]
    if norm == "layer":
        return [nn.GroupNorm(1, width)]
    return [nn.GroupNorm(width, width)] if norm == "instance" else []


def load_keras(network: nn.Module, weights: list[np.ndarray]) -> None:
    """Assigns Keras's weights, in the order of the layers; spectral norm starts from the exact singular vectors."""
    remaining = list(weights)
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Linear):
                layer.weight.copy_(torch.from_numpy(remaining.pop(0).T.copy()))
            elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                # [h, w, in, out], or [h, w, out, in] if transposed; PyTorch has the two pairs of axes reversed
                kernel = torch.from_numpy(remaining.pop(0).transpose(3, 2, 0, 1).copy())
                has_spectral_norm = nn.utils.parametrize.is_parametrized(layer, "weight")
                target = layer.parametrizations.weight.original if has_spectral_norm else layer.weight
                target.copy_(kernel)
                if layer.bias is not None:
                    layer.bias.copy_(torch.from_numpy(remaining.pop(0)))
                if has_spectral_norm:
                    u, _, v = torch.linalg.svd(kernel.flatten(1).double(), full_matrices=False)
                    layer.parametrizations.weight[0]._u.copy_(u[:, 0])
                    layer.parametrizations.weight[0]._v.copy_(v[0])
            elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
                layer.weight.copy_(torch.from_numpy(remaining.pop(0)))
                layer.bias.copy_(torch.from_numpy(remaining.pop(0)))
    if remaining:
        raise ValueError(f"{len(remaining)} of {len(weights)} weights were not assigned")
