"""An answer is what somebody wrote: without what they quote, and without their signature.

The quotations are as the programs named write them; the footers as people have them.
"""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.mail_tags import ANSWER_ABOVE
from app.mailbox import mail, wording
from tests.support import cost

OURS = "dispatch+r01jdr3v8c2m4k6n8p0q2s4t6v8abcdefgh23456@example.edu"
SENT = f"""{ANSWER_ABOVE}

From: Ada, +13195550150
To:   +13195550100 (registrar)

    Are you open today?

Your answer to this mail goes to that person as a text"""
QUOTED = "\n".join(f"> {line}" for line in SENT.split("\n"))


def text(body: str, subtype: str = "plain") -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made.set_content(body, subtype=subtype)
    return mail.read(made.as_bytes()).message


ANSWERS = {
    "nothing quoted": ("Yes, until five.", "Yes, until five."),
    "Gmail": (
        f"Yes, until five.\n\nOn Sat, Nov 28, 2026 at 1:00 PM Dispatch <{OURS}>\nwrote:\n{QUOTED}",
        "Yes, until five.",
    ),
    "Gmail in Chinese": (
        f"开到五点。\n\nDispatch <{OURS}> 于2026年11月28日周六 13:00写道：\n\n{QUOTED}",
        "开到五点。",
    ),
    "Gmail in Portuguese": (
        f"Sim.\n\nEm sáb., 28 de nov. de 2026 às 13:00, Dispatch <{OURS}>\nescreveu:\n\n{QUOTED}",
        "Sim.",
    ),
    "Apple Mail in German": (
        f"Ja, bis fünf.\n\nAm 28.11.2026 um 13:00 schrieb Dispatch <{OURS}>:\n\n{QUOTED}",
        "Ja, bis fünf.",
    ),
    **{
        f"{name}, nothing of ours left": (
            f"Yes.\n\n{line.format(f'Dispatch <{OURS}>')}\n> Hi", "Yes.",
        )
        for name, line in {
            "Gmail": "On Sat, Nov 28, 2026 at 1:00 PM {} wrote:",
            "Gmail, in two lines": "On Sat, Nov 28, 2026 at 1:00 PM {}\nwrote:",
            "Gmail in Polish": "sob., 28 lis 2026 o 13:00 {} napisał(a):",
            "Gmail in Dutch": "Op za 28 nov 2026 om 13:00 schreef {}:",
            "Gmail in Turkish": "{}, 28 Kas 2026 Cmt, 13:00 tarihinde şunu yazdı:",
            "Gmail in Russian": "сб, 28 нояб. 2026 г. в 13:00, {}:",
            "Gmail in Arabic": "\u202bفي السبت، 28 نوفمبر 2026 تمت كتابة ما يلي بواسطة {}:",
            "Gmail in Hindi": "शनि, 28 नव॰ 2026 को 1:00 pm बजे को {} ने लिखा:",
            "Gmail in Vietnamese": "Vào Th 7, 28 thg 11, 2026 lúc 13:00 {} đã viết:",
            "Gmail in Japanese": "2026年11月28日(土) 13:00 {}:",
            "Thunderbird in Czech": "Dne 28. 11. 26 v 13:00 {} napsal(a):",
            "Apple Mail in Italian": "Il giorno 28 nov 2026, alle ore 13:00, {} ha scritto:",
        }.items()
    },
    "below what is quoted in Turkish": (
        f"Dispatch <{OURS}>, 28 Kas 2026 tarihinde şunu yazdı:\n> Hi\n\nEvet.", "Evet.",
    ),
    "an address of somebody else": (
        "Write to pat@example.edu:\nshe knows.", "Write to pat@example.edu:\nshe knows.",
    ),
    "Outlook": (
        "Yes, until five.\n\nFrom: Dispatch <dispatch@example.edu>\nSent: Saturday, November 28,"
        f" 2026 1:00 PM\nTo: Help Desk\nSubject: Text from Ada\n\n{SENT}",
        "Yes, until five.",
    ),
    "Outlook in Spanish, nothing of ours left": (
        "Sí, hasta las cinco.\n\nDe: Dispatch <dispatch@example.edu>\nEnviado: sábado, 28 de"
        " noviembre de 2026 13:00\nPara: Help\nAsunto: Text from Ada\n\nhola",
        "Sí, hasta las cinco.",
    ),
    "Outlook's old line": (
        f"Yes.\n\n-----Original Message-----\nFrom: Dispatch\nSent: Saturday\n\n{SENT}", "Yes.",
    ),
    "a phone": (f"Yes\n\nSent from my iPhone\n\n> On Nov 28, Dispatch <{OURS}> wrote:\n>\n{QUOTED}",
                "Yes"),
    "dashes": ("We do.\n-- \nPat Doe\nHelp Desk\n319-335-0000", "We do."),
    "a farewell": ("We do.\n\nBest regards,\nPat Doe\nHelp Desk", "We do."),
    "a farewell in French": ("Oui.\n\nCordialement,\nPat Doe", "Oui."),
    "words that look like a farewell": (
        "Bring:\n- a pen\n- your ID\n\nThank you, see you there.\nRoom 4",
        "Bring:\n- a pen\n- your ID\n\nThank you, see you there.\nRoom 4",
    ),
    "thanks alone": ("Thanks!", "Thanks!"),
    "Gmail, of a long name": (
        "Yes.\n\nOn Mon, Jan 4, 2027 at 9:00 AM Registrar of the University <\n"
        f"{OURS}> wrote:\n\n{QUOTED}",
        "Yes.",
    ),
    "an iPhone in German": (
        "Ja.\n\nVon meinem iPhone gesendet\n\n> Am 04.01.2027 um 09:00 schrieb Dispatch"
        f" <{OURS}>:\n{QUOTED}",
        "Ja.",
    ),
    "an iPhone in French": ("Oui.\n\nEnvoyé de mon iPhone", "Oui."),
    "an iPhone in Chinese": ("好的。\n\n发自我的iPhone", "好的。"),
    "Mail for Windows": ("Yes.\n\nSent from Mail for Windows", "Yes."),
    "a Galaxy": ("Yes.\n\nSent via the Samsung Galaxy S22, an AT&T 5G smartphone", "Yes."),
    "Proton": ("Yes.\n\nSent with Proton Mail secure email.", "Yes."),
    "what was sent, in words": (
        "Sent from the office today, it takes a week.\nPat",
        "Sent from the office today, it takes a week.\nPat",
    ),
    "a notice of the institution": (
        "Yes.\n\nCONFIDENTIALITY NOTICE: This e-mail is intended solely for the addressee.\n\n"
        "If you are not, delete it.",
        "Yes.",
    ),
    "a notice without a title": (
        "Yes.\n\nThis message and any attachments may contain confidential information.", "Yes.",
    ),
    "a notice in German": ("Ja.\n\nDiese E-Mail enthält vertrauliche Informationen.", "Ja."),
    "words about confidence": (
        "Yes.\n\nThis message came too late, sorry.", "Yes.\n\nThis message came too late, sorry.",
    ),
    "a postscript": (
        "Yes.\n\nBest,\nPat\n\nP.S. Bring an ID.", "Yes.\n\nP.S. Bring an ID.",
    ),
    "thanks that go on": (
        "Yes.\n\nThanks,\nplease bring your ID", "Yes.\n\nThanks,\nplease bring your ID",
    ),
    "thanks before a sentence": (
        "Yes.\n\nThank you,\nSee you at five in room 12.",
        "Yes.\n\nThank you,\nSee you at five in room 12.",
    ),
    "what nobody sees": ("\u200bYes.\ufeff", "Yes."),
    "between quoted lines": ("> are you open?\nYes.\n> and on Sunday?\nNo.", "Yes.\nNo."),
    "below what is quoted, of which nothing is left": ("\n\nYes.\n", "Yes."),
    "paragraphs": ("One.\n\n\n\nTwo.", "One.\n\nTwo."),
    "nothing": (f"\n\n{QUOTED}", ""),
}  # fmt: skip


