"""Joules that a chip has used, by its own counter; where there is none, nothing is estimated.

Linux shows a CPU's counter (RAPL) as files: ``name``, ``energy_uj`` in microjoules, and
``max_energy_range_uj``, after which it starts at 0 again. Reading it may need a permission, see
https://docs.kernel.org/power/powercap/powercap.html. An NVIDIA driver counts millijoules since it
was loaded: ``nvmlDeviceGetTotalEnergyConsumption`` of its library NVML. Either counts the whole
chip, whoever uses it.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import torch

POWERCAP = Path("/sys/class/powercap")
LOOK_SECONDS = 60.0
"""Between two looks at a counter, which at full power takes minutes to come round."""


class Counter:
    """Joules since it was made, from a reading in microjoules that only grows.

    Args:
        read: gives the reading.
        limit: reading after which it starts at 0 again; 0 where it never does.

    Raises:
        OSError: it cannot be read.
    """

    def __init__(self, read: Callable[[], int], limit: int = 0) -> None:
        self._read = read
        self._limit = limit
        self._last = read()
        self.joules = 0.0

    def look(self) -> None:
        """Add what was used since the last look; there must be one between two starts at 0."""
        reading = self._read()
        used = reading - self._last + (self._limit if reading < self._last else 0)
        self.joules += used / 1e6
        self._last = reading


class EnergyMeter:
    """Measures a ``with`` block; then `joules` is there, None without a counter that can be read.

    Args:
        device: on CUDA the GPU's energy is measured, else that of the CPU and its memory.
        devices: how many GPUs, from the first, where there are several.
    """

    def __init__(self, device: torch.device, devices: int = 1) -> None:
        several = [torch.device(device.type, number) for number in range(devices)]
        self._gpus = several if devices > 1 else [device]
        self._cuda = device.type == "cuda"
        self._over = threading.Event()
        self.joules: float | None = None

    def __enter__(self) -> Self:
        self._counters = _all_gpus(self._gpus) if self._cuda else cpu_counters()
        if self._counters:
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._counters:
            self._over.set()
            self._watcher.join()
            self._look()
            if self._counters:
                self.joules = sum(counter.joules for counter in self._counters)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        try:
            for counter in self._counters:
                counter.look()
        except OSError:  # a fit is worth more than its joules
            self._counters = []


def cpu_counters() -> list[Counter]:
    """Counters of all CPU packages and their memory; empty where there are none to read.

    A package's cores and graphics are inside it and ``psys`` is around it: they are not added.
    """
    try:
        return [
            Counter(_reader(zone / "energy_uj"), int((zone / "max_energy_range_uj").read_text()))
            for zone in sorted(POWERCAP.glob("intel-rapl:*"))
            if (zone / "name").read_text().startswith(("package", "dram"))
        ]
    except OSError:  # as a rule only the administrator may read them
        return []


def _reader(path: Path) -> Callable[[], int]:
    return lambda: int(path.read_text())


def gpu_counters(device: torch.device) -> list[Counter]:
    """Return the counter of an NVIDIA GPU; empty where the driver or the GPU has none."""
    handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    try:
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
        nvml = ctypes.CDLL("libnvidia-ml.so.1")

        def read() -> int:
            _check(nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)))
            return 1000 * millijoules.value

        _check(nvml.nvmlInit_v2())
        _check(nvml.nvmlDeviceGetHandleByUUID(uuid, ctypes.byref(handle)))
        return [Counter(read)]
    except (OSError, AttributeError):  # none, too old a one (or torch), a GPU that does not count
        return []


def _all_gpus(devices: Sequence[torch.device]) -> list[Counter]:
    """Return a counter of each; none where one of them does not count."""
    each = [gpu_counters(device) for device in devices]
    return [counter for counters in each for counter in counters] if all(each) else []


def _check(code: int) -> None:
    if code:
        raise OSError(f"NVML answers with error {code}")
