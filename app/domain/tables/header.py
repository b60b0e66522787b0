"""The line that names the columns: which one it is, and what people call phones and names there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from app.domain.attributes import ADDRESS, KNOWN, NAME, PHONE
from app.domain.phones import InvalidPhone, normalize

_LOOKED_AT: Final = 10
"""Among so many lines with any content the header is looked for."""
_LONGEST: Final = 100
"""Most characters of a column's name."""


def _spellings(written: str) -> tuple[str, ...]:
    return tuple(letters(one) for one in written.split(","))


def _words(written: str) -> frozenset[str]:
    return frozenset(_spellings(written))


def letters(label: str) -> str:
    """Return a column's name as it is compared: only letters and digits, without accents."""
    folded = unicodedata.normalize("NFKD", label.casefold())
    return "".join(one for one in folded if one.isalnum())


_PHONES: Final = (
    # What is surely a mobile phone comes before what may be one.
    "toPhone, mobile, mobile phone, mobile number, mobile phone number, mobile no, cell,"
    "cell phone, cellphone number, cell number, cell no, text number, sms, sms number,"
    "Handy, Handynummer, Handynr, Handy-Nr., Mobil, Mobilnummer, Mobiltelefon, Mobilfunknummer,"
    "móvil, teléfono móvil, número de móvil, celular, teléfono celular, número de celular,"
    "portable, téléphone portable, numéro de portable, tél. portable,"
    "telemóvel, cellulare, numero di cellulare, mobiel, mobiel nummer, mobieltje, komórka,"
    "telefon komórkowy, numer komórkowy, mobilní telefon, мобильный, мобильный телефон,"
    "手机, 手机号, 手机号码, 手機, 手機號碼, 行動電話, 携帯, 携帯電話, 携帯番号,"
    "휴대폰, 휴대전화, 핸드폰,"
    "cep telefonu, جوال, رقم الجوال, نייד, נייד, di động, số di động,"
    "phone, phone number, phone no, phone nr, phones, telephone, telephone number, telephone no,"
    "tel, tel no, tel number, tel nr, contact number, contact phone, contact no, primary phone,"
    "preferred phone, student phone, ph, ph no, phone no 1, best phone, day phone, phone 1, phone1,"
    "Telefon, Telefonnummer, Telefonnr, Telefon-Nr., Tel.-Nr., Rufnummer, Fon,"
    "teléfono, número de teléfono, núm. de teléfono, no. de teléfono, número telefónico,"
    "téléphone, numéro de téléphone, n° de téléphone, no de téléphone, tél,"
    "telefone, número de telefone, telefono, numero di telefono, telefoon, telefoonnummer,"
    "numer telefonu, nr telefonu, nr tel, telefonní číslo, telefonszám, telefon numarası,"
    "телефон, номер телефона, τηλέφωνο, κινητό, هاتف, رقم الهاتف, טלפון, điện thoại,"
    "số điện thoại, 电话, 电话号码, 联系电话, 電話, 電話號碼, 電話番号, 전화, 전화번호,"
    "연락처, เบอร์โทร"
)
_ADDRESSES: Final = (
    "toAddress, email, e-mail, email address, e-mail address, mail, mail address, e mail id,"
    "email id, mail id, email addr, student email, primary email,"
    "Mailadresse, E-Mail-Adresse, Email-Adresse,"
    "correo, correo electrónico, dirección de correo, dirección de correo electrónico,"
    "courriel, adresse courriel, adresse e-mail, adresse mail, adresse électronique, mél,"
    "e-mailadres, endereço de e-mail, indirizzo e-mail, adres e-mail, e-posta,"
    "почта, электронная почта, эл. почта, email адрес,"
    "邮箱, 电子邮箱, 电子邮件, 邮件地址, 電郵, 電子郵件, 電子信箱,"
    "メール, メールアドレス, 이메일, 메일"
)
_NAMES: Final = (
    "toName, name, full name, fullname, complete name, display name,"
    "vollständiger Name, Nachname und Vorname, Vor- und Nachname, Vor- und Zuname,"
    "nombre completo, nombre y apellidos, nombre y apellido, nombre, nom complet,"
    "nom et prénom, nom prénom, prénom et nom, nom, nome completo, nome, naam, volledige naam,"
    "imię i nazwisko, jméno, név, ad soyad, имя, фио, полное имя, όνομα, الاسم, الاسم الكامل, שם,"
    "שם מלא, họ và tên, họ tên, tên, 姓名, 名字, 全名, 氏名, 名前, お名前, 이름, 성명, ชื่อ"
)
SPELLINGS: Final = {
    PHONE: _spellings(_PHONES),
    ADDRESS: _spellings(_ADDRESSES),
    NAME: _spellings(_NAMES),
}
"""How the columns that Dispatch knows are called, the surest names first."""
_KNOWN: Final = frozenset(spelling for names in SPELLINGS.values() for spelling in names)
_WORD: Final = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])|[^\W_]")
_ALTERNATIVES: Final = re.compile(r"[/|]")
"""Between the names of one column in two languages."""
_ASIDE: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_NO_MATTER: Final = _words(
    "a, the, my, your, our, what, is, s, of, please, enter, required, optional, bitte, ihre, deine,"
    "su, tu, votre, c, value"
)
"""Words that forms put around the name of what they ask for."""
_WHOSE: Final = _words(
    "student, students, participant, participants, attendee, recipient, person, member, employee,"
    "staff, applicant, primary, preferred, best, personal, current, institutional, university,"
    "campus, school, official, for, del, de, la, alumno, estudiante, etudiant, l, d, 1"
)
"""Whose phone or address it is, where that is the one to be reached."""
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")


