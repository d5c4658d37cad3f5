from __future__ import annotations

import errno
import gzip
import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmark.data import checksum, fetch
from benchmark.data.card import load_card
from benchmark.data.checksum import verify
from benchmark.data.fetch import DatasetUnavailable, locate
from benchmark.data.fetch import fetch as fetch_data
from benchmark.errors import UserError

CONTENT = b"date,load,heat\n2020-01-01 00:00:00,1,2\n2020-01-01 01:00:00,3,4\n"
CRLF = CONTENT.replace(b"\n", b"\r\n")
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GIT_BLOB = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Answers each request with the next of `answers`, the last one for ever."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[str] = ["good"]
        self.content = CONTENT
        self.header = ("", "")
        self.hits = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/toy.csv"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        answer = self.server.answers[min(self.server.hits, len(self.server.answers) - 1)]
        self.server.hits += 1
        if answer.isdigit():
            self.send_error(int(answer))
            return
        if answer == "odd":
            self.send_response(302 if self.server.header[0] == "Location" else 200)
            self.send_header(*self.server.header)
            self.end_headers()
            return
        body = self.server.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if answer == "truncated" else body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetch, "WAITS_SECONDS", (0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def data_files(folder: Path) -> list[str]:
    """Everything below a folder but the cache's own notes."""
    names = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    return sorted(name for name in names if name != ".cache" and not name.endswith(".verified"))


@pytest.mark.parametrize("source", [{"sha256": SHA256}, {"git_blob": GIT_BLOB}])
def test_a_missing_file_is_fetched_once(source, folder, make_card, server):
    card = make_card(source={"url": server.url, **source})
    path = fetch_data(card, progress=False)
    assert path == folder / "toy.csv"
    assert path.read_bytes() == CONTENT
    assert data_files(folder) == ["toy.csv"]
    assert fetch_data(card, progress=False) == path
    assert server.hits == 1


def test_a_file_that_is_there_is_never_asked_for(folder, make_card, server, write):
    write(CONTENT)
    fetch_data(make_card(source={"url": server.url, "sha256": SHA256}), progress=False)
    fetch_data(make_card(source={"url": server.url}), progress=False)
    assert server.hits == 0


def test_a_wrong_download_is_refused_and_leaves_nothing_behind(folder, make_card, server):
    card = make_card(source={"url": server.url, "sha256": "0" * 64})
    with pytest.raises(fetch.DatasetUnavailable) as told:  # as of a page to log in: there is none
        fetch_data(card, progress=False)
    assert told.value.where == server.url  # not the path of what is removed
    assert f"sha256 is {SHA256}, expected 0000" in told.value.what
    cure = "nothing of it is kept; open that address to see what it sends, or correct the card"
    assert told.value.cure == cure
    assert data_files(folder) == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<html><body>no such file</body></html>", "http.*: line 1: .*; nothing of it is kept"),
        (b'{"error": 404}', "http.*: line 1: is JSON, not a CSV file; nothing of it is kept"),
        (b"", "http.*: line 1: is empty; nothing of it is kept; open that address"),
    ],
)
def test_a_page_is_never_recorded_as_the_file(folder, make_card, server, content, what):
    card = make_card(source={"url": server.url})
    server.content, right = content, server.content
    with pytest.raises(UserError, match=what):
        fetch_data(card, progress=False)
    assert data_files(folder) == []
    server.content = right
    assert fetch_data(card, progress=False).read_bytes() == CONTENT


@pytest.mark.parametrize(("name", "value"), [("Content-Length", "abc"), ("Location", "http://[x")])
def test_an_answer_that_is_not_what_http_has_is_told(folder, make_card, server, name, value):
    server.answers, server.header = ["odd"], (name, value)
    with pytest.raises(DatasetUnavailable, match=r"\(the answer is not what HTTP has\)"):
        fetch_data(make_card(source={"url": server.url}), progress=False)
    assert data_files(folder) == []


