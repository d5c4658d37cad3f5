"""Compiled operators: built once, shared safely, and never the reason that a run fails."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from benchmark.cells import native
from benchmark.cells.native import Operator, operator
from benchmark.errors import UserError

ROOT = Path(__file__).parents[2]
SOURCE = """
#include "vector.h"
extern "C" void scaled(int64_t first, int64_t last, const float *x, float *y, int64_t width,
                       float factor) {
    for (int64_t i = first * width; i < last * width; i++) y[i] += factor * x[i];
}
extern "C" void exponentials(int64_t first, int64_t last, const float *x, float *y) {
    for (int64_t i = first; i < last; i += LANES)
        store(y + i, exp(load(x + i, last - i)), last - i);
}
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and one small source file besides the real header."""
    sources = tmp_path / "cpp"
    sources.mkdir()
    (sources / "small.cpp").write_text(SOURCE)
    (sources / "vector.h").write_text((native.SOURCES / "vector.h").read_text())
    monkeypatch.setattr(native, "SOURCES", sources)
    monkeypatch.setattr(native, "_operators", {})
    native._say.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(native, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("BENCHMARK_NATIVE", raising=False)
    return tmp_path / "cache" / "native"


def forget() -> None:
    native._operators.clear()


def built() -> Operator:
    found = operator("small")
    if found is None:
        pytest.skip("no C++ compiler here")
    return found


# --- calling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("rows", [0, 1, 2, 7])
def test_every_row_is_worked_on_exactly_once(
    cache: Path, rows: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    x, y = torch.randn(rows, 3), torch.ones(rows, 3)
    built().run("scaled", rows, x, y, 3, 0.5)
    assert torch.equal(y, 1 + 0.5 * x)


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(2, 2, dtype=torch.float64), torch.zeros(2, 4)[:, ::2], torch.zeros(2, 3).T],
)
def test_memory_that_cpp_would_misread_is_refused(cache: Path, tensor: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="expected a contiguous float32 tensor on the CPU"):
        built().run("scaled", 2, tensor, torch.zeros(2, 2), 2, 1.0)


def test_the_vector_exponential_is_exact_to_single_precision(cache: Path) -> None:
    x = torch.cat([torch.linspace(-87, 88, 10_001), torch.tensor([0.0, -0.0, 1e-30])])
    y = torch.empty_like(x)
    compiled = built()
    compiled.run("exponentials", len(x), x, y)
    torch.testing.assert_close(y.double(), x.double().exp(), rtol=3e-7, atol=0)
    x = torch.tensor([-87.5, -1e4, -torch.inf, torch.nan, torch.inf])
    y = torch.empty_like(x)
    compiled.run("exponentials", len(x), x, y)
    assert y[:3].tolist() == [0, 0, 0]
    assert bool(y[3].isnan())
    assert y[4] > 1e38


# --- when there is one ---------------------------------------------------------------------------


@pytest.mark.parametrize("other", [torch.zeros(1, dtype=torch.float64), torch.zeros(1).half()])
def test_other_types_are_left_to_torch(cache: Path, other: torch.Tensor) -> None:
    assert operator("small", torch.zeros(1), other) is None
    assert not native._operators, "nothing is compiled for them"


def test_the_variable_switches_off_and_insists(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built()
    monkeypatch.setenv("BENCHMARK_NATIVE", "0")
    assert operator("small") is None
    monkeypatch.setenv("BENCHMARK_NATIVE", "1")
    assert isinstance(operator("small"), Operator)
    monkeypatch.setenv("BENCHMARK_NATIVE", "yes")
    with pytest.raises(UserError, match="BENCHMARK_NATIVE: expected 0 or 1, got 'yes'"):
        operator("small")


def test_it_is_compiled_once_and_says_so_in_one_line(
    cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built()
    said = capsys.readouterr().err
    assert said.startswith("note: compiling small.cpp with ")
    assert said.endswith(f"once; kept in {cache}\n")
    assert said.count("\n") == 1
    (library,) = cache.iterdir()
    assert library.name.startswith("small-")
    forget()
    monkeypatch.setattr(native, "_compile", lambda *_: pytest.fail("compiled twice"))
    built()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("change", ["source", "header", "flags", "cpu"])
def test_whatever_changes_the_result_is_compiled_anew(
    cache: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built()
    if change == "flags":
        monkeypatch.setattr(native, "FLAGS", (*native.FLAGS, "-DNDEBUG"))
    elif change == "cpu":
        monkeypatch.setattr(native, "_cpu", lambda: "another")
    else:
        changed = native.SOURCES / {"source": "small.cpp", "header": "vector.h"}[change]
        changed.write_text(changed.read_text() + "\n")
    forget()
    built()
    assert len(list(cache.iterdir())) == 2


def test_a_broken_file_in_the_cache_is_replaced(cache: Path) -> None:
    compiler = native._compiler()
    library = cache / f"small-{native._fingerprint(native.SOURCES / 'small.cpp', compiler)}.so"
    cache.mkdir(parents=True)
    library.write_bytes(b"half a libr")
    built()
    assert library.stat().st_size > 1000


def test_without_a_writable_cache_each_process_compiles_for_itself(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be made")
    x, y = torch.randn(4, 3), torch.zeros(4, 3)
    built().run("scaled", 4, x, y, 3, 2.0)
    assert torch.equal(y, 2 * x)
    assert capsys.readouterr().err.endswith(f"{cache} is read-only\n")


# --- when there is none --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compiler", "says"),
    [
        ("/nonexistent/c++", "no C++ compiler found"),
        ("false", "false cannot"),
        ('g++ "x', "CXX is no command (No closing quotation)"),
    ],
)
def test_without_a_working_compiler_plain_torch_is_used_and_one_line_says_why(
    cache: Path,
    compiler: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CXX", compiler)
    (native.SOURCES / "other.cpp").write_text(SOURCE)
    names = ("small", "small") if compiler == "false" else ("small", "other")
    assert [operator(name) for name in names] == [None, None]
    lines = [line for line in capsys.readouterr().err.splitlines() if "compiling" not in line]
    assert len(lines) == 1
    assert says in lines[0]
    assert list(cache.glob("*")) == []
    monkeypatch.setenv("BENCHMARK_NATIVE", "1")
    with pytest.raises(UserError, match=f"=1: .*{re.escape(says)}.*install a C"):
        operator("small")


def test_a_compiler_that_complains_in_another_encoding_is_understood_as_far_as_it_goes(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "sh -c 'printf \"\\351chec\" >&2; exit 1'")
    assert operator("small") is None
    assert "sh cannot compile small.cpp: \ufffdchec" in capsys.readouterr().err


def test_a_source_that_does_not_compile_is_named_with_the_complaint(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built()
    forget()
    (native.SOURCES / "small.cpp").write_text("int main( {")
    assert operator("small") is None
    said = capsys.readouterr().err.splitlines()[-1]
    assert "cannot compile small.cpp" in said
    assert "error" in said


# --- several at once -----------------------------------------------------------------------------


def test_threads_that_ask_at_once_get_the_same_operator(cache: Path) -> None:
    built()
    forget()
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: operator("small"), range(8)))
    assert len(found) == 1


def test_processes_that_compile_at_once_all_get_a_whole_library(cache: Path) -> None:
    built()
    (library,) = cache.iterdir()
    ctypes.CDLL(str(library))
    library.unlink()
    code = (
        "import sys, pathlib, torch\n"
        "from benchmark.cells import native\n"
        f"native.SOURCES = pathlib.Path({str(native.SOURCES)!r})\n"
        "x, y = torch.ones(2, 2), torch.zeros(2, 2)\n"
        "sys.stdin.readline()\n"
        "native.operator('small', x).run('scaled', 2, x, y, 2, 3.0)\n"
        "assert torch.equal(y, 3 * x)\n"
    )
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(cache.parents[0]),
        "BENCHMARK_NATIVE": "1",
    }
    start = [sys.executable, "-c", code]
    both = [
        subprocess.Popen(start, stdin=subprocess.PIPE, env=environment, text=True) for _ in "ab"
    ]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        process.communicate(timeout=60)
        assert process.returncode == 0


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(cache: Path) -> None:
    compiled = built()
    x, y = torch.ones(4, 1), torch.zeros(4, 1)
    compiled.run("scaled", 4, x, y, 1, 1.0)
    child = os.fork()
    if child == 0:
        compiled.run("scaled", 4, x, y, 1, 1.0)
        os._exit(0 if torch.equal(y, 2 * x) else 1)
    assert os.waitpid(child, 0)[1] == 0
