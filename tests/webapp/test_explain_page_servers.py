"""The page that explains requests, around the accounts: under real servers, and off in production."""

import pytest

from client import KEY
from quartlogin.webapp import create_app

ADDRESS = "/_quartlogin/?token="


@pytest.mark.requirement("13.4.2", "13.4.5")
async def test_the_stand_alone_application_never_opens_the_page(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    app = create_app(DATABASE=database, SECRET_KEY=KEY)
    app.debug = True
    before = app.asgi_app

    async with app.test_app():
        assert app.asgi_app == before

    assert ADDRESS not in capsys.readouterr().err
