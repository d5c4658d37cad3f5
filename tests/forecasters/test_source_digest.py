"""A run's name follows the files that a user's class is made of, and no others."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from benchmark.forecasters.resolve import source_digest

HELD = """
from benchmark.forecasters.contract import Forecaster

class Held(Forecaster):
    fitted = "none"

    def forward(self, x):
        return x[:, -1, None].expand(-1, self.shape.horizon, -1)
"""


def test_the_digest_of_a_users_class_follows_its_file(write: Callable[[str, str], Path]) -> None:
    path = write("my_models", HELD)
    alone = {"class": "my_models.Held"}
    for spec in (alone, {"class": "Ensemble", "members": [{"model": alone}]}):
        path.write_text(HELD)
        before = source_digest(spec, "x")
        assert len(before) == 16
        assert source_digest(spec, "x") == before
        path.write_text(HELD.replace("x[:, -1,", "x[:, -2,"))
        assert source_digest(spec, "x") != before
        path.write_text(HELD)
        assert source_digest(spec, "x") == before


@pytest.mark.parametrize(
    ("files", "edited"),
    [
        ({"my_models": f"import my_help\n{HELD}", "my_help": ""}, "my_help"),
        ({"my_models": f"from my_help import x\n{HELD}", "my_help": "x = 1\n"}, "my_help"),
        (
            {"my_models": f"{HELD}\ndef late():\n    import my_help\n", "my_help": ""},
            "my_help",
        ),
        (
            {"my_models": f"import my_help\n{HELD}", "my_help": "import my_more", "my_more": ""},
            "my_more",
        ),
        (
            {"my_models": "from my_base import Base\nclass Held(Base):\n    pass\n",
             "my_base": HELD.replace("Held", "Base")},
            "my_base",
        ),
    ],
    ids=["module", "name", "within a function", "of another", "base"],
)  # fmt: skip
def test_the_digest_of_a_users_class_follows_what_its_file_imports(
    write: Callable[[str, str], Path], files: dict[str, str], edited: str
) -> None:
    paths = {name: write(name, text) for name, text in files.items()}
    before = source_digest({"class": "my_models.Held"}, "x")
    unused = write("my_notes", "x = 1\n")
    unused.write_text("x = 2\n")
    assert source_digest({"class": "my_models.Held"}, "x") == before
    paths[edited].write_text(paths[edited].read_text() + "# edited\n")
    assert source_digest({"class": "my_models.Held"}, "x") != before
    paths[edited].write_text("def half(\n")  # as an editor may save it while a suite goes on
    assert source_digest({"class": "my_models.Held"}, "x") != before


def test_the_digest_follows_the_files_of_a_package_whatever_is_loaded_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {
        "__init__": "",
        "models": f"import my_package.layers\nfrom .utils import scale\n{HELD}",
        "layers": "from . import utils\n",
        "utils": "scale = 1\n",
        "other": "",
    }
    folder = tmp_path / "my_package"
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    spec = {"class": "my_package.models.Held"}
    before = source_digest(spec, "x")
    importlib.import_module("my_package.other")
    assert source_digest(spec, "x") == before
    (folder / "other.py").write_text("x = 1\n")
    assert source_digest(spec, "x") == before
    for name in ("__init__", "models", "layers", "utils"):
        earlier = source_digest(spec, "x")
        (folder / f"{name}.py").write_text(f"{texts[name]}# edited\n")
        assert source_digest(spec, "x") != earlier
    for name in [name for name in sys.modules if name.startswith("my_package")]:
        monkeypatch.delitem(sys.modules, name)


def test_what_is_installed_counts_by_the_file_of_its_class_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "my_installed.py").write_text(f"import my_library\n{HELD}")
    (folder / "my_library.py").write_text("")
    monkeypatch.syspath_prepend(folder)
    before = source_digest({"class": "my_installed.Held"}, "x")
    (folder / "my_library.py").write_text("x = 1\n")
    assert source_digest({"class": "my_installed.Held"}, "x") == before
    assert before == sha256((folder / "my_installed.py").read_bytes()).hexdigest()[:16]
    for name in ("my_installed", "my_library"):
        monkeypatch.delitem(sys.modules, name)


def test_ours_are_told_apart_by_the_packages_version_alone() -> None:
    assert source_digest({"class": "Linear"}, "x") == ""
    assert (
        source_digest({"class": "Ensemble", "members": [{"model": {"class": "Ridge"}}]}, "x") == ""
    )
