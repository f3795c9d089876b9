"""The networks of ``train_step.py``'s peer in PyTorch, layer by layer those of ``gan_tf.gan.networks.dcgan``."""

import numpy as np
import torch
from torch import nn

from gan_tf.gan.config import GanConfig


class Reshape(nn.Module):
    """``[batch, height * width * channels]`` to channels-last images ``[batch, channels, height, width]``, no copy."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2)


class ExactConv2d(nn.Conv2d):
    """A convolution in float32 inside an autocast too, as the last one of D is."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


def build_generator(shape: tuple[int, int, int], s: GanConfig) -> nn.Module:
    """``gan_tf.gan.networks.dcgan.build_generator``, its layers in the same order."""
    n = (shape[0] // 4).bit_length() - 1
    width = s.hidden_dim * 2 ** (n - 1)
    layers = [nn.Linear(s.latent_dim, 16 * width, bias=False), Reshape(), nn.BatchNorm2d(width), nn.ReLU(True)]
    for _ in range(1, n):
        layers.append(nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False))
        width //= 2
        layers += [nn.BatchNorm2d(width), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, shape[2], 4, 2, 1), nn.Tanh())


def build_discriminator(shape: tuple[int, int, int], s: GanConfig) -> nn.Module:
    """``gan_tf.gan.networks.dcgan.build_discriminator``, its layers in the same order."""
    n = (shape[0] // 4).bit_length() - 1
    layers, before = [], shape[2]
    for i in range(n + 1):
        width = s.hidden_dim * 2**i if i < n else 1
        bias = i in (0, n) or s.norm in ("none", "spectral")
        conv = nn.Conv2d(before, width, 4, 2, 1, bias=bias) if i < n else ExactConv2d(before, width, 4, bias=bias)
        layers.append(nn.utils.parametrizations.spectral_norm(conv) if s.norm == "spectral" else conv)
        if 0 < i < n:
            layers += {
                "batch": lambda width=width: [nn.BatchNorm2d(width)],
                "layer": lambda width=width: [nn.GroupNorm(1, width)],
                "instance": lambda width=width: [nn.GroupNorm(width, width)],
            }.get(s.norm, list)()
        layers.append(nn.LeakyReLU(0.2, inplace=s.penalty == "none") if i < n else nn.Flatten())
        before = width
    return nn.Sequential(*layers)


def load_keras(network: nn.Module, weights: list[np.ndarray]) -> None:
    """Sets the weights from Keras's, which stand in the order of the layers; spectral norm starts from exact vectors."""
    left = list(weights)
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Linear):
                layer.weight.copy_(torch.from_numpy(left.pop(0).T.copy()))
            elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                # [h, w, in, out] or, transposed, [h, w, out, in]: both as PyTorch's own order with axes reversed in pairs
                kernel = torch.from_numpy(left.pop(0).transpose(3, 2, 0, 1).copy())
                normed = nn.utils.parametrize.is_parametrized(layer, "weight")
                target = layer.parametrizations.weight.original if normed else layer.weight
                target.copy_(kernel)
                if layer.bias is not None:
                    layer.bias.copy_(torch.from_numpy(left.pop(0)))
                if normed:
                    u, _, v = torch.linalg.svd(kernel.flatten(1).double(), full_matrices=False)
                    layer.parametrizations.weight[0]._u.copy_(u[:, 0])
                    layer.parametrizations.weight[0]._v.copy_(v[0])
            elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
                layer.weight.copy_(torch.from_numpy(left.pop(0)))
                layer.bias.copy_(torch.from_numpy(left.pop(0)))
    if left:
        raise ValueError(f"{len(left)} of {len(weights)} weights are left over")
