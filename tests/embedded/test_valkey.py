"""The embedded Valkey: one per folder, and never longer alive than its starter."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from embedded import valkey
from tests.support.processes import ROOT, alive, wait_until

STARTER = """
import sys, time
from pathlib import Path
from embedded import valkey
server = valkey.start(Path(sys.argv[1]))
print(server.process.pid, server.url, flush=True)
time.sleep(60)
"""


def test_it_speaks_redis_on_a_socket_only_we_may_use(tmp_path: Path) -> None:
    server = valkey.start(tmp_path)
    try:
        with redis.Redis.from_url(server.url) as client:
            assert client.set("key", "value")
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert server.socket.stat().st_mode & 0o077 == 0
    finally:
        server.stop()


def test_a_second_start_uses_the_first_server(tmp_path: Path) -> None:
    first = valkey.start(tmp_path)
    try:
        second = valkey.start(tmp_path)
        assert second.process is None
        assert second.url == first.url
        second.stop()
        assert first.process is not None
        assert first.process.poll() is None, "whoever attached must not stop it"
    finally:
        first.stop()


def test_data_survives_a_stop_and_a_start(tmp_path: Path) -> None:
    for expected in (None, b"value"):
        server = valkey.start(tmp_path)
        with redis.Redis.from_url(server.url) as client:
            assert client.get("key") == expected
            client.set("key", "value")
        server.stop()


def test_a_folder_with_a_long_path_works(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    server = valkey.start(folder)
    try:
        assert len(os.fsencode(server.socket)) < 108
        assert valkey.start(folder).process is None
    finally:
        server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that we died")
def test_it_dies_when_its_starter_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        pid, url = starter.stdout.readline().split()
        assert alive(int(pid))
        starter.send_signal(signal.SIGKILL)
    wait_until(lambda: not alive(int(pid)), "Valkey dies with its starter", 10)
    server = valkey.start(tmp_path)
    assert server.process is not None, "the lock died with the server"
    assert server.url == url
    server.stop()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("a file where Valkey needs a folder")
    with pytest.raises(valkey.StartError, match=r"(?s)ended at once:.*appendonlydir: Not a dir"):
        valkey.start(tmp_path)
