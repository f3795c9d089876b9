"""What the bits of a run depend on besides its configuration: library versions, threads, CPU features, code."""

import hashlib
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

ROOT = Path(__file__).resolve().parents[2]
_FACTS = {
    "versions": "library versions",
    "threads": "number of threads",
    "cpu_features": "CPU features",
    "code": "code",
    "devices": "devices",
    "variables": "environment variables of TensorFlow",
}
_VARIABLES = (
    "TF_ENABLE_ONEDNN_OPTS",
    "ONEDNN_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE",
    "TF_XLA_FLAGS",
)


def describe_environment() -> dict[str, Any]:
    """Returns versions, devices, threads, CPU features, the digest of the code, variables, for ``config.json`` and cards."""
    return {
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
        "devices": [device.device_type for device in tf.config.list_physical_devices()],
        "threads": os.process_cpu_count() if sys.version_info >= (3, 13) else len(os.sched_getaffinity(0)),
        "cpu_features": cpu_features(),
        "code": code_digest(),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def cpu_features() -> list[str]:
    """Returns the vector extensions of the CPU, which change how sums are rounded; its name if they are unknown."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        flags = next(line for line in lines if line.startswith("flags")).split()
    except (OSError, StopIteration):
        return [platform.processor() or platform.machine()]
    return sorted(flag for flag in flags if flag.startswith(("avx", "amx", "fma", "sse4")))


def fast_precision() -> str:
    """Returns the faster precision of convolutions: "bfloat16" on CPUs with AMX or AVX512-BF16, else "float32".

    A step takes about 1/2.5 of float32's time with AMX, 1/1.6 to 1/2.1 with AVX512-BF16 alone (docs/speed.md, measured by
    ``benchmarks/train_step.py``); on CPUs with neither, bfloat16 is slower.
    """
    on_cpu = not tf.config.list_physical_devices("GPU")
    return "bfloat16" if on_cpu and {"amx_bf16", "avx512_bf16"} & set(cpu_features()) else "float32"


def code_digest() -> str:
    """Returns the SHA-256 over the names and contents of the Python files of ``gan_tf`` and ``pipelines``."""
    digest = hashlib.sha256()
    for package in ("gan_tf", "pipelines"):
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def changed_facts(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Returns which facts differ between two descriptions, in words; if any does, the bits may differ too."""
    return [words for name, words in _FACTS.items() if before.get(name) != now.get(name)]
