"""What a run's bits depend on besides its settings: versions, threads, processor, code."""

import hashlib
import os
import platform
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def describe() -> dict:
    """Versions, thread count, processor features and the code's digest, for ``config.json`` and cards."""
    import keras
    import numpy
    import tensorflow as tf

    return {
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": numpy.__version__,
        },
        "devices": [device.device_type for device in tf.config.list_physical_devices()],
        "threads": os.process_cpu_count() if hasattr(os, "process_cpu_count") else len(os.sched_getaffinity(0)),
        "cpu_features": cpu_features(),
        "code": code_digest(),
    }


def cpu_features() -> list[str]:
    """The vector units that change how a sum is rounded, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next(line for line in lines if line.startswith("flags")).split()
    except (OSError, StopIteration):
        return [platform.processor() or platform.machine()]
    return sorted(f for f in flags if f.startswith(("avx", "amx", "fma", "sse4")))


def fast_precision() -> str:
    """What convolutions compute in where nobody says: bfloat16 on CPUs with units for it (AMX or AVX512-BF16), else float32.

    A step is about 2.5 times as fast in it as in float32 with AMX, 1.6 to 2.1 times with AVX512-BF16 alone (docs/speed.md, by
    ``benchmarks/train_step.py``); on CPUs with neither it is slower.
    """
    import tensorflow as tf

    on_cpu = not tf.config.list_physical_devices("GPU")
    return "bfloat16" if on_cpu and {"amx_bf16", "avx512_bf16"} & set(cpu_features()) else "float32"


def code_digest() -> str:
    """SHA-256 over the names and texts of the package's own Python files."""
    digest = hashlib.sha256()
    for room in ("gan_tf", "pipelines"):
        for path in sorted((ROOT / room).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def differences(then: dict, now: dict) -> list[str]:
    """Which facts differ between two descriptions, in words; where any does, bits may differ too."""
    words = {
        "versions": "library versions",
        "threads": "number of threads",
        "cpu_features": "processor",
        "code": "code",
        "devices": "devices",
    }
    return [word for name, word in words.items() if then.get(name) != now.get(name)]
