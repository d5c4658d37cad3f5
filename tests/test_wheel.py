"""What an installed wheel carries, and that the suite works from it, far from any checkout."""

from __future__ import annotations

import compileall
import hashlib
import os
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from zipfile import ZipFile

import pytest
import yaml

from tests.conftest import CARD

ROOT = Path(__file__).parents[1]
RUN = "run seasonal_naive --set dataset=akl_pedestrians --set lookback=168 --set horizon=24"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what installing the wheel would put beside other packages."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "site-packages")
    compileall.compile_dir(folder / "site-packages", quiet=1)  # as pip does
    return folder / "site-packages"


def run(installed: Path, here: Path, *arguments: str) -> str:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {
        "PYTHONPATH": str(installed),
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_DATA_HOME": str(here / "home"),
        "XDG_CACHE_HOME": str(here / "cache"),
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", *arguments],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_card_and_no_data_but_the_embedded_set_is_in_it(installed: Path) -> None:
    own = installed / "benchmark" / "own"
    cards = {path.name for path in (ROOT / "datasets").glob("*.yaml")}
    assert {path.name for path in (own / "datasets").glob("*.yaml")} == cards
    data = {path.name for path in own.rglob("*") if path.suffix in {".csv", ".gz", ".txt", ".zip"}}
    assert data == {"akl_pedestrians.csv.gz", "published.csv", "results.csv"}
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {
        "benchmark"
    }


def test_a_model_runs_from_it_and_results_lie_where_the_user_is(
    installed: Path, tmp_path: Path
) -> None:
    before = set(installed.rglob("*"))
    run(installed, tmp_path, *RUN.split())
    assert (tmp_path / "results" / "results.csv").is_file()
    assert set(installed.rglob("*")) - before == set()
    assert any((tmp_path / "cache" / "ts-benchmark").glob("akl_pedestrians*"))
    assert "akl_pedestrians" in run(installed, tmp_path, "leaderboard")


def test_a_user_without_a_home_has_what_one_with_a_read_only_home_has(
    installed: Path, tmp_path: Path
) -> None:
    for told, reads, left in (
        ("raise RuntimeError('no home')", RUN, ["results"]),  # newer ones
        ("return Path('~/.cache')", "datasets check akl_pedestrians", []),  # older ones
    ):
        stub = tmp_path / "platformdirs.py"
        asked = "".join(f"def user_{kind}_path(name): {told}\n" for kind in ("cache", "data"))
        stub.write_text(f"from pathlib import Path\n{asked}")
        here = tmp_path / told.split()[0]
        here.mkdir()
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{tmp_path}:{installed}"}
        for words, status in ((reads, 0), ("datasets fetch ETTh2", 2)):
            command = [sys.executable, "-m", "benchmark", *words.split()]
            done = subprocess.run(
                command, cwd=here, env=environment, capture_output=True, text=True
            )
            assert done.returncode == status, done.stderr
        assert "no home folder" in done.stderr
        assert "set BENCHMARK_DATA to one that can" in done.stderr
        assert [path.name for path in here.iterdir()] == left


def test_the_revision_of_a_repository_around_it_is_not_its_own(installed: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], cwd=installed.parent, check=True)
    commit = [*git, "commit", "-q", "--allow-empty", "-m", "another project"]
    subprocess.run(commit, cwd=installed.parent, check=True)
    code = "from benchmark.harness.revision import git_revision; print(git_revision())"
    environment = os.environ | {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    asked = [sys.executable, "-c", code]
    told = subprocess.run(asked, cwd=installed, env=environment, capture_output=True, text=True)
    assert told.stdout == "None\n", told.stderr


def test_data_sets_are_fetched_to_the_users_own_data(installed: Path, tmp_path: Path) -> None:
    content = b"date,load\n2020-01-01 00:00:00,1\n2020-01-01 01:00:00,2\n"
    (tmp_path / "toy.csv").write_bytes(content)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        source = {
            "url": f"http://127.0.0.1:{server.server_port}/toy.csv",
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        (tmp_path / "datasets").mkdir()
        card = CARD | {"channels": ["load"], "source": source}
        (tmp_path / "datasets" / "toy.yaml").write_text(yaml.safe_dump(card))
        Thread(target=server.serve_forever, daemon=True).start()
        run(installed, tmp_path, "datasets", "fetch", "toy")
        server.shutdown()
    fetched = tmp_path / "home" / "ts-benchmark" / "datasets" / "toy.csv"
    assert fetched.read_bytes() == content
