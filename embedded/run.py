"""`make run`: the whole of Dispatch on this machine, with a local Twilio to try it on.

Starts an embedded Valkey, an SQLite file, the processes of Dispatch and the sandbox, applies
the demonstration's configuration, and prints what to open and what to type. Ctrl-C ends it all.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from embedded import demo, valkey
from embedded.process import StartError, free_port
from embedded.supervisor import Supervisor, read_procfile

ROOT = Path(__file__).resolve().parent.parent
INSTANCE = ROOT / "instance"
DEMO_FILE = ROOT / "sandbox" / "demo.yaml"
# Python's import of everything on a slow, cold disk.
_HEALTHY_WITHIN = 90.0
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> int:
    """Run until a signal ends us; return the exit code."""
    stopping = _stop_on_signals()
    INSTANCE.mkdir(exist_ok=True)
    try:
        with _only_one():
            return _serve(stopping)
    except StartError as error:
        print(f"\nDispatch did not start. {error}", file=sys.stderr)
        return 1


def demo_environment(environ: Mapping[str, str], redis_url: str) -> dict[str, str]:
    """Return the settings of the demonstration; what the caller has set already wins.

    Ports that are taken are replaced by free ones.
    """
    port = free_port(int(environ.get("PORT") or 8000))
    sandbox = free_port(*(p for p in (int(environ.get("SANDBOX_PORT") or 8001),) if p != port))
    smtp = free_port(*(p for p in (int(environ.get("SANDBOX_SMTP_PORT") or 8025),) if p != port))
    defaults = {
        "ENVIRONMENT": "development",
        "DATABASE_URL": f"sqlite:///{INSTANCE / 'dispatch.db'}",
        "REDIS_URL": redis_url,
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "TWILIO_API_BASE_URL": f"http://127.0.0.1:{sandbox}",
        "SMTP_URL": f"smtp://127.0.0.1:{smtp}",
        "MAIL_FROM": "dispatch@example.edu",
        "SUPPORT_EMAIL": "support@example.edu",
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
        "SANDBOX_STATE": str(INSTANCE / "sandbox.json"),
        "SANDBOX_PUBLIC_URL": f"http://127.0.0.1:{sandbox}",
        "WEB_CONCURRENCY": "2",
    }
    chosen = {
        # This machine only: the demonstration's passwords are in the repository.
        "BIND": f"127.0.0.1:{port}",
        "PORT": str(port),
        "SANDBOX_PORT": str(sandbox),
        "SANDBOX_APP_URL": f"http://127.0.0.1:{port}",
        "SANDBOX_SMTP_PORT": str(smtp),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        # The workers and the clock too, so that what is loaded is in memory once.
        "ONE_PARENT": "1",
        # Lower case wins over NO_PROXY; our own addresses are never behind a proxy.
        "no_proxy": ",".join(
            filter(
                None, (environ.get("no_proxy") or environ.get("NO_PROXY"), "127.0.0.1,localhost")
            )
        ),
    }
    return {**defaults, **environ, **chosen}


def _serve(stopping: Callable[[], bool]) -> int:
    print("Starting Valkey", flush=True)
    server = valkey.start(INSTANCE / "valkey")
    try:
        env = demo_environment(os.environ, server.url)
        for name, usual in (("PORT", "8000"), ("SANDBOX_PORT", "8001")):
            if env[name] != (wanted := os.environ.get(name) or usual):
                print(f"Port {wanted} is taken: using {env[name]} as {name}", flush=True)
        with Supervisor(ROOT, env) as supervisor:
            return _run_services(supervisor, env, stopping)
    finally:
        server.stop()
        print("Stopped.", flush=True)


def _run_services(
    supervisor: Supervisor, env: Mapping[str, str], stopping: Callable[[], bool]
) -> int:
    # What does not need the other starts beside it: each begins with a second of importing.
    supervisor.add("sandbox", f"{sys.executable} -m sandbox")
    _flask(env, stopping, "db", "upgrade")
    supervisor.add("dispatch", read_procfile(ROOT / "Procfile")["web"])
    _wait_for(supervisor, [f"http://127.0.0.1:{env['SANDBOX_PORT']}/"], stopping)
    if not stopping():
        _flask(env, stopping, "apply", str(DEMO_FILE.relative_to(ROOT)))
    base = f"http://127.0.0.1:{env['PORT']}"
    _wait_for(supervisor, [f"{base}/healthz", f"{base}/readyz"], stopping)
    settled = time.monotonic() + 0.3  # the first lines of every process come before the welcome
    supervisor.run(until=lambda: stopping() or time.monotonic() > settled)
    if not stopping():
        _print_welcome(env)
    supervisor.run(until=stopping)
    print("\nStopping; this takes a few seconds", flush=True)
    return 0


def _flask(env: Mapping[str, str], stopping: Callable[[], bool], *arguments: str) -> None:
    print(f"flask {' '.join(arguments)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *arguments], cwd=ROOT, env=env, check=False
    )
    if done.returncode != 0 and not stopping():
        raise StartError(f"`flask {' '.join(arguments)}` failed; it says why above.")


def _wait_for(supervisor: Supervisor, urls: list[str], stopping: Callable[[], bool]) -> None:
    waiting = list(urls)
    deadline = time.monotonic() + _HEALTHY_WITHIN

    def ready() -> bool:
        while waiting and _answers(waiting[0]):
            waiting.pop(0)
        return not waiting or stopping() or time.monotonic() > deadline

    supervisor.run(until=ready)
    if waiting and not stopping():
        raise StartError(
            f"{waiting[0]} did not answer within {_HEALTHY_WITHIN:g} s; the lines above say why."
        )


def _answers(url: str) -> bool:
    try:
        with _DIRECTLY.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _print_welcome(env: Mapping[str, str]) -> None:
    base = env["PUBLIC_BASE_URL"]
    lines = [
        "",
        "Dispatch is running. Ctrl-C stops it.",
        "",
        f"  Staff          {base}/staff/",
        f"  API            {base}/api/docs",
        f"  Phone to try   http://127.0.0.1:{env['SANDBOX_PORT']}/",
    ]
    found = demo.read(DEMO_FILE, env)
    if found:
        lines += [
            f"  Demo number    {found.number}",
            *(f"  Login          {email}   {password}" for email, password in found.logins),
            "",
            "Text the demo number as Twilio would; the answer is TwiML:",
            "",
            demo.signed_curl(found, base),
        ]
    print("\n".join(lines), end="\n\n", flush=True)


def _stop_on_signals() -> Callable[[], bool]:
    received: list[int] = []

    def note(number: int, _: object) -> None:
        received.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
    return lambda: bool(received)


@contextmanager
def _only_one() -> Iterator[None]:
    """Hold the instance folder's lock: two demonstrations would work on one database."""
    with (INSTANCE / "run.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                "It already runs from this folder: use that one, or stop it first."
            ) from None
        yield


if __name__ == "__main__":
    sys.exit(main())