def test_a_refused_request_is_one_clear_error_without_a_second_try(folder, make_card, server):
    server.answers = ["404"]
    card = make_card(source={"url": server.url, "sha256": SHA256})
    with pytest.raises(DatasetUnavailable) as caught:
        fetch_data(card, progress=False)
    assert str(caught.value) == (
        f"dataset 'toy': could not be fetched from {server.url} (HTTP 404); try again later, or "
        f"download it by hand from there to {folder / 'toy.csv'}"
    )
    assert server.hits == 1
    assert data_files(folder) == []


def test_no_connection_is_one_clear_error(folder, make_card, monkeypatch):
    monkeypatch.setattr(fetch, "WAITS_SECONDS", (0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}/toy.csv"
        with pytest.raises(
            DatasetUnavailable, match=r"\(no connection\); try again later, or down"
        ):
            fetch_data(make_card(source={"url": url, "sha256": SHA256}), progress=False)
    assert data_files(folder) == []


@pytest.mark.parametrize("checksum_known", [True, False])
def test_a_transfer_that_always_breaks_off_leaves_nothing(
    checksum_known, folder, make_card, server
):
    server.answers = ["truncated"]
    source = {"url": server.url} | ({"sha256": SHA256} if checksum_known else {})
    with pytest.raises(DatasetUnavailable, match=r"\(the transfer broke off\)"):
        fetch_data(make_card(source=source), progress=False)
    assert server.hits == 3
    assert data_files(folder) == []


@pytest.mark.parametrize("failure", ["503", "truncated"])
def test_a_failure_that_passes_is_tried_again(failure, folder, make_card, server):
    server.answers = [failure, "good"]
    card = make_card(source={"url": server.url, "sha256": SHA256})
    assert fetch_data(card, progress=False).read_bytes() == CONTENT
    assert server.hits == 2
    assert data_files(folder) == ["toy.csv"]


def test_an_unknown_checksum_is_recorded_and_then_enforced(folder, make_card, server):
    card = make_card(source={"url": server.url})
    path = fetch_data(card, progress=False)
    record = folder / "toy.csv.sha256"
    assert record.read_text() == f"{SHA256}\n"
    assert verify(card, path) == "as first fetched"
    path.write_bytes(CONTENT + b"2020-01-01 02:00:00,5,6\n")
    with pytest.raises(UserError, match=r"expected .*or delete .*toy\.csv\.sha256 to accept it"):
        fetch_data(card, progress=False)
    path.unlink()
    server.content = CONTENT.replace(b"3", b"7")  # another content at the same address
    with pytest.raises(UserError, match=f"expected {SHA256}"):
        fetch_data(card, progress=False)
    assert data_files(folder) == ["toy.csv.sha256"]


def test_an_interrupted_fetch_leaves_nothing_and_can_be_repeated(
    folder, make_card, server, monkeypatch
):
    card = make_card(source={"url": server.url, "sha256": SHA256})
    with monkeypatch.context() as patch:
        patch.setattr(checksum, "check", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fetch_data(card, progress=False)
    assert data_files(folder) == []
    assert fetch_data(card, progress=False).read_bytes() == CONTENT


def test_a_full_disk_is_one_clear_error(folder, make_card, server, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch, "_get", full)
    with pytest.raises(UserError, match=r"the disk is full while fetching http.*; free some space"):
        fetch_data(make_card(source={"url": server.url, "sha256": SHA256}), progress=False)
    assert data_files(folder) == []


def test_a_folder_that_cannot_be_written_is_one_clear_error(folder, make_card, server):
    folder.chmod(0o555)
    with pytest.raises(
        DatasetUnavailable, match="no folder that can be written; set BENCHMARK_DATA"
    ):
        fetch_data(make_card(source={"url": server.url, "sha256": SHA256}), progress=False)
    assert server.hits == 0


def test_a_file_without_an_address_that_is_not_here_is_unavailable(folder, make_card):
    with pytest.raises(DatasetUnavailable, match=r"no file 'toy\.csv' in .*put the file there"):
        fetch_data(make_card(), progress=False)


def test_the_progress_bar_goes_to_standard_error(folder, make_card, server, capfd):
    fetch_data(make_card(source={"url": server.url, "sha256": SHA256}), progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "100%" in err


@pytest.mark.parametrize("source", [{"sha256": SHA256}, {"git_blob": GIT_BLOB}])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("content", [CONTENT, CRLF])
@pytest.mark.parametrize("chunk", [1, 3, 1 << 20])
def test_line_ends_and_gzip_do_not_change_what_a_file_is(
    source, zipped, content, chunk, folder, make_card, write, monkeypatch
):
    monkeypatch.setattr(checksum, "_CHUNK_BYTES", chunk)  # a CR and its LF fall into two chunks
    card = make_card(source=source)
    path = write(gzip.compress(content), "toy.csv.gz") if zipped else write(content)
    assert locate(card) == path
    assert verify(card, path) in ("sha256 ok", "git blob ok")


def test_the_published_checksum_may_be_of_the_copy_with_crlf(folder, make_card, write):
    path = write(CONTENT)
    assert verify(make_card(source={"sha256": hashlib.sha256(CRLF).hexdigest()}), path)


def test_a_gzip_that_the_card_names_is_hashed_as_it_is(folder, make_card, write):
    zipped = gzip.compress(CONTENT)
    path = write(zipped, "toy.txt.gz")
    sha256 = hashlib.sha256(zipped).hexdigest()
    assert verify(make_card(file="toy.txt.gz", source={"sha256": sha256}), path) == "sha256 ok"
    with pytest.raises(UserError, match="is not the file"):
        verify(make_card(file="toy.txt.gz", source={"sha256": SHA256}), path)


@pytest.mark.parametrize(
    "altered", [CONTENT[:-1], CONTENT + b"\r", CONTENT.replace(b"1,2", b"1,3"), CRLF + b"\n", b""]
)
def test_any_other_change_is_noticed(altered, folder, make_card, write):
    path = write(altered)
    with pytest.raises(
        UserError, match=r"toy\.csv: is not the file that card 'toy' names"
    ) as caught:
        verify(make_card(source={"url": "http://x/toy", "sha256": SHA256}), path)
    assert hashlib.sha256(altered).hexdigest() in str(caught.value)
    assert str(caught.value).endswith("delete it and fetch it again from http://x/toy")


def test_a_verified_file_is_not_hashed_again_until_it_changes(
    folder, make_card, write, monkeypatch
):
    card = make_card(source={"sha256": SHA256})
    path = write(CONTENT)
    verify(card, path)
    calls: list[Path] = []
    real = checksum.sha256s
    monkeypatch.setattr(
        checksum, "sha256s", lambda card, path: calls.append(path) or real(card, path)
    )
    verify(card, path)
    assert calls == []
    path.write_bytes(CONTENT + b"x")
    with pytest.raises(UserError):
        verify(card, path)
    assert calls == [path]
    with pytest.raises(UserError):  # a wrong file is never remembered as right
        verify(make_card(source={"sha256": "0" * 64}), write(CONTENT))


def test_a_broken_gzip_is_one_clear_error(folder, make_card, write):
    whole = gzip.compress(CONTENT * 100)
    card = make_card(source={"sha256": SHA256})
    for broken in (whole[:-10], b"not gzip", whole[:40] + b"\xff\xff\xff" + whole[43:]):
        path = write(broken, "toy.csv.gz")
        with pytest.raises(UserError, match="is not a whole gzip file"):
            verify(card, path)


def test_the_embedded_data_set_is_found_wherever_the_data_folder_is(folder):
    card = load_card("akl_pedestrians")
    assert card.source.url is None
    path = fetch_data(card)
    assert path.parent.name == "datasets"
    assert verify(card, path) == "sha256 ok"


def test_a_copy_in_the_data_folder_comes_first(folder, make_card, write):
    other = Path("datasets")
    other.mkdir()
    (other / "toy.csv").write_bytes(CONTENT)
    assert locate(make_card()) == other / "toy.csv"
    zipped = write(gzip.compress(CONTENT), "toy.csv.gz")
    assert locate(make_card()) == zipped
    assert locate(make_card(file="none.csv")) is None
