"""What is said of a template that people wrote as they think, not as the engine reads it."""

import pytest

from app.domain.content.templates import TemplateProblem, check, render
from app.domain.content.voice_templates import check_voice_template

ENGINE_WORDS = (
    "jinja", "unexpected", "token", "encountered", "template syntax", "innermost", "operand",
    "NoneType", "'str'", "'int'", "undefined", "statement block", "print statement", "Exceeds",
)  # fmt: skip

MISTAKES: list[tuple[str, int, str, str]] = [
    # written, line, the part that is at fault, what to write instead
    ("Hi {{ toName|default(“there”) }}", 1, "curly quotation", '{{ toName|default("there") }}'),
    ("Hi {{ toName or “there” }}", 1, "curly quotation", '{{ toName or "there" }}'),
    ("Hi {{ toName or ‘there’ }}", 1, "curly quotation", "{{ toName or 'there' }}"),
    ("Hi {{ toName or „there“ }}", 1, "curly quotation", '{{ toName or "there" }}'),
    ("Hi {{ toName or 'there }}", 1, "do not go together", '{{ toName or "there" }}'),
    ('Hi {{ toName or "there }}', 1, "do not go together", '{{ toName or "there" }}'),
    ('Hi {{ toName or there" }}', 1, "do not go together", '{{ toName or "there" }}'),
    ("Hi {{ toName or “there }}", 1, "do not go together", '{{ toName or "there" }}'),
    ("{{ First Name or 'there }}", 1, "do not go together", '{{ First_Name or "there" }}'),
    ("{{ toName or 'don't worry' }}", 1, "go together", '{{ toName or "don\'t worry" }}'),
    ("{{ toName or ‘don’t worry’ }}", 1, "go together", '{{ toName or "don\'t worry" }}'),
    ("{% if course == 'Algebra %}x{% endif %}", 1, "Algebra", "{% if course == 'Algebra' %}"),
    ("{% if course == “Algebra %}x{% endif %}", 1, "curly", '{% if course == "Algebra" %}'),
    ("{% if course == “Algebra” %}x{% endif %}", 1, "curly", '{% if course == "Algebra" %}'),
    ("a\nb {{ First Name }}", 2, "“{{ First Name }}”", "{{ First_Name }}"),
    ("{{ First Name or “you” }}", 1, "First Name", '{{ First_Name or "you" }}'),
    ("{{ E-Mail privat or 'x' }}", 1, "E-Mail", "{{ E_Mail_privat or 'x' }}"),
    ("{{ Vor- und Nachname }}", 1, "Vor- und", "{{ Vor_und_Nachname }}"),
    ("{{ 1st choice }}", 1, "1st choice", "{{ column_1st_choice }}"),
    ("{{ first-name }}", 1, "first-name", "{{ first_name }}"),
    ("Dear ((First Name)),", 1, "((First Name))", "{{ First_Name }}"),
    ("a\n\nDear [[toName]]", 3, "[[toName]]", "{{ toName }}"),
    ("Dear <<First Name>>", 1, "<<First Name>>", "{{ First_Name }}"),
    ("Liebe «Vorname»", 1, "«Vorname»", "{{ Vorname }}"),
    ("亲爱的｛｛姓名｝｝", 1, "｛｛姓名｝｝", "{{ 姓名 }}"),
    ("Hi {toName}", 1, "{toName}", "{{ toName }}"),
    ("Hi { { toName } }", 1, "{ { toName } }", "{{ toName }}"),
    ("Hi %%toName%%", 1, "%%toName%%", "{{ toName }}"),
    ("Hi {{{ toName }}}", 1, "{{{ toName }}", "{{ toName }}"),
    ("Hi {{ <toName> }}", 1, "<toName>", "{{ toName }}"),
    ("Hi {{ $toName }}", 1, "$toName", "{{ toName }}"),
    ("Hi {{ toName, course }}", 1, "one name", "{{ a }}, {{ b }}"),
    ("Hi {{ }}", 1, "empty", "{{ toName }}"),
    ("Hi {{ toName }", 1, "not closed", "}} at its end"),
    ("Hi\n{{ toName\nand more", 2, "not closed", "{{ toName }}"),
    ("Hi {# for us", 1, "not closed", "#}"),
    ("{{ toName ?? 'x' }}", 1, "cannot be read", '{{ toName or "there" }}'),
    ("{% if course = 'A' %}x{% endif %}", 1, "cannot be read", "{% if course =="),
    ("{% if a %}\nx", 1, "has no end", "{% endif %}"),
    ("x\n{% endif %}", 2, "before it", "{% if … %}"),
    ("{% if a %}{% for b in c %}{% endif %}", 1, "no end yet", "{% endfor %}"),
    ("{% if a %}{% else if b %}{% endif %}", 1, "else if", "{% elif … %}"),
    ("{% if a %}{% elseif b %}{% endif %}", 1, "elseif", "{% elif … %}"),
    ("{% First Name %}", 1, "unknown", "{% if … %}"),
    ("{% toName %}", 1, "unknown", "{{ toName }}"),
    ("{% for x of y %}{% endfor %}", 1, "cannot be read", "{% for course in courses %}"),
    # Fallbacks and conditions as Liquid, C, Excel and Basic have them.
    ("{{ toName|default:'there' }}", 1, "other programs", "{{ toName or 'there' }}"),
    ("{{ First Name | fallback: 'x' }}", 1, "other programs", "{{ First_Name or 'x' }}"),
    ("{{ toName || “you” }}", 1, "“{{ toName", '{{ toName or "you" }}'),
    ("{{ toName else 'there' }}", 1, "other programs", "{{ toName or 'there' }}"),
    ("{% if First Name %}x{% endif %}", 1, "First Name", "{% if First_Name %}"),
    ("{% if a <> 'b' %}x{% endif %}", 1, "cannot be read", "{% if a != 'b' %}"),
    ("{% if a && b %}x{% endif %}", 1, "cannot be read", "{% if a and b %}"),
    ("{% if a is 'b' %}x{% endif %}", 1, "cannot be read", "{% if a == 'b' %}"),
    ("{% if a then %}x{% endif %}", 1, "cannot be read", "{% if a %}"),
    ("{% if a }x{% endif %}", 1, "cannot be read", "{% if course =="),
    ("{% IF a %}x{% ENDIF %}", 1, "unknown", "{% if … %}"),
    ("{% foreach a in b %}{% endfor %}", 1, "unknown", "{% for … %}"),
    ("{% for a in b %}{{ a }}{% end %}", 1, "{% end %}", "{% endfor %}"),
    ("{ % if a % }x{ % endif % }", 1, "as it stands", "{% if a %}"),
    # A name in quotation marks, a number, a brace too many: everybody gets just that.
    ('Hi {{ "toName" }}', 1, "Everybody", "{{ toName }}"),
    ("Hi {{ 'First Name' }}", 1, "Everybody", "{{ First_Name }}"),
    ("Hi {{ “First Name” }}", 1, "quotation marks around", "{{ First_Name }}"),
    ("Hi {{1}}", 1, "the number 1", "{{ toName }}"),
    ("a\nHi {{ toName }}}", 2, "too many", "Leave it out"),
    ("{{ Room/Building }}", 1, "divided by", "{{ Room_Building }}"),
    ("{{ Phone (cell) }}", 1, "Functions", "{{ Phone_cell }}"),
    ("{{ to\u200bName x }}", 1, "spaces", "{{ toName_x }}"),
    # Mailchimp, Salesforce, Qualtrics, ASP and the like, GOV.UK Notify, mail merge by hand.
    ("Hi *|FNAME|*", 1, "*|FNAME|*", "{{ FNAME }}"),
    ("Hi {!Contact.FirstName}", 1, "{!Contact.FirstName}", "{{ FirstName }}"),
    ("Hi ${e://Field/Name}", 1, "${e://Field/Name}", "{{ Name }}"),
    ("Hi ${first_name}", 1, "${first_name}", "{{ first_name }}"),
    ("Hi <%= name %>", 1, "<%= name %>", "{{ name }}"),
    ("Hi %FIRST_NAME%", 1, "%FIRST_NAME%", "{{ FIRST_NAME }}"),
    ("((late??Please hurry))", 1, "((late??Please hurry))", "{{ late }}"),
    ("Hi [First Name]", 1, "[First Name]", "{{ First_Name }}"),
    ("您好｛姓名｝", 1, "｛姓名｝", "{{ 姓名 }}"),
    ("{{ " + "9" * 5000 + " }}", 0, "too many digits", "number"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "line", "at_fault", "instead"), MISTAKES, ids=[row[0][:30] for row in MISTAKES]
)
def test_a_mistake_is_named_with_its_place_and_what_to_write(
    written: str, line: int, at_fault: str, instead: str
) -> None:
    with pytest.raises(TemplateProblem) as refused:
        check(written)
    said = refused.value.message
    assert at_fault in said
    assert instead in said
    assert (refused.value.line or 0) == line
    assert not [word for word in ENGINE_WORDS if word.lower() in said.lower()]


