"""How the web process is served; what differs between machines is an environment variable."""

import faulthandler
import gc
import os
import shutil
import sys
import tempfile

# Counters for /metrics are shared by all workers through files in one folder, made before the first
# worker starts and removed with the last.
_own_metrics = "PROMETHEUS_MULTIPROC_DIR" not in os.environ
if _own_metrics:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="dispatch-metrics-")

# Only now: which way the counters count is decided when they are made.
from prometheus_client import multiprocess  # noqa: E402

from app.cli.processes import beside_the_web  # noqa: E402
from app.serving import pools  # noqa: E402
from app.serving.worker import BulkheadWorker  # noqa: E402
from config import SettingsError, listen_address, one_parent, web_concurrency  # noqa: E402

try:
    bind = listen_address()
    _concurrency = web_concurrency()
    _all_in_one = one_parent()
except SettingsError as error:
    sys.exit(f"Dispatch cannot start: {error}")

# One process reads requests, the others run the application: half and more of them answer Twilio
# and do nothing else, the rest is for reports and for people. See app/serving.
worker_class = BulkheadWorker
workers = 1 + max(pools.FEWEST, _concurrency)

# With ONE_PARENT=1 the workers of the queues and the clock as well, so that what is loaded is in
# memory once.
if _all_in_one:
    BulkheadWorker.beside = beside_the_web()
    workers += len(BulkheadWorker.beside)

# Of each process whose pool may have several: see app.serving.pools.threads.
threads = 4

# Loaded once; what the workers do not change they share.
preload_app = True

# Twilio gives up after 15 s; a worker that is silent for longer is lost and replaced.
timeout = 30
graceful_timeout = 10

# The answer is written by ourselves, so that a slow reader holds nobody.
sendfile = False
backlog = 2048

# Memory that a long life accumulates is given back, at different times per worker.
max_requests = 20_000
max_requests_jitter = 4_000

# Heartbeats in memory: on a slow disk they would block the worker.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - a heartbeat only


def when_ready(server):
    """Keep what is loaded, and shared, out of the garbage collector's sight."""
    gc.collect()
    gc.freeze()
    server.handle_ttin = server.handle_ttou = lambda: server.log.warning(
        "The number of processes is set by WEB_CONCURRENCY; restart after changing it."
    )


def pre_fork(server, worker):
    """Give a new worker the part that is missing."""
    worker.play_a_part(server.WORKERS.values())


def worker_abort(worker):
    """Say what a worker that is taken for lost was doing."""
    del worker
    faulthandler.dump_traceback(all_threads=True)


def child_exit(server, worker):
    """Take what a process said of itself out of the figures when it is gone."""
    del server
    multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    """Remove the counters' folder if it is ours."""
    del server
    if _own_metrics:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


# Signals do what we need; the socket would be one per user, shared by all that this user runs.
control_socket_disable = True

# The proxy is trusted by TRUSTED_PROXY_HOPS inside the application, in one place, not here.
forwarded_allow_ips = ""
