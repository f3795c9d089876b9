"""The mean power spectrum of images, in which a repeated pattern of pixels is a peak (Durall et al. 2020, arXiv:2003.01826)."""

import numpy as np

_PERIOD = 4  # pixels: two layers that each double the size leave patterns of 2 and of 4 pixels
_OFFSET = 3  # frequencies from a peak to those that it is compared with, beyond the main lobe of the window


def power_spectrum(images: np.ndarray) -> np.ndarray:
    """Returns the mean power of the brightness of images at each frequency, ``[size, size]``, frequency 0 first.

    Args:
        images: uint8 ``[n, size, size, 3]``; a Hann window fades them out towards their borders.
    """
    size = images.shape[1]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    total = np.zeros((size, size))
    for image in images:
        brightness = image.mean(axis=2)
        total += np.abs(np.fft.fft2((brightness - brightness.mean()) * np.outer(window, window))) ** 2
    return np.asarray(total / len(images))


def pattern_strength(spectrum: np.ndarray) -> float:
    """Returns by how many decibels a pattern that repeats every 2 or 4 pixels stands out of a spectrum; 0 is no pattern.

    The power at each of the pattern's frequencies is divided by the geometric mean of that at neighboring frequencies. On an
    axis, where natural images have more power, these are on the same axis.

    Args:
        spectrum: as ``power_spectrum`` returns it; its size is a multiple of 4.
    """
    size = len(spectrum)
    step = size // _PERIOD
    excess = []
    for row in range(0, size, step):
        for column in range(0, size, step):
            if row == column == 0:  # the mean brightness
                continue
            shifts = [(_OFFSET, 0), (-_OFFSET, 0)] if row else []
            shifts += [(0, _OFFSET), (0, -_OFFSET)] if column else []
            around = [spectrum[(row + down) % size, (column + right) % size] for down, right in shifts]
            excess.append(10 * np.log10(spectrum[row, column]) - 10 * np.mean(np.log10(around)))
    return float(np.mean(excess))