@pytest.mark.parametrize(
    "written",
    [
        "Open (9-5) and {% raw %}((literally)){% endraw %}",
        "{{ seats - taken }} left",
        "Smile :-} {:",
        "It costs ${X}",
        "call() [1] <3 ((1)) 100%% sure",
        '{{ toName or "there" }}, “quoted” words are fine',
        "{% raw %}{name} [[x]]{% endraw %}",
        "Save 20% or 30% at [the bookstore] for ${5}; see {{ x }} {{ '{{' }}",
        "{{ a }} {:} and {{ GPA / scale }} or {{ x / 4 }}",
        "【重要】{{ 姓名 }}",
    ],
)
def test_what_is_meant_so_is_left_alone(written: str) -> None:
    check(written)


def test_the_same_is_said_of_a_call() -> None:
    with pytest.raises(TemplateProblem, match="First_Name"):
        check_voice_template("<Response><Say>Hi {{ First Name }}</Say></Response>")


@pytest.mark.parametrize(
    ("source", "attributes"),
    [
        ("{{ seats + 1 }}", {"seats": "3"}),
        ("{{ a.b.c }}", {"a": {"b": 3}}),
        ("{{ seats > 2 }}", {"seats": None}),
        ("{{ x|round }}", {"x": "nine"}),
        ("{{ -x }}", {"x": "a"}),
        ("{{ x[1:] }}", {"x": {"a": 1}}),
        ("{{ x|round }}", {"x": [1]}),
        ("{{ 3 in x }}", {"x": 4}),
        ("{{ x|urlencode }}", {"x": "\ud800"}),
    ],
)
def test_values_that_do_not_fit_are_told_in_our_words(
    source: str, attributes: dict[str, object]
) -> None:
    with pytest.raises(TemplateProblem) as refused:
        render(source, attributes)
    said = refused.value.message.lower()
    assert not [word for word in (*ENGINE_WORDS, "codec", "type") if word.lower() in said]


