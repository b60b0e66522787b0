"""What the forms share: the domain's mistakes shown where they were made."""

from __future__ import annotations

from flask_wtf import FlaskForm

from app.domain.mistakes import Refused


def show_mistakes(form: FlaskForm, refused: Refused, **names: str) -> None:
    """Attach each mistake to the field it is about, or to the form as a whole.

    :param names: fields that are called otherwise in the form: ``template="template_id"``.
    """
    for mistake in refused.mistakes:
        part = str(mistake.path[0]) if mistake.path else ""
        field = form._fields.get(names.get(part, part))
        if field is None:
            form.form_errors.append(mistake.message)
        else:
            field.errors = [*field.errors, mistake.message]
