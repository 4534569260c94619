"""classifier --weights URL against servers on the loopback: whole, continued, broken off, redirected, refused."""

import hashlib
import http.server
import os
import re
import signal
import subprocess
import threading
import time

import pytest
import torch
import torchvision
from helpers import MUTILS, fails, report, succeeds

NAME = "squeezenet1_1"


class Handler(http.server.BaseHTTPRequestHandler):
    """A file, its parts where they are asked for, and what the server is told to do wrong."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, dict(self.headers)))
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        body, start = server.body, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and server.has_parts and self.headers.get("If-Range", server.tag) == server.tag:
            start = int(asked[1])
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if server.tag:
            self.send_header("ETag", server.tag)
        if server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for first in range(start, len(body), 65536):
                part = body[first : first + 65536]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            if not server.breaks_after:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True
            return
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        if server.breaks_after:
            rest = rest[: server.breaks_after]
            self.close_connection = True
        for first in range(0, len(rest), 65536):
            self.wfile.write(rest[first : first + 65536])
            time.sleep(server.pause)


@pytest.fixture
def server(tmp_path):
    model = torchvision.models.squeezenet1_1()
    torch.save(model.state_dict(), tmp_path / "source.pth")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.body = (tmp_path / "source.pth").read_bytes()
    server.digest = hashlib.sha256(server.body).hexdigest()
    server.requests, server.redirect = [], ""
    server.has_parts, server.tag, server.chunked, server.breaks_after, server.pause = True, '"one"', False, 0, 0
    server.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "hub" / "checkpoints"


def arguments(server, file, tmp_path):
    url = file if "://" in file else f"{server.address}/{file}"
    return ["classifier", NAME, "--classes", 3, "--weights", url], {"TORCH_HOME": tmp_path}


def fetch(server, file, tmp_path):
    words, environment = arguments(server, file, tmp_path)
    return report(*words, environment=environment)


def refuses(server, file, tmp_path, *parts):
    words, environment = arguments(server, file, tmp_path)
    result = fails(*words, "-o", tmp_path / "out.pt", environment=environment)
    assert all(part in result.err for part in parts), result.err
    assert not (tmp_path / "out.pt").exists()


def test_whole(server, cache, tmp_path):
    file = f"net-{server.digest[:8]}.pth"
    assert fetch(server, file, tmp_path)["weights"] == str(cache / file)
    assert [p.name for p in cache.iterdir()] == [file]
    assert (cache / file).read_bytes() == server.body
    fetch(server, file, tmp_path)
    assert len(server.requests) == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_without_a_hash(server, cache, tmp_path, chunked):
    server.chunked = chunked
    fetch(server, "net.pth?download=1", tmp_path)
    assert (cache / "net.pth").read_bytes() == server.body


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("tag", ['"one"', "", 'W/"weak"'])
@pytest.mark.parametrize("has_parts", [True, False])
def test_broken_off_and_continued(server, cache, tmp_path, hashed, tag, has_parts):
    server.tag, server.has_parts, server.breaks_after = tag, has_parts, 1_000_000
    file = f"net-{server.digest[:12]}.pth" if hashed else "net.pth"
    refuses(server, file, tmp_path, "broke off after 1000000 of", "the same command continues it")
    assert (cache / f"{file}.part").read_bytes() == server.body[:1_000_000]
    server.breaks_after = 0
    fetch(server, file, tmp_path)
    assert (cache / file).read_bytes() == server.body and [p.name for p in cache.iterdir()] == [file]
    asked = server.requests[1][1].get("Range")
    assert asked == ("bytes=1000000-" if hashed or tag == '"one"' else None)


def test_chunks_broken_off(server, cache, tmp_path):
    server.chunked, server.breaks_after = True, 1
    refuses(server, "net.pth", tmp_path, "broke off after")


def test_changed_meanwhile(server, cache, tmp_path):
    server.breaks_after = 1_000_000
    refuses(server, "net.pth", tmp_path, "broke off")
    server.breaks_after, server.tag = 0, '"two"'
    torch.save({k: v + 1 for k, v in torch.load(tmp_path / "source.pth").items()}, tmp_path / "source.pth")
    server.body = (tmp_path / "source.pth").read_bytes()
    fetch(server, "net.pth", tmp_path)
    assert (cache / "net.pth").read_bytes() == server.body
    assert server.requests[1][1]["If-Range"] == '"one"'


def test_killed_and_continued(server, cache, tmp_path):
    server.pause = 0.5
    words, environment = arguments(server, "net.pth", tmp_path)
    for number in (signal.SIGINT, signal.SIGKILL):
        child = subprocess.Popen([MUTILS, *map(str, words)], env=os.environ | {k: str(v) for k, v in environment.items()})
        size = (cache / "net.pth.part").stat().st_size if (cache / "net.pth.part").exists() else 0
        deadline = time.monotonic() + 30
        while not ((cache / "net.pth.part").exists() and (cache / "net.pth.part").stat().st_size > size):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.send_signal(number)
        assert child.wait(30) == -number
        assert not (cache / "net.pth").exists()
    server.pause = 0
    fetch(server, "net.pth", tmp_path)
    assert (cache / "net.pth").read_bytes() == server.body
    assert server.requests[-1][1]["Range"] != "bytes=0-"


def test_wrong_hash(server, cache, tmp_path):
    refuses(server, "net-00000000.pth", tmp_path, "is not what its name says", server.digest[:8])
    assert list(cache.iterdir()) == []


def test_404(server, cache, tmp_path):
    refuses(server, "missing.pth", tmp_path, "the server answers 404 Not Found")
    assert not (cache / "missing.pth").exists()


def test_nobody_there(server, tmp_path):
    refuses(server, "http://127.0.0.1:1/net.pth", tmp_path, "cannot be downloaded")


@pytest.mark.parametrize("target", ["absolute", "relative", "loop", "file", "ftp", "other"])
def test_redirects(server, cache, tmp_path, target):
    server.redirect = {
        "absolute": f"{server.address}/elsewhere.bin",
        "relative": "../elsewhere.bin",
        "loop": "/to/net.pth",
        "file": f"file://{tmp_path}/source.pth",
        "ftp": "ftp://127.0.0.1/net.pth",
        "other": "dict://127.0.0.1:11211/stats",
    }[target]
    if target in ("absolute", "relative"):
        fetch(server, "to/net.pth", tmp_path)
        assert (cache / "net.pth").read_bytes() == server.body
    elif target == "loop":
        refuses(server, "to/net.pth", tmp_path, "redirects more than ten times")
    else:
        refuses(server, "to/net.pth", tmp_path, "redirects to", "which is not followed")
    if target not in ("absolute", "relative"):
        assert not (cache / "net.pth").exists()


def test_password_is_not_shown(server, cache, tmp_path):
    url = server.address.replace("http://", "http://user:secret@") + "/missing.pth"
    words, environment = arguments(server, url, tmp_path)
    result = fails(*words, environment=environment)
    assert "secret" not in result.err and "404" in result.err
    assert server.requests[0][1]["Authorization"].startswith("Basic ")


def test_addresses(server, tmp_path):
    for url in ("http://127.0.0.1:1", "http://127.0.0.1:1/", "http://127.0.0.1:1/a/..", "http://127.0.0.1:1/.hidden"):
        refuses(server, url, tmp_path, "names no file")


def test_no_libcurl(server, tmp_path):
    """Libraries of that name that cannot be loaded stand in the way."""
    folder = tmp_path / "libraries"
    folder.mkdir()
    for library in ("libcurl.so.4", "libcurl-gnutls.so.4"):
        (folder / library).write_bytes(b"no library")
    words, environment = arguments(server, "net.pth", tmp_path)
    result = fails(*words, environment=environment | {"LD_LIBRARY_PATH": f"{folder}:{os.environ.get('LD_LIBRARY_PATH', '')}"})
    assert "there is no libcurl here" in result.err and "by hand" in result.err


def test_two_at_a_time(server, cache, tmp_path):
    server.pause = 0.02
    words, environment = arguments(server, "net.pth", tmp_path)
    environment = os.environ | {k: str(v) for k, v in environment.items()}
    first = subprocess.Popen([MUTILS, *map(str, words)], env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (cache / "net.pth.part").exists() or (cache / "net.pth.part").stat().st_size == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    refuses(server, "net.pth", tmp_path, "is being downloaded by another process")
    assert first.wait(60) == 0
    assert (cache / "net.pth").read_bytes() == server.body


def test_output(server, tmp_path):
    words, environment = arguments(server, "net.pth", tmp_path)
    result = succeeds(*words, "-o", tmp_path / "out.pt", environment=environment)
    assert result.out.splitlines()[-1] == f"Saved {tmp_path}/out.pt" and result.err == ""
    state = torch.load(tmp_path / "out.pt", weights_only=True)
    assert state["classifier.1.weight"].shape == (3, 512, 1, 1)
