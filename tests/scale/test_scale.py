"""The measurements of scale run, on small sizes; nothing here hangs on how busy the machine is."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).with_name("run.py")


def test_every_job_on_results_is_measured_and_written(tmp_path: Path) -> None:
    words = ["--only", "compare", "rebuild", "--most-runs", "1000", "--output", str(tmp_path)]
    done = subprocess.run([sys.executable, str(RUN), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "scale_results.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["what"] for row in rows] == ["compare", "rebuild"]
    assert all(float(row["peak_mb"]) > 20 and float(row["seconds"]) > 0 for row in rows)
    assert "| rebuild | 1,000 runs |" in (tmp_path / "scale_results.md").read_text(encoding="utf-8")