@pytest.mark.parametrize(("body", "written"), ANSWERS.values(), ids=ANSWERS)
def test_only_what_was_written_is_sent(body: str, written: str) -> None:
    assert wording.answer(text(body), OURS) == written


def test_html_is_read_where_there_is_nothing_else() -> None:
    html = (
        "<html><head><title>x</title><style>p{}</style></head><body><div>Yes, until&nbsp;five"
        " &amp; on Sunday.</div><div>Room\n 4</div><br><blockquote><div>On Saturday, Dispatch"
        f" wrote:</div><p>{ANSWER_ABOVE}</p></blockquote></body></html>"
    )
    assert wording.answer(text(html, "html"), OURS) == "Yes, until five & on Sunday.\n\nRoom 4"


def test_the_plain_part_counts_where_there_are_both() -> None:
    both = EmailMessage(policy=SMTP)
    both.set_content("Plain.")
    both.add_alternative("<p>Formatted.</p>", subtype="html")
    assert wording.answer(mail.read(both.as_bytes()).message, OURS) == "Plain."


@pytest.mark.parametrize("coding", ["utf-8", "iso-8859-1", "windows-1252", "gb18030"])
def test_any_charset_is_read(coding: str) -> None:
    made = EmailMessage(policy=SMTP)
    made.set_content("Schöne Grüße", charset=coding, cte="base64")
    assert wording.answer(mail.read(made.as_bytes()).message, OURS) == "Schöne Grüße"


LONG = {
    "lines": "\n" * 50_000, "blanks": " \n" * 50_000, "On": "On " * 50_000, "on a": "On a\n" * 9000,
    "headers": "From: x\n" * 9000, "quotes": "> " * 50_000, "lows": "_" * 50_000,
    "dashes": "-" * 50_000, "Am": "Am " * 50_000, "tags": "<div>" * 50_000,
}  # fmt: skip


@pytest.mark.parametrize("kind", ["plain", "html"])
@pytest.mark.parametrize("body", LONG.values(), ids=LONG)
def test_long_mails_take_no_long_time(body: str, kind: str) -> None:
    assert cost.seconds(lambda: wording.answer(text(body, kind), OURS), 5) < 5


@settings(deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"Content-Type: text/html; charset=x\n\n"]))
def test_any_bytes_are_some_answer(content: bytes, head: bytes) -> None:
    assert isinstance(wording.answer(mail.read(head + content).message, OURS), str)


def test_html_that_is_never_closed_takes_no_time() -> None:
    def read() -> None:
        assert wording.plain("<p>Yes" + "<div" * 200_000).strip().startswith("Yes")

    assert cost.seconds(read, 3) < 3
