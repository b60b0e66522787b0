"""A tapback is a reaction to a text of ours, and no message.

The forms are those of public reports: what Messages of iOS (English; Spanish and French as users
posted them) and Messages of Android send to whoever has no reactions.
"""

from __future__ import annotations

import pytest

from app.domain.reactions import Reaction, is_about, parse
from tests.support import cost

SENT = "Registrar: your class starts Monday. Reply STOP to opt out."


@pytest.mark.parametrize(
    ("body", "kind", "removed", "quotes"),
    [
        (f"Liked “{SENT}”", "like", False, SENT),
        (f"Loved “{SENT}”", "love", False, SENT),
        (f"Disliked “{SENT}”", "dislike", False, SENT),
        (f"Laughed at “{SENT}”", "laugh", False, SENT),
        (f"Emphasized “{SENT}”", "emphasize", False, SENT),
        (f"Emphasised “{SENT}”", "emphasize", False, SENT),
        (f"Questioned “{SENT}”", "question", False, SENT),
        (f'Liked "{SENT}"', "like", False, SENT),
        (f"Removed a like from “{SENT}”", "like", True, SENT),
        (f"Removed a heart from “{SENT}”", "love", True, SENT),
        (f"Removed a dislike from “{SENT}”", "dislike", True, SENT),
        (f"Removed a laugh from “{SENT}”", "laugh", True, SENT),
        (f"Removed an exclamation from “{SENT}”", "emphasize", True, SENT),
        (f"Removed a question mark from “{SENT}”", "question", True, SENT),
        ("Reacted 😂 to “Add gratuities”", "laugh", False, "Add gratuities"),
        ("Reacted 👍🏽 to “ok”", "like", False, "ok"),
        ("Reacted 👨‍👩‍👧 to “fam”", "other", False, "fam"),
        ("Reacted 🫡 to an image", "other", False, None),
        ("Removed 😂 from “x”", "laugh", True, "x"),
        ("Liked an image", "like", False, None),
        ("Loved a movie", "love", False, None),
        ("Laughed at an attachment", "laugh", False, None),
        ("Loved “he said “hi” to me”", "love", False, "he said “hi” to me"),
        ("Loved “two\nlines”", "love", False, "two\nlines"),
        # Android: hair spaces and zero-width spaces around picture and quotation.
        ("\u200a\u200b👍\u200b\u200a to “\u200a" + SENT + "\u200a”\u200a", "like", False, SENT),
        (f" 👍  to “ {SENT} ” ", "like", False, SENT),
        ("❤️ to “ ok ”", "love", False, "ok"),
        ("😢 to “ ok ”", "other", False, "ok"),
        ("Le encantó “hola”", "love", False, "hola"),
        ("Le gustó “hola”", "like", False, "hola"),
        ("No le gustó “hola”", "dislike", False, "hola"),
        ("Le dio risa “hola”", "laugh", False, "hola"),
        ("Exclamó por “hola”", "emphasize", False, "hola"),
        ("Dudó sobre “hola”", "question", False, "hola"),
        ("Le encantó una imagen", "love", False, None),
        ("Reaccionó con 🔥 a “hola”", "other", False, "hola"),
        ("a attribué la mention « Adore » à « ok »", "love", False, "ok"),
        ("a attribué la mention « J’aime » à « ok »", "like", False, "ok"),
        ("a attribué la mention « Je n’aime pas » à « ok »", "dislike", False, "ok"),
        ("a réagi avec 🔥 à « la photo »", "other", False, "la photo"),
        ("A aimé « ok »", "like", False, "ok"),
        (f"Liked ‘{SENT}’", "like", False, SENT),
        ("Loved 'don't be late'", "love", False, "don't be late"),
        ('Loved "he said "hi" to me"', "love", False, 'he said "hi" to me'),
        ("Liked “Registrar: your cla…", "like", False, "Registrar: your cla…"),
        ("Liked “Registrar: your cla...”", "like", False, "Registrar: your cla..."),
        (f"Liked “{SENT} {SENT}", "like", False, f"{SENT} {SENT}…"),
        ("👍 to “ Registrar: your cla…", "like", False, "Registrar: your cla…"),
        ("Removed a 🔥 reaction from “ok”", "other", True, "ok"),
        ("Removed a ❤️ from “ok”", "love", True, "ok"),
        ("Me gustó “hola”", "like", False, "hola"),
        ("Me encantó una foto", "love", False, None),
        # iOS 17 and later: stickers, several pictures at once, what else can be in a bubble.
        (f"Reacted with a sticker to “{SENT}”", "other", False, SENT),
        ("Removed a sticker from an image", "other", True, None),
        (f"Removed a reaction from “{SENT}”", "other", True, SENT),
        ("Loved 2 images", "love", False, None),
        ("Liked 3 photos", "like", False, None),
        ("Laughed at a GIF", "laugh", False, None),
        ("Loved a message", "love", False, None),
        ("Liked a contact card", "like", False, None),
        # Tests of mail and chat programs that read them, in French and Spanish.
        ("A mis en évidence « RDV 18h »", "emphasize", False, "RDV 18h"),
        ("A souligné « RDV 18h »", "emphasize", False, "RDV 18h"),
        ("S'est interrogé(e) sur « ok »", "question", False, "ok"),
        ("a ajouté un « J'aime » à « Message »", "like", False, "Message"),
        ("A retiré un J’aime de « à demain »", "like", True, "à demain"),
        ("Le ha encantado “hola”", "love", False, "hola"),
        ("👍 to an image", "like", False, None),
        ("👍 sur « ok »", "like", False, "ok"),
        ('👍 to " ok "', "like", False, "ok"),
        ("1️⃣ to “ok”", "other", False, "ok"),
        ("🏴\U000e0067\U000e0062\U000e007f to “ok”", "other", False, "ok"),
    ],
)  # fmt: skip
def test_reactions(body: str, kind: str, removed: bool, quotes: str | None) -> None:
    assert parse(body) == Reaction(kind, removed, quotes)


