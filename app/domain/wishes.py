"""Wishes to get no more texts, in sentences of English, Spanish, French and Chinese."""

from __future__ import annotations

import re
from typing import Final


def is_one(body: str) -> bool:
    """Tell whether a text says in some words that no more are wanted."""
    plain = body.casefold()
    return any(
        wish.search(body)
        for stems, wish in zip(STEMS, WISHES, strict=True)
        if any(stem in plain for stem in stems)
    )


def _wish(*forms: str) -> re.Pattern[str]:
    return re.compile("|".join(forms), re.IGNORECASE)


STEMS: Final = tuple(
    tuple(stems.split())
    for stems in (
        "stop $t sub opt quit remov delet unenroll more spam interest lose away off want wish alone"
        " text messag contact call send sms cancel end revoke number person",
        "mas más env mand escrib llam dej déj par bast deten cancel alto baja quiero deseo quit"
        " quít borr bórr elim saqu sáqu favor",
        "plus arr cess envoye crive contacte texte appele sabonn sinscri retire enlev"
        " enlèv supprime efface",
        "不 别 別 退 拒 停 取",
    )
)
"""Of each group of wishes: without one of these in it, a text is none of them. Most texts are none
by this alone, which takes a tenth of the time."""
WISHES: Final = (
    _wish(
        r"\bplease[ \t]{1,3}stop\b",
        r"\A\W{0,20}stop\b(?!\s+(?:by|in|at|over|sign|light|watch|loss)\b)",
        r"(?<!bus )(?<!last )(?<!next )(?<!shuttle )(?<!non-)(?<!n't )(?<!n’t )\bstop\W{0,20}\Z",
        r"\bstop\d|\$t[o0]p\b",
        r"\bstop\s{1,3}(?:all|any|it|now|please|pls|this|that|these|those|the|your|text\w*|messag\w*"
        r"|send\w*|contact\w*|call\w*|spam\w*|bother\w*|harass\w*)\b",
        r"\bun[\s-]?sub(?:\b|s?cri\w*)",
        r"\bopt(?:ing|ed)?\W{0,3}out\b",
        r"\bquit\s{1,3}(?:text|messag|send|contact)\w*",
        r"\b(?:remove|delete|unenroll)\s{1,3}(?:me|my\s{1,3}(?:number|name|phone))\b",
        r"\A\W{0,20}(?:please\s{1,3})?(?:remove|delete|no\s{1,3}more|spam)\W{0,20}\Z",
        r"\b(?:not\s{1,3}interested|this\s{1,3}is\s{1,3}spam|lose\s{1,3}(?:my|this)\s{1,3}number)\b",
        r"\b(?:go\s{1,3}away|f(?:uck)?\s{1,3}off)\b",
        r"\b(?:do\s{0,3}not|don.?t|no\s{1,3}longer)\s{1,3}(?:want|wish)\s{1,3}"
        r"(?:to\s{1,3}(?:receive|get)|(?:any|these|those|your|more)\b)",
        r"\btake\s{1,3}(?:me|my\s{1,3}number)\s{1,3}off\b",
        r"\bleave\s{1,3}me\s{1,3}alone\b",
        r"\b(?:do\s{0,3}not|don.?t|never|no\s{1,3}longer)\s{1,3}(?:ever\s{1,3})?"
        r"(?:text|messag|contact|call|send)\w*",
        r"\bno\s{1,3}more\s{1,3}(?:text|messag|sms|call)\w*",
        r"\b(?:cancel|end)\s{1,3}(?:all|(?:(?:all|these|those|the|this|my|your)\s{1,3})?"
        r"(?:text|messag|sms|alert|notification|subscript)\w*)\b",
        r"\brevoke\s{1,3}(?:my\s{1,3})?consent\b",
        r"\b(?:wrong|not\s{1,3}my)\s{1,3}number\b",
        r"\bwrong\s{1,3}person\b",
    ),
    _wish(
        r"\bno\s{1,3}m[aá]s\s{1,3}(?:mensaj|text|sms|llamad)\w*",
        r"\b(?:no\s{1,3}(?:me\s{1,3})?(?:env[ií]e|mand|escrib|llam)\w*)",
        r"\b(?:deje|dej[ae]n?|pare|paren|basta)\s{1,3}(?:ya\s{1,3})?de\b",
        r"\A\W{0,20}(?:parar?|paren|detener|detengan?|cancelar|cancelen?|alto|basta)\W{1,5}"
        r"(?:ya|por\s{1,3}favor|todo|gracias|mensajes|textos|los|las|estos|sus)\b",
        r"\b(?:darme|dar|denme|d[eé]me)\s{1,3}de\s{1,3}baja\b",
        r"\bno\s{1,3}(?:quiero|deseo)\s{1,3}(?:recibir|m[aá]s|(?:sus|estos|los)?\s{0,3}(?:mensaj|text)\w*)",
        r"\A\W{0,20}(?:ya\s{1,3})?no\s{1,3}m[aá]s\W{0,20}\Z",
        r"\bd[eé]j[ae]n?me\b",
        r"\b(?:qu[ií]t|s[aá]qu|b[oó]rr|elim[ií]n)[ae]n?me\b",
        r"\bpor\s{1,3}favor\W{1,3}(?:paren?|detengan?|dejen?|bast[ae])\b",
        r"\b(?:quiten|quite|borren|borre|elimin\w{1,4})\s{1,3}mi\s{1,3}(?:n[uú]mero|tel[eé]fono)\b",
    ),
    _wish(
        r"\bplus\s{1,3}de\s{1,3}(?:messages?|textos?|sms)\b",
        r"\b(?:arr[eê]te[rz]?|cesse[rz]?)\s{1,3}(?:de|d.|les|vos|ces)",
        r"\bne\s{1,3}(?:m.|me\s{1,3})(?:envoye|[eé]crive|contacte|texte|appele)\w*",
        r"\bd[eé](?:sabonne|sinscri)\w*",
        r"\bne\s{1,3}(?:veux|souhaite|d[eé]sire)\s{1,3}plus\b",
        r"\b(?:retire[rz]?|enleve[rz]?|enlève|supprime[rz]?|efface[rz]?)"
        r"(?:[\s-]moi\b|\s{1,3}mon\s{1,3}(?:num|t[eé]l))",
    ),
    re.compile(
        "不要再?(?:发|發|给|給|联系|聯繫|传|傳)|[别別]再?[发發传傳]|退订|退訂|拒收|请停止|請停止"
        "|(?:停止|取消)(?:发送|發送|接收|订阅|訂閱|短信|簡訊)|不想再?[收接]"
    ),
)
