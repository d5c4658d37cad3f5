from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmark.data.task import Task
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.linear import Linear
from benchmark.forecasters.ridge import Ridge
from benchmark.training import energy
from benchmark.training.energy import Counter, EnergyMeter
from benchmark.training.fit import fit
from benchmark.training.spec import TrainingSpec

CPU = torch.device("cpu")
LIMIT = 262_143_328_850
ZONES = {
    "intel-rapl:0": "package-0",
    "intel-rapl:0:0": "core",
    "intel-rapl:0:1": "dram",
    "intel-rapl:1": "package-1",
    "intel-rapl:2": "psys",
}

Use = Callable[..., None]


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """A machine's counters, all at 1 J from coming round; ``use(zone=joules)`` moves them on."""
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    (tmp_path / "intel-rapl").mkdir()  # the folder of the driver itself has no counter
    for zone, name in ZONES.items():
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "name").write_text(f"{name}\n")
        (tmp_path / zone / "max_energy_range_uj").write_text(f"{LIMIT}\n")
        (tmp_path / zone / "energy_uj").write_text(f"{LIMIT - 1_000_000}\n")

    def move(**joules: float) -> None:
        for zone, name in ZONES.items():
            path = tmp_path / zone / "energy_uj"
            moved = int(path.read_text()) + int(1e6 * joules.get(name.replace("-", ""), 1000.0))
            path.write_text(f"{moved % LIMIT}\n")

    return move


def test_packages_and_their_memory_are_added_and_what_is_inside_or_around_them_is_not(use: Use):
    with EnergyMeter(CPU) as meter:
        use(package0=0.25, package1=0.5, dram=0.125)
    assert meter.joules == pytest.approx(0.875, rel=1e-12)


def test_a_counter_that_starts_at_0_again_goes_on(use: Use):
    with EnergyMeter(CPU) as meter:
        use(package0=30.0, package1=0.0, dram=0.0)
    assert meter.joules == pytest.approx(30.0, rel=1e-12)


def test_a_counter_is_looked_at_before_it_can_come_round_twice(
    use: Use, monkeypatch: pytest.MonkeyPatch
):
    readings = iter([0, 60, 20, 80])
    looked = threading.Event()

    def read() -> int:
        value = next(readings, 80)
        if value == 80:
            looked.set()
        return value

    monkeypatch.setattr(energy, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(energy, "cpu_counters", lambda: [Counter(read, limit=100)])
    with EnergyMeter(CPU) as meter:
        assert looked.wait(5)
    assert meter.joules == pytest.approx(180e-6)


@pytest.mark.parametrize("model", [Linear, Ridge])
def test_a_fit_reports_the_joules_that_its_machine_counted(
    use: Use, task: Task, monkeypatch: pytest.MonkeyPatch, model: type[Linear | Ridge]
):
    forecaster = model(SeriesShape(24, 12, 3, 24))
    looks = EnergyMeter.__enter__

    def enter_and_use(meter: EnergyMeter) -> EnergyMeter:
        entered = looks(meter)
        use(package0=5.0, package1=0.0, dram=0.0)
        return entered

    monkeypatch.setattr(EnergyMeter, "__enter__", enter_and_use)
    report = fit(
        forecaster, task.windows("train"), task.windows("val"), TrainingSpec(epochs=1), seed=1
    )
    assert report.energy_j == pytest.approx(5.0)


def test_without_a_counter_or_the_right_to_read_it_there_is_no_figure(
    use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
    with EnergyMeter(CPU) as meter:
        pass
    assert meter.joules is None
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "absent")
    with EnergyMeter(CPU) as meter:
        pass
    assert meter.joules is None


def test_a_counter_that_can_no_longer_be_read_costs_the_figure_and_not_the_fit(
    use: Use, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    looks = EnergyMeter.__enter__

    def enter_and_lose(meter: EnergyMeter) -> EnergyMeter:
        entered = looks(meter)
        (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
        return entered

    monkeypatch.setattr(EnergyMeter, "__enter__", enter_and_lose)
    forecaster = Ridge(SeriesShape(24, 12, 3, 24))
    report = fit(forecaster, task.windows("train"), task.windows("val"), TrainingSpec(), seed=1)
    assert report.energy_j is None
    assert report.seconds > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_at_work_uses_energy():
    device = torch.device("cuda", 0)
    x = torch.randn(4096, 4096, device=device)
    with EnergyMeter(device) as meter:
        for _ in range(300):
            x = torch.nn.functional.normalize(x @ x)
        torch.cuda.synchronize(device)
    assert meter.joules is None or 1 < meter.joules < 10_000
