"""Devices: where a study computes, and in which precision."""

import os
from collections.abc import Callable

import torch


def choose_device(name: str) -> torch.device:
    """Return the device of this name, or for "auto" a GPU where there is one; raises ValueError if it is not there."""
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split(". ")[0].splitlines()[0]
        raise ValueError(f"device = {name!r} cannot be used here: {reason}. Use `device: auto` or cpu.") from error
    return torch.device(name)


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype of `precision`; "auto" is bfloat16 where the device has instructions for it, else float32."""
    if precision != "auto":
        return getattr(torch, precision)
    if device.type == "cuda":
        with torch.cuda.device(device):
            native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and cpu_computes_bfloat16()
    return torch.bfloat16 if native else torch.float32


def choose_compile(setting: bool | str, device: torch.device, steps: int) -> bool:
    """Whether to compile a training of this many steps; "auto" does where a minute of translation is little beside it.

    On a CPU it is off: compiled steps were 8 to 24 % faster (2 cores, width 16 and 8), but that needs a C++ compiler.
    """
    return device.type == "cuda" and steps >= 10_000 if setting == "auto" else bool(setting)


def choose_num_processes(setting: int | str, device: torch.device, batch_size: int) -> int:
    """How many processes train together; "auto" is one per GPU, as far as they share a batch evenly.

    Raises ValueError for more processes than there are GPUs. A device with a number, such as cuda:1, is one process's.
    """
    gpus = torch.cuda.device_count() if device.type == "cuda" and device.index is None else 1
    if setting == "auto":
        return max(count for count in range(1, gpus + 1) if batch_size % count == 0)
    if device.type == "cuda" and int(setting) > gpus:
        raise ValueError(f"num_processes = {setting}, but `device: {device}` has {gpus} of them: lower it, or use auto")
    return int(setting)


def device_name(device: torch.device) -> str | None:
    """The name of the device as reports show it; None for a CPU."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return None if device.type == "cpu" else str(device)


def cpu_computes_bfloat16() -> bool:
    """Whether this CPU has instructions for products of bfloat16 matrices."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # not public in torch 2.11 to 2.15
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)


def set_threads(setting: int | str, log: Callable[[str], None]) -> None:
    """Compute with so many threads; "auto" keeps torch's choice, which OMP_NUM_THREADS decides, or a thread per core.

    Warns where other work keeps the cores busy: then fewer threads are faster.
    """
    if setting != "auto":
        torch.set_num_threads(int(setting))
    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    others = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if threads > 1 and others + threads > 1.5 * cores:
        log(f"warning: {others:.0f} other tasks keep {cores} cores busy; fewer `threads` may be faster than {threads}")