@pytest.mark.parametrize(
    "body",
    [
        "I liked “Hamlet”", "Liked it", "Loved the class", "liked", "Liked a lot", "“Liked”",
        "Liked “Hamlet”, but not the end", "Reacted badly to “x”", "Reacted to “x”",
        "Removed a banana from “x”", "👍", "👍👍", "to “x”", "ok to “x”", "Liked ", "", "STOP",
        "He said “I loved it” and left", "Liked “Hamlet", "Loved ‘Hamlet’ and ‘Othello’",
        "10 to “x”", "+1 to “x”", "? to “x”", "... to “x”", "Loved 2 classes", "👍 to everybody",
        "Liked “Hamlet”, but not “Othello”", 'Liked "Hamlet", but not "Othello"', "Liked “”",
    ],
)  # fmt: skip
def test_what_people_write_is_no_reaction(body: str) -> None:
    assert parse(body) is None


@pytest.mark.parametrize(
    ("quotes", "text", "expected"),
    [
        (SENT, SENT, True),
        ("two lines", "two\nlines", True),
        ("Registrar: your class starts…", SENT, True),
        ("Registrar: your class starts ...", SENT, True),
        ("Registrar: your class", SENT, False),
        ("R…", SENT, False),
        ("…", SENT, False),
        ("another text", SENT, False),
    ],
)
def test_what_a_quotation_is_of(quotes: str, text: str, expected: bool) -> None:
    assert is_about(quotes, text) is expected


@pytest.mark.parametrize(
    "piece",
    ["“", "Liked “", "👍 ", "👍\ufe0f\u200d", "0", " ", "a attribué la mention « ", "\u200b"],
)
def test_the_longest_text_is_read_in_proportion_to_its_length(piece: str) -> None:
    def took(length: int, limit: float) -> float:
        body = (piece * length)[:length]
        return cost.seconds(lambda: [parse(body) for _ in range(5)], limit)

    limit = 30 * max(took(1_600, 0), 0.002)
    assert took(16_000, limit) < limit
