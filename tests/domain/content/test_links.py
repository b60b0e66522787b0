"""Web addresses in a text are rewritten; not a character around them is touched."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.content.links import CODE_LENGTH, location, new_code, rewrite

BASE = "https://d.example.edu"


@pytest.mark.parametrize(
    ("text", "urls", "rewritten"),
    [
        ("no link at all", [], "no link at all"),
        ("See https://a.edu/x.", ["https://a.edu/x"], "See {0}."),
        ("(https://a.edu/x)", ["https://a.edu/x"], "({0})"),
        ("https://a.edu/a_(b)", ["https://a.edu/a_(b)"], "{0}"),
        ("(see https://a.edu/a_(b)).", ["https://a.edu/a_(b)"], "(see {0})."),
        ("https://a.edu/?a=1&b=2#c!", ["https://a.edu/?a=1&b=2#c"], "{0}!"),
        ("HTTP://A.edu/X", ["HTTP://A.edu/X"], "{0}"),
        ("“https://a.edu/x”", ["https://a.edu/x"], "“{0}”"),
        ("<https://a.edu/x>", ["https://a.edu/x"], "<{0}>"),
        ("https://a.edu:8443/%C3%A9", ["https://a.edu:8443/%C3%A9"], "{0}"),
        ("https://a.edu\nhttps://b.edu", ["https://a.edu", "https://b.edu"], "{0}\n{1}"),
        ("https://a.edu and https://a.edu", ["https://a.edu"], "{0} and {0}"),
        ("www.a.edu, ftp://a.edu, mailto:x@a.edu, a.edu", [], None),
        ("http:// https://? https://", [], None),
        ("xhttps://a.edu", [], None),
        (f"{BASE}/l/abcdefghij", [], None),
        ("https://a.edu/" + "x" * 2048, [], None),
        ("https://[bad", [], None),
    ],
    ids=range(18),
)
def test_rewriting(text: str, urls: list[str], rewritten: str | None) -> None:
    codes = iter(f"{number:0{CODE_LENGTH}}" for number in range(9))
    result, links = rewrite(text, BASE, lambda: next(codes))
    assert [link.url for link in links] == urls
    expected = text if rewritten is None else rewritten
    for number, link in enumerate(links):
        expected = expected.replace(f"{{{number}}}", f"{BASE}/l/{link.code}")
    assert result == expected


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        # What people reported of link finders: a mark of another script, or a picture, is no URL.
        ("Register 👉https://example.edu/reg👈 today", ["https://example.edu/reg"]),
        ("报名（https://example.edu/reg）谢谢", ["https://example.edu/reg"]),
        ("https://example.edu/es—antes del viernes", ["https://example.edu/es"]),
        ("https://example.edu/foo。次の文。", ["https://example.edu/foo"]),
        ("https://example.edu/wifi，密码 hunter2", ["https://example.edu/wifi"]),
        ("https://example.edu/a–https://example.edu/b", ["https://example.edu/a", "https://example.edu/b"]),
        ("https://example.edu/a…and more", ["https://example.edu/a"]),
        ("https://example.edu/reg\u200bnow", ["https://example.edu/reg"]),
        ("https://example.edu/reg1️⃣ first", ["https://example.edu/reg"]),
        ("https://example.edu/reg→next", ["https://example.edu/reg"]),
        ("¿Ya leyó https://example.edu/faq?", ["https://example.edu/faq"]),
        ("السجل https://example.edu/reg؟", ["https://example.edu/reg"]),
        ("हिन्दी https://example.edu/reg।", ["https://example.edu/reg"]),
        ("«https://example.edu/reg»", ["https://example.edu/reg"]),
        # The sentence goes on without a blank.
        ("https://example.edu/regをご覧ください", ["https://example.edu/reg"]),
        ("https://example.edu谢谢", ["https://example.edu"]),
        ("https://example.edu/regตอนนี้", ["https://example.edu/reg"]),
        # RFC 3987: letters of every script are letters of an address, hosts included.
        ("https://example.edu/café today", ["https://example.edu/café"]),
        ("https://ja.wikipedia.org/wiki/日本_(曖昧)", ["https://ja.wikipedia.org/wiki/日本_(曖昧)"]),
        ("https://zh.wikipedia.org/wiki/2024年", ["https://zh.wikipedia.org/wiki/2024年"]),
        ("http://例え.jp/?q=語", ["http://例え.jp/?q=語"]),
        ("https://www.t恤.example/x", ["https://www.t恤.example/x"]),
        ("https://bücher.example/ß", ["https://bücher.example/ß"]),
        ("https://fa.example/می\u200cخواهم", ["https://fa.example/می\u200cخواهم"]),
        # RFC 3986: what ASCII may stand in an address, and what closes what was opened before it.
        ("(https://example.edu/a_(b))", ["https://example.edu/a_(b)"]),
        ("[map](https://example.edu/map)", ["https://example.edu/map"]),
        ("(https://example.edu/a).", ["https://example.edu/a"]),
        ("https://example.edu/(open", ["https://example.edu/"]),
        ("{https://example.edu/a}", ["https://example.edu/a"]),
        ("https://example.edu/a[0]=1", ["https://example.edu/a[0]=1"]),
        ("https://[2001:db8::1]:8443/x", ["https://[2001:db8::1]:8443/x"]),
        ("https://example.edu/a|b", ["https://example.edu/a"]),
        ("https://example.edu/a?x=1&y=2.", ["https://example.edu/a?x=1&y=2"]),
        ("https://example.edu/a!?..", ["https://example.edu/a"]),
        ("https://youtu.be/a1B2c3D4e5_", ["https://youtu.be/a1B2c3D4e5_"]),
        ("https://example.edu/~", ["https://example.edu/~"]),
        ("*https://example.edu/a*", ["https://example.edu/a"]),
        ("_https://example.edu/a_b_", ["https://example.edu/a_b"]),
        ("'https://example.edu/a'b", ["https://example.edu/a"]),
        ("https://example.edu/it's", ["https://example.edu/it's"]),
        # Two in one breath, but not one within the other.
        ("https://a.edu/a,https://a.edu/b", ["https://a.edu/a", "https://a.edu/b"]),
        ("https://a.edu/a;HTTPS://a.edu/b", ["https://a.edu/a", "HTTPS://a.edu/b"]),
        ("https://a.edu/x/https://b.edu/y", ["https://a.edu/x/https://b.edu/y"]),
        ("https://a.edu/?u=https://b.edu", ["https://a.edu/?u=https://b.edu"]),
        # ASCII's own marks, and the sentence goes on in a script without blanks.
        ("https://example.edu/wifi,密码hunter2", ["https://example.edu/wifi"]),
        ("https://example.edu/reg;请登录", ["https://example.edu/reg"]),
        ("https://example.edu/reg?请尽快", ["https://example.edu/reg"]),
        ("https://example.edu/reg.Пароль 5", ["https://example.edu/reg"]),
        ("https://example.edu/2024!締切", ["https://example.edu/2024"]),
        ("https://ru.example/?к=в", ["https://ru.example/?к=в"]),
        ("https://zh.wikipedia.org/wiki/Wikipedia:首页", ["https://zh.wikipedia.org/wiki/Wikipedia:首页"]),
        # RFC 1123: what no host has ends it, unless a user's name stands before it.
        ("https://example.edu,antes del viernes", ["https://example.edu"]),
        ("https://example.edu!Antes", ["https://example.edu"]),
        ("https://a,b:c@example.edu/x", ["https://a,b:c@example.edu/x"]),
        ("https://example.edu.Please bring an ID", ["https://example.edu"]),
        ("https://example.edu.Él vendrá", ["https://example.edu"]),
        ("Https://Www.Uiowa.Edu now", ["Https://Www.Uiowa.Edu"]),
        ("https://example.edu.AU/x", ["https://example.edu.AU/x"]),
        # A host of one label, whole or cut off: not touched at all.
        ("https://i❤.ws/x", []),
        ("https://example．edu/reg", []),
        ("https://intranet/x", []),
        # As other programs make them.
        ("https://uiowa.zoom.us/j/123?pwd=aB3.dE1==. Bis", ["https://uiowa.zoom.us/j/123?pwd=aB3.dE1=="]),
        ("https://www.google.com/maps/@41.66,-91.53,15z", ["https://www.google.com/maps/@41.66,-91.53,15z"]),
        ("https://outlook.office365.com/owa/calendar/A@uiowa.edu/bookings/!", ["https://outlook.office365.com/owa/calendar/A@uiowa.edu/bookings/"]),
        ("https://example.edu/#:~:text=hello%20world", ["https://example.edu/#:~:text=hello%20world"]),
    ],
)  # fmt: skip
def test_an_address_ends_where_people_see_it_end(text: str, urls: list[str]) -> None:
    codes = iter(f"{number:0{CODE_LENGTH}}" for number in range(9))
    result, links = rewrite(text, BASE, lambda: next(codes))
    assert [link.url for link in links] == urls
    expected = text
    for link in links:
        expected = expected.replace(link.url, f"{BASE}/l/{link.code}", 1)
    assert result == expected


_SNIPPETS = st.sampled_from(
    [
        "https://example.edu",
        "http://例え.jp/",
        "https://a.edu/x(",
        "/é",
        "👉",
        "。",
        "—",
        "‘",
        "\u200d",
    ]
)


@given(st.lists(st.text(max_size=12) | _SNIPPETS, max_size=8).map("".join))
def test_nothing_but_addresses_changes_in_any_text(text: str) -> None:
    """Taken apart at its addresses, a text is the same before and after."""
    codes = (f"{number:0{CODE_LENGTH}}" for number in range(10**6))
    result, links = rewrite(text, BASE, lambda: next(codes))
    urls = {f"{BASE}/l/{link.code}": link.url for link in links}
    pieces = re.split(rf"({BASE}/l/[0-9]{{{CODE_LENGTH}}})", result)
    assert "".join(urls.get(piece, piece) for piece in pieces) == text
    for link in links:
        assert re.match(r"https?://[^\s<>\"“”]+$", link.url, re.IGNORECASE)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.edu/%C3%A9|x", "https://a.edu/%C3%A9|x"),
        ("https://example.edu/café", "https://example.edu/caf%C3%A9"),
        # UTS #46, non-transitional (IDNA 2003 would lead to strasse.de and fass.de).
        ("https://straße.de/ß", "https://xn--strae-oqa.de/%C3%9F"),
        ("https://faß.de", "https://xn--fa-hia.de"),
        ("https://u:p@Bücher.example:8443/?q=ü#ä", "https://u:p@xn--bcher-kva.example:8443/?q=%C3%BC#%C3%A4"),
        ("http://例え.jp/日", "http://xn--r8jz45g.jp/%E6%97%A5"),
        ("https://İstanbul.example/x", "https://xn--istanbul-o0e.example/x"),
        ("https://ü.de@ü.de/x", "https://%C3%BC.de@xn--tda.de/x"),
        ("https://EXAMPLE.edu:80/é", "https://EXAMPLE.edu:80/%C3%A9"),
    ],
)  # fmt: skip
def test_a_location_is_the_same_place_in_ascii(url: str, expected: str) -> None:
    assert location(url) == expected


@given(st.text(alphabet="ab /.:;,!?()<>\"'#&=\n’é😀https", max_size=80))
def test_putting_the_addresses_back_gives_the_text(text: str) -> None:
    result, links = rewrite(text, BASE)
    for link in links:
        result = result.replace(f"{BASE}/l/{link.code}", link.url)
    assert result == text


def test_codes_cannot_be_guessed() -> None:
    codes = {new_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert all(re.fullmatch(r"[0-9A-Za-z]{10}", code) for code in codes)
