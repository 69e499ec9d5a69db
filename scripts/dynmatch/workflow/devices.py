"""GPUs that a config asks for, and those that are here."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from dynmatch.errors import DynmatchError

MAKERS = {"CUDA": {"NVIDIA"}, "OpenCL": {"NVIDIA", "other"}}
"""OpenMM's platforms that run on a GPU, and whose GPUs those are."""


def on_gpu(system: Mapping) -> bool:
    """Whether the reference of a system of the (complete) config is simulated on a GPU."""
    return system["reference"].get("platform") in MAKERS


def gpus_here() -> set[str]:
    """Makers of the GPUs of this machine, as far as they can be told: NVIDIA, or other."""
    found = set()
    if Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi"):
        found.add("NVIDIA")
    # the kernel's interfaces to AMD's and Intel's; macOS has OpenCL on all its machines
    if Path("/dev/kfd").exists() or Path("/dev/dri").exists() or sys.platform == "darwin":
        found.add("other")
    return found


def check_gpu(config: Mapping, here: set[str]) -> None:
    """Raise DynmatchError where the (complete) `config` asks for a GPU that is not `here`."""
    if config["device"] == "gpu" and "NVIDIA" not in here:
        raise DynmatchError(
            "config: device is gpu, but this machine has no NVIDIA GPU; set it to cpu"
        )
    for name, system in config["systems"].items():
        platform = system["reference"].get("platform")
        if on_gpu(system) and not MAKERS[platform] & here:
            which = "NVIDIA GPU" if MAKERS[platform] == {"NVIDIA"} else "GPU"
            raise DynmatchError(
                f"config: systems.{name}.reference.platform is {platform}, but this machine has no "
                f"{which}; set it to CPU"
            )
