"""What the forms share: the domain's mistakes shown where they were made."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_wtf import FlaskForm

from app.domain.mistakes import Refused


class PageForm(FlaskForm):  # type: ignore[misc]
    """A form of words only.

    Flask-WTF would take a file that has a field's name, or whatever JSON there is, for the field's
    words; whoever takes files asks ``request.files`` for them.
    """

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        """How the form is read."""

        def wrap_formdata(self, form: FlaskForm, formdata: Any) -> Any:
            """Return the words that were sent; nothing where no form was."""
            return request.form if formdata is not None and form.is_submitted() else None


def show_mistakes(form: PageForm, refused: Refused, **names: str) -> None:
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
