"""What a stranger can make us read."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.extensions import MAX_REQUEST_BYTES


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("path", ["/staff/login", "/staff/forgotten"])
def test_nobody_uploads_more_than_the_largest_file_we_take(path: str, client: FlaskClient) -> None:
    """A form's files would be kept on disk before anybody is asked who they are."""
    too_much = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + bytes(
        MAX_REQUEST_BYTES
    )
    answer = client.post(path, data=too_much, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 413
    assert answer.content_type != "text/plain"
