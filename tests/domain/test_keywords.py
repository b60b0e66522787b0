"""A word is what people read, whatever stands around it; a sentence is no word."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import wishes
from app.domain.keywords import TWILIO_WORDS, Vocabulary, fold, read, sounds_like_stop
from app.models.incoming import OptOut

ENGLISH = Vocabulary.of()
ALL = Vocabulary.of(["en", "es", "fr", "zh"])


@pytest.mark.parametrize(
    ("body", "what", "exact"),
    [
        # Twilio's help page on opt-out keywords: the whole text, any case.
        *((word, what, True) for word, what in TWILIO_WORDS.items()),
        ("stop", OptOut.STOP, True),
        (" Stop\n", OptOut.STOP, True),
        # CTIA Messaging Principles 5.1.3: whatever capitals, punctuation and so on.
        ("Stop.", OptOut.STOP, False),
        ("STOP!!!", OptOut.STOP, False),
        ("“STOP”", OptOut.STOP, False),
        ('"stop"', OptOut.STOP, False),
        ("«Stop»", OptOut.STOP, False),
        ("(stop)", OptOut.STOP, False),
        ("*stop*", OptOut.STOP, False),
        ("- stop -", OptOut.STOP, False),
        ("stop 🙏", OptOut.STOP, False),
        ("🛑STOP🛑", OptOut.STOP, False),
        ("Stop 👩‍👩‍👧", OptOut.STOP, False),
        ("\ufeffSTOP", OptOut.STOP, False),
        ("ST\u200bOP", OptOut.STOP, False),
        ("\u202eSTOP\u202c", OptOut.STOP, False),
        ("ST\u00adOP", OptOut.STOP, False),
        ("ＳＴＯＰ", OptOut.STOP, False),
        # UTS #39: letters of other scripts that nobody can tell apart.
        ("ЅТОР", OptOut.STOP, False),
        ("STΟP", OptOut.STOP, False),
        ("Stор!", OptOut.STOP, False),
        ("𝐒𝐓𝐎𝐏", OptOut.STOP, False),
        ("ⓈⓉⓄⓅ", OptOut.STOP, False),
        ("🆂🆃🅾🅿", OptOut.STOP, False),
        ("ꜱᴛᴏᴘ", OptOut.STOP, False),
        ("STOP 🅿️", OptOut.STOP, False),
        # Letters by their class, but nothing to be seen: Hangul fillers, a joiner of marks.
        ("STOP\u3164", OptOut.STOP, False),
        ("\u115fSTOP\uffa0", OptOut.STOP, False),
        ("S\u034fTOP", OptOut.STOP, False),
        # Words that only Python's upper case makes Twilio's, and blanks that only Python strips.
        ("\u017ftop", OptOut.STOP, False),
        ("STOP\u00a0", OptOut.STOP, False),
        ("opt—out", OptOut.STOP, False),
        ("Opt‑Out.", OptOut.STOP, False),
        ("stop–all", OptOut.STOP, False),
        ("STOP\u3000。", OptOut.STOP, False),
        ("Unsubscribe.", OptOut.STOP, False),
        # 47 CFR 64.1200(a)(10) names “opt out”.
        ("opt out", OptOut.STOP, False),
        ("Opt-Out", OptOut.STOP, False),
        ("OPT  OUT!", OptOut.STOP, False),
        ("stop all", OptOut.STOP, False),
        ("Yes!", OptOut.START, False),
        ("start.", OptOut.START, False),
        ("opt in", OptOut.START, False),
        ("Help?", OptOut.HELP, False),
        ("info…", OptOut.HELP, False),
    ],
)
def test_one_word_in_the_hand_it_is_written_in(body: str, what: OptOut, exact: bool) -> None:
    asked = ENGLISH.read(body)
    assert asked is not None
    assert (asked.what, asked.exact) == (what, exact)


@pytest.mark.parametrize(
    "body",
    [
        "Stop. Thank you", "please stop", "stop please", "Stop by the office at 5", "STOPPING",
        "unstoppable", "stop?no", "S T O P", "the end", "yes please", "not yes", "help me", "",
        "   ", "!!!", "🛑", "1", "\u200b", "stop\n\nsent from my phone", "PARAR", "ARRET", "退订",
        "opt out now", "all stop",
    ],
)  # fmt: skip
def test_sentences_and_other_words_are_none(body: str) -> None:
    assert ENGLISH.read(body) is None


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("PARAR", OptOut.STOP), ("parar.", OptOut.STOP), ("¡ALTO!", OptOut.STOP),
        ("Cancelar", OptOut.STOP), ("darse de baja", None), ("AYUDA", OptOut.HELP),
        ("ayuda!", OptOut.HELP), ("Información", OptOut.HELP), ("informacion", OptOut.HELP),
        ("INICIAR", OptOut.START), ("ARRET", OptOut.STOP), ("Arrêt", OptOut.STOP),
        ("结束", OptOut.STOP), ("結束！", OptOut.STOP),
        ("ARRÊTE!", OptOut.STOP), ("ARRETT", OptOut.STOP), ("désabonner", OptOut.STOP),
        ("Aide ?", OptOut.HELP), ("début", OptOut.START), ("退订", OptOut.STOP),
        ("退訂。", OptOut.STOP), ("停止！", OptOut.STOP), ("td", OptOut.STOP),
        ("帮助", OptOut.HELP), ("开始", OptOut.START), ("no más mensajes", None),
    ],
)  # fmt: skip
def test_words_of_the_languages_of_a_client(body: str, what: OptOut | None) -> None:
    asked = ALL.read(body)
    assert (asked.what if asked else None) == what
    assert asked is None or not asked.exact


def test_words_of_an_owner_count_but_never_change_what_twilios_mean() -> None:
    own = Vocabulary.of(["en"], {"stop": ["Aufhören", "NO MAS", "help"]})
    assert [bool(own.read(one)) for one in ("aufhoren!", "no más", "nomas")] == [True, True, False]
    asked = own.read("help")
    assert asked is not None
    assert asked.what is OptOut.HELP


@pytest.mark.parametrize(
    ("body", "word"),
    [("Hours?", "HOURS"), ("“hours”", "HOURS"), ("hours 🙂", "HOURS"), ("Año!", "AÑO"),
     ("what  hours", "WHAT HOURS"), ("A1", "A1"), ("x" * 201, "")],
)  # fmt: skip
def test_a_numbers_own_keywords_are_read_the_same_way(body: str, word: str) -> None:
    assert read(body) == word


_AROUND = st.text(
    st.characters(categories=["P", "S", "Z", "Cc", "Cf", "Mn"], exclude_characters="\u0338\u20e3"),
    max_size=12,
)


@given(_AROUND, st.sampled_from(sorted(TWILIO_WORDS)), _AROUND)
def test_whatever_says_nothing_around_a_word_changes_nothing(
    before: str, word: str, after: str
) -> None:
    around = f"{before} {word.lower()} {after}"
    if read(before) or read(after):
        return  # NFKC makes letters of some symbols: those say something
    asked = ENGLISH.read(around)
    assert asked is not None
    assert asked.what is TWILIO_WORDS[word]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_reading_is_settled_after_once(text: str) -> None:
    assert read(read(text)) == read(text)
    assert fold(fold(text)) == fold(text)


@given(st.text(st.characters(codec="ascii"), max_size=190))
def test_plain_letters_are_read_by_the_same_rules_as_any(text: str) -> None:
    """What cannot be seen changes nothing, but takes a text past the short way of ASCII."""
    assert read(text + "\u200b") == read(text)
    assert fold(text + "\u200b") == fold(text)


@pytest.mark.parametrize(
    "body",
    [
        "Stop. Thank you", "no más mensajes", "arrêtez vos messages", "please cancel all texts",
        "End these messages", "cancel my subscription", "basta ya", "Parar, por favor",
        "¡alto ya!", "不要再给我发短信",
        # What is not quite the word is for a person to read.
        "S T O P", "s.t.o.p", "S-T-O-P!", "stooop", "STOPP", "Sttop", "stpo", "SOTP", "unsuscribe",
        "UNSUBCRIBE", "unsubscibe", "unsubscribed",
        "st0p", "$top", "STOP2END", "unsub", "un-subscribe", "opt.out please", "Remove", "delete.",
        "no more", "NO MÁS", "not interested", "this is spam", "lose my number", "Wrong person",
        "I don't want these", "I no longer wish to receive texts", "ya no quiero mensajes",
        "déjenme en paz", "Quítenme de la lista", "sáquenme", "por favor paren",
        "je ne veux plus recevoir de messages", "retirez-moi de la liste", "enlevez mon numéro",
        "别发了", "请停止发送", "不想收到", "拒收", "請不要再傳", "别再传了",
        # A word of 47 CFR 64.1200(a)(10) or of a carrier, and a please or thanks.
        "Cancel please", "please cancel", "quit, thanks", "END PLEASE!", "Unsubscribe, thank you",
        "pls unsubscribe", "ok, revoke", "Opt out, thx", "Arrêtez s’il vous plaît", "arrêt svp",
        "Désabonner, merci", "Baja, por favor", "cancelar por favor", "Por favor: PARAR",
        "Fin, gracias", "Ok. Basta.", "STOPALL now", "取消, thanks",
    ],
)  # fmt: skip
def test_a_wish_is_heard_in_each_language_and_spelling(body: str) -> None:
    assert ALL.read(body) is None
    assert sounds_like_stop(body)


@given(st.text(st.sampled_from("stop unsbc.$0mesagidlTEX más不要发退订dejnqutrépulw"), max_size=40))
def test_the_short_way_to_no_wish_is_the_same(body: str) -> None:
    heard = any(wish.search(body) for wish in wishes.WISHES)
    assert wishes.is_one(body) is heard


@pytest.mark.parametrize("body", ["PARAR", "baja", "Arrêt!", "arrêtez", "退订", "DESABONNER"])
def test_a_word_of_a_language_that_the_client_has_not_is_heard_as_a_wish(body: str) -> None:
    assert ENGLISH.read(body) is None
    assert sounds_like_stop(body)


@pytest.mark.parametrize(
    "body",
    [
        "shop", "step", "top", "stoic", "post", "spot", "pots", "opts", "stop by at 5", "subscribe",
        "Stop sign on Main St.", "bus stop 5 is closed", "the end of term", "a s k", "S. T. Olp",
        "weekend texts", "please cancel my room", "end the call", "el más alto", "una parada", "",
        "Where is the bus stop?", "is it non-stop",
        "please help", "thanks", "ok", "yes please", "now", "start please", "info, thanks",
        "the end, ok", "please cancel my seat", "ok, end of May", "merci bien", "danke",
        "last stop", "don't stop!", "how much more?", "there is no more room", "t", "TD",
        "no quiero ir", "je ne veux pas venir", "我想取消预约",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_wish_is_none(body: str) -> None:
    assert not sounds_like_stop(body)