@pytest.mark.parametrize(
    ("written", "known", "meant"),
    [
        ("first_name", "First_Name", "First_Name"),
        ("first_name", "First Name", "First_Name"),
        ("firstname", "First name", "First_name"),
        ("toname", "toName", "toName"),
        ("frist_name", "first_name", "first_name"),
        ("Kurs", "Kurs-Name", None),
        # As files call it whose columns became ours (vCard, Google, Outlook in their languages).
        ("Nombre", "toName", "toName"),
        ("full_name", "toName", "toName"),
        ("姓名", "toName", "toName"),
        ("Handynummer", "toPhone", "toPhone"),
        ("手机", "toPhone", "toPhone"),
        ("E_Mail", "toAddress", "toAddress"),
        ("correo", "toAddress", "toAddress"),
        ("Handynummer", "toName", None),
        ("Vorname", "toName", None),
    ],
)
def test_a_name_that_nobody_has_suggests_the_one_that_is_near(
    written: str, known: str, meant: str | None
) -> None:
    with pytest.raises(TemplateProblem) as refused:
        render(f"{{{{ {written} }}}}", {known: "x"})
    hint = f"did you mean {{{{ {meant} }}}} in place of {{{{ {written} }}}}?"
    assert (hint in refused.value.message) is (meant is not None)


def test_a_column_with_a_space_is_reached_by_its_name_without() -> None:
    assert render("{{ First_Name }}", {"First Name": "Pat"}) == "Pat"
