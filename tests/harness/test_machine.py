"""The machine in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmark.harness import machine
from benchmark.harness.machine import hardware, is_cpu, several


@pytest.fixture(autouse=True)
def _asked_afresh() -> Iterator[None]:
    machine._cpu.cache_clear()
    yield
    machine._cpu.cache_clear()


def test_the_cpu_is_named_with_its_instructions_cores_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("processor : 0\nmodel name\t: AMD  EPYC 7B13\nflags : fpu\nmodel name\t: x\n")
    monkeypatch.setattr(machine, "CPU_FACTS", facts)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 4}, raising=False)
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 6_170_000}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    assert hardware(torch.device("cpu")) == "AMD EPYC 7B13, AVX2, 2 cores, 24 GB"


def test_where_linux_does_not_tell_python_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CPU_FACTS", tmp_path / "none")
    monkeypatch.setattr(machine.platform, "processor", lambda: "arm")
    assert hardware(torch.device("cpu")).startswith("arm, ")


def test_a_gpu_is_named_beside_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        name = "NVIDIA H100"
        total_memory = 80 << 30

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Properties)
    assert hardware(torch.device("cuda")).endswith(" GB, NVIDIA H100, 80 GB")


def test_the_cpu_is_known_from_its_name_however_many_there_are() -> None:
    assert is_cpu(several(1, "cpu"))
    assert is_cpu(several(2, "cpu"))
    assert not is_cpu(several(1, "NVIDIA H100"))
    assert not is_cpu(several(2, "NVIDIA H100"))
    assert not is_cpu("")
