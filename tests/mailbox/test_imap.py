"""A mailbox read by IMAP, at a real mail server: Dovecot, where it is installed."""

from __future__ import annotations

import imaplib
import os
import pwd
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from app.extensions import db
from app.mailbox import imap
from app.models.delivery import Delivery, DeliveryState
from app.models.house import SetAside
from app.models.message import Message
from embedded.process import free_port
from tests.mailbox.conftest import HelpDesk
from tests.mailbox.test_bounces import FAILED
from tests.support.certificates import Authority

DOVECOT = shutil.which("dovecot") or "/usr/sbin/dovecot"
pytestmark = [
    pytest.mark.database("sqlite"),
    pytest.mark.skipif(
        not Path(DOVECOT).exists() or os.getuid() != 0,
        reason="Dovecot is not installed (apt-get install dovecot-imapd), or this is not root",
    ),
]
USER, PASSWORD = "dispatch", "p@ss word"


@dataclass
class Server:
    """A mailbox and how to get at it."""

    port: int
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"imaps://{USER}:p%40ss%20word@127.0.0.1:{self.port}/Answers"

    def box(self) -> imaplib.IMAP4_SSL:
        box = imaplib.IMAP4_SSL("127.0.0.1", self.port, ssl_context=self.trust, timeout=5)
        box.login(USER, PASSWORD)
        box.create("Answers")
        box.select("Answers")
        return box

    def put(self, content: bytes) -> None:
        """Deliver a mail into the folder."""
        with self.box() as box:
            assert box.append("Answers", "", "", content)[0] == "OK"

    def flags(self) -> list[str]:
        """Return the flags of each mail."""
        with self.box() as box:
            found = box.fetch("1:*", "(FLAGS)")[1]
        return [
            " ".join(sorted(str(flag, "ascii") for flag in imaplib.ParseFlags(one)))
            .replace("\\Recent", "").strip()
            for one in found if isinstance(one, bytes)
        ]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = Path("/tmp") / f"dovecot-{os.getpid()}"  # its sockets' paths must be short
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    authority = Authority(folder)
    authority.server("127.0.0.1")
    (certificate,) = [one for one in folder.glob("*.pem") if one.name != "authority.pem"]
    port, nobody = free_port(), pwd.getpwnam("nobody")
    (folder / "mail").mkdir()
    os.chown(folder / "mail", nobody.pw_uid, nobody.pw_gid)
    (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    (folder / "users").chmod(0o644)
    (folder / "dovecot.conf").write_text(f"""
        base_dir = {folder}/run
        state_dir = {folder}/state
        log_path = {folder}/log
        protocols = imap
        listen = 127.0.0.1
        ssl = required
        ssl_cert = <{certificate}
        ssl_key = <{certificate}
        mail_location = maildir:{folder}/mail/%u
        first_valid_uid = 1
        first_valid_gid = 1
        passdb {{
          driver = passwd-file
          args = {folder}/users
        }}
        userdb {{
          driver = static
          args = uid={nobody.pw_uid} gid={nobody.pw_gid} home={folder}/mail
        }}
        service imap-login {{
          inet_listener imap {{
            port = 0
          }}
          inet_listener imaps {{
            port = {port}
          }}
        }}
        """)
    command = [DOVECOT, "-F", "-c", str(folder / "dovecot.conf")]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made = Server(port, authority.trusting())
    for _ in range(100):
        try:
            made.box().logout()
            break
        except (OSError, imaplib.IMAP4.error):
            time.sleep(0.1)
    else:
        pytest.fail((folder / "log").read_text())
    yield made
    running.terminate()
    running.wait(10)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def mailbox(server: Server) -> Iterator[Server]:
    yield server
    with server.box() as box:
        if box.search(None, "ALL")[1] != [b""]:  # "1:*" of nothing is refused
            box.store("1:*", "+FLAGS", r"(\Deleted)")
        box.expunge()


def fetch(desk: HelpDesk, mailbox: Server) -> int:
    with desk.app.app_context():
        return imap.fetch(mailbox.url, mailbox.trust)


def test_answers_and_bounces_are_taken_in_and_marked_as_read(
    desk: HelpDesk, mailbox: Server
) -> None:
    forwarded = desk.text()
    mailbox.put(desk.answer(forwarded, "Yes, until five.").as_bytes())
    path = desk.box.envelopes[-1][0].encode()
    mailbox.put(b"Delivered-To: " + path + b"\r\n" + FAILED)
    mailbox.put(b"From: pat@example.edu\r\nTo: dispatch@example.edu\r\n\r\nWho reads this?\r\n")
    assert fetch(desk, mailbox) == 3
    assert desk.rows.one(Message).body == "Yes, until five."
    assert {one.state for one in desk.rows.all(Delivery)} >= {DeliveryState.EXHAUSTED}
    # What is none of ours waits for a person; nothing is deleted.
    assert mailbox.flags() == ["\\Seen", "\\Seen", "\\Flagged \\Seen"]
    assert fetch(desk, mailbox) == 0


def test_a_crash_before_the_mark_does_nothing_twice(desk: HelpDesk, mailbox: Server) -> None:
    mailbox.put(desk.answer(desk.text(), "Yes.").as_bytes())
    fetch(desk, mailbox)
    with mailbox.box() as box:
        box.store("1:*", "-FLAGS", r"(\Seen)")
    assert fetch(desk, mailbox) == 1
    assert desk.rows.count(Message) == 1
    assert mailbox.flags() == ["\\Seen"]


def test_one_about_a_delivery_under_way_is_looked_at_again(desk: HelpDesk, mailbox: Server) -> None:
    desk.text()
    (delivery,) = desk.rows.all(Delivery)
    desk.rows.change(Delivery.__table__.update().values(state="in_flight"))  # type: ignore[attr-defined]
    mailbox.put(b"To: " + desk.box.envelopes[-1][0].encode() + b"\r\n" + FAILED)
    fetch(desk, mailbox)
    assert mailbox.flags() == [""]
    desk.rows.change(Delivery.__table__.update().values(state="delivered"))  # type: ignore[attr-defined]
    fetch(desk, mailbox)
    assert mailbox.flags() == ["\\Seen"]
    assert desk.rows.one(select(Delivery).where(Delivery.id == delivery.id)).bounced_at is not None


def test_one_that_makes_us_raise_keeps_no_other_waiting(
    desk: HelpDesk, mailbox: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    forwarded = desk.text()
    mailbox.put(desk.answer(forwarded, "poison").as_bytes())
    mailbox.put(desk.answer(forwarded, "Yes.").as_bytes())
    real = imap.take_in

    def take_in(content: bytes, *more: list[str]) -> int:
        if b"poison" in content:
            raise RuntimeError("defect")
        return real(content, *more)

    monkeypatch.setattr(imap, "take_in", take_in)
    fetch(desk, mailbox)
    assert desk.rows.one(Message).body == "Yes."
    assert desk.rows.one(SetAside).loop == "mail"
    assert mailbox.flags() == ["", "\\Seen"]


def test_a_mailbox_that_cannot_be_read_is_tried_again_later(
    desk: HelpDesk, mailbox: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = desk.app.extensions["settings"]
    for url in (
        mailbox.url,  # whose certificate nobody knows
        f"imaps://a:b@127.0.0.1:{free_port()}",
    ):
        object.__setattr__(settings, "mail_in_url", url)
        with desk.app.app_context():
            imap.tick()
            db.session.remove()
    with pytest.raises(imaplib.IMAP4.error), desk.app.app_context():
        imap.fetch(mailbox.url.replace("p%40ss", "wrong"), mailbox.trust)
    with pytest.raises(imaplib.IMAP4.error), desk.app.app_context():
        imap.fetch(f"{mailbox.url}/There is none", mailbox.trust)