def locate(first: Sequence[Sequence[str]]) -> int | None:
    """Return which of the first lines is the header; None when the file begins with people.

    A title may stand above the header; it is one value where the table has several.
    """
    if first and tuple(first[0][: len(KNOWN)]) == KNOWN:
        return 0  # our own export, whatever attributes are called
    looked_at = first[:_LOOKED_AT]
    known = [0 if is_data(line) else known_names(line) for line in looked_at]
    if best := max(known, default=0):
        return known.index(best)
    wide = [sum(map(bool, line)) > 1 for line in looked_at]
    start = wide.index(True) if any(wide) else 0
    if start and sum(wide) * 2 < len(looked_at):
        start = 0  # a table of one column, in which something strayed
    return None if looked_at and is_data(looked_at[start]) else start


def known_names(line: Sequence[str]) -> int:
    """Count the columns whose names say that they hold phones, e-mail addresses or names."""
    return sum(letters(cell) in _KNOWN or bool(meant(cell)) for cell in line if cell)


@lru_cache(maxsize=1000)
def meant(label: str) -> str | None:
    """Return the attribute that a column's name asks for in other words; None for none surely.

    ``What is your cell phone number?``, ``Phone (required)*``, ``Student Cell #`` and ``Name /
    Nombre`` do; ``Parent Cell`` asks for somebody else's.
    """
    parts = [label, _ASIDE.sub(" ", label), *_ALTERNATIVES.split(label)]
    for part in parts if len(label) <= _LONGEST else ():
        words = [letters(word) for word in _WORD.findall(part)]
        for attribute, spellings in SPELLINGS.items():
            noise = _NO_MATTER if attribute == NAME else _NO_MATTER | _WHOSE
            if "".join(word for word in words if word not in noise) in spellings:
                return attribute
    return None


def is_data(line: Sequence[str]) -> bool:
    """Tell whether a line holds a phone or an e-mail address, as no header does."""
    return any(map(is_reachable, line))


def is_reachable(cell: str) -> bool:
    """Tell whether a cell holds an e-mail address, or a phone with its area code."""
    if _EMAIL.fullmatch(cell):
        return True
    if sum(one.isdigit() for one in cell) < 10 or len(cell) > 40:
        return False
    try:
        normalize(cell)
    except InvalidPhone:
        return False
    return True
