"""Compiled operators: C++ that a cell may call instead of plain torch, in float32 on a CPU.

A recurrence takes thousands of tiny steps, and a torch operation costs microseconds before it
computes anything. ``cpp/<name>.cpp`` holds the same loop as plain ``extern "C"`` functions that
know nothing of torch. It is compiled on first use, in about a second, with the compiler that the
system has, kept in the user's cache and called through ctypes, which lets go of Python's lock, so
that rows of a batch run in as many threads as torch uses.

Nothing here can make a run fail: where there is no compiler or no such CPU, `operator` returns
None and the cell takes its plain path. ``BENCHMARK_NATIVE=0`` switches the operators off, ``=1``
makes their absence an error.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import itertools
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from benchmark.errors import UserError
from benchmark.places import cache_folder

VARIABLE = "BENCHMARK_NATIVE"
SOURCES = Path(__file__).with_name("cpp")
FLAGS = (
    "-O3",
    "-std=c++17",
    "-shared",
    "-fPIC",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-w",
)
FOR_THIS_CPU = (("-march=native",), ("-mcpu=native",), ())  # the first that the compiler knows
COMPILE_SECONDS = 120

_lock = threading.Lock()
_operators: dict[str, Operator | str] = {}  # by name; why there is none, where there is none
_pools: dict[int, ThreadPoolExecutor] = {}  # by process: a fork inherits a pool without threads


class Operator:
    """A compiled file: its functions, each run over rows in parallel.

    Args:
        library: every function in it has the signature
            ``void f(int64_t first, int64_t last, ...)``, works on rows ``first`` to ``last - 1``
            and takes ``float *``, ``int64_t`` and ``float`` after them.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def run(self, function: str, rows: int, *arguments: Tensor | int | float) -> None:
        """Call a function for all rows, in up to ``torch.get_num_threads()`` threads.

        Args:
            function: its name in the C++ file.
            rows: how many there are, usually of the batch.
            arguments: tensors (float32, CPU, contiguous) go as pointers, int as ``int64_t``,
                float as ``float``.

        Raises:
            ValueError: a tensor that C++ would misread.
        """
        call = self._library[function]
        call.restype = None
        values = [_as_c(argument) for argument in arguments]
        parts = max(1, min(torch.get_num_threads(), rows))
        borders = [ctypes.c_int64(rows * part // parts) for part in range(parts + 1)]
        own, *others = itertools.pairwise(borders)
        waiting = [_pool().submit(call, *span, *values) for span in others]
        call(*own, *values)
        for other in waiting:
            other.result()


def operator(name: str, *tensors: Tensor) -> Operator | None:
    """Return the operator compiled from ``cpp/<name>.cpp``, or None if plain torch has to do.

    Args:
        name: of the file.
        tensors: what it would work on; anything but float32 on the CPU is left to torch.

    Raises:
        UserError: ``BENCHMARK_NATIVE=1`` and there is none, or the variable is neither 0 nor 1.
    """
    wish = os.environ.get(VARIABLE, "")
    if wish not in ("", "0", "1"):
        raise UserError(VARIABLE, f"expected 0 or 1, got {wish!r}")
    suits = all(t.dtype == torch.float32 and t.device.type == "cpu" for t in tensors)
    if wish == "0" or not suits:
        return None
    with _lock:
        if name not in _operators:
            _operators[name] = _load(name)
    found = _operators[name]
    if isinstance(found, Operator):
        return found
    if wish == "1":
        raise UserError(f"{VARIABLE}=1", found, f"install a C++ compiler or unset {VARIABLE}")
    return None


@contextlib.contextmanager
def switched_off() -> Iterator[None]:
    """Take every plain path inside the block, whatever ``BENCHMARK_NATIVE`` says."""
    wish = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "0"
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        if wish is not None:
            os.environ[VARIABLE] = wish


def _load(name: str) -> Operator | str:
    """Compile the file unless that was done before; the operator, or why there is none."""
    try:
        return Operator(_library(SOURCES / f"{name}.cpp"))
    except (OSError, subprocess.SubprocessError) as error:
        reason = f"no compiled operators, {error}"
        _say(f"{reason}; plain torch is slower ({VARIABLE}=0 silences this)")
        return reason


def _library(source: Path) -> ctypes.CDLL:
    compiler = _compiler()
    target = cache_folder() / "native" / f"{source.stem}-{_fingerprint(source, compiler)}.so"
    with contextlib.suppress(OSError):  # absent, or a file that this system cannot load
        return ctypes.CDLL(str(target))
    if not compiler:
        raise OSError("no C++ compiler found (tried CXX, c++, g++, clang++)")
    with _workshop(target.parent) as folder:
        stays = folder.parent == target.parent
        where = f"once; kept in {folder.parent}" if stays else f"{target.parent} is read-only"
        _say(f"compiling {source.name} with {compiler[0]}, {where}")
        built = _compile(source, compiler, folder)
        if stays:
            built = built.replace(target)  # whole or not at all: two processes may be here at once
        return ctypes.CDLL(str(built))  # outlives its file where that was temporary


@contextlib.contextmanager
def _workshop(cache_folder: Path) -> Iterator[Path]:
    """Make a temporary folder: in the cache, or elsewhere if nothing can be written there."""
    try:
        cache_folder.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(dir=cache_folder, ignore_cleanup_errors=True)
    except OSError:
        made = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with made as folder:
        yield Path(folder)


def _compile(source: Path, compiler: list[str], folder: Path) -> Path:
    target = folder / f"{source.stem}.so"
    for cpu in FOR_THIS_CPU:
        command = [*compiler, *FLAGS, *cpu, str(source), "-o", str(target)]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=COMPILE_SECONDS
        )
        if done.returncode == 0:
            return target
    complaint = (done.stderr.strip() or "it says nothing").splitlines()[0]
    raise OSError(f"{compiler[0]} cannot compile {source.name}: {complaint}")


def _compiler() -> list[str]:
    """The command of the compiler, ``$CXX`` before all others; empty where there is none."""
    try:
        wished = shlex.split(os.environ.get("CXX", ""))
    except ValueError as error:
        raise OSError(f"CXX is no command ({error})") from None
    for command in [wished] if wished else [["c++"], ["g++"], ["clang++"]]:
        if shutil.which(command[0]):
            return command
    return []


def _fingerprint(source: Path, compiler: list[str]) -> str:
    """Of all that decides what the compiled file contains."""
    headers = sorted(source.parent.glob("*.h"))
    parts = [path.read_bytes() for path in (source, *headers)]
    parts.append(repr((FLAGS, FOR_THIS_CPU, compiler, platform.machine(), _cpu())).encode())
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


@cache
def _cpu() -> str:
    """What this CPU can do, as far as the system says; code for another may not run here."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _pool() -> ThreadPoolExecutor:
    process = os.getpid()
    if process not in _pools:
        _pools[process] = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="native")
    return _pools[process]


def _as_c(argument: Tensor | int | float) -> ctypes.c_void_p | ctypes.c_int64 | ctypes.c_float:
    if isinstance(argument, Tensor):
        if argument.dtype != torch.float32 or not argument.is_contiguous() or argument.is_cuda:
            raise ValueError(
                "expected a contiguous float32 tensor on the CPU, but got "
                f"{argument.dtype}, {argument.device}, strides {argument.stride()}"
            )
        return ctypes.c_void_p(argument.data_ptr())
    return ctypes.c_int64(argument) if isinstance(argument, int) else ctypes.c_float(argument)


@cache
def _say(message: str) -> None:
    """Tell it once: every operator lacks the same compiler."""
    sys.stderr.write(f"note: {message}\n")
