import re

import pytest
from quart import Quart
from quart.testing import QuartClient
from quartlogin.accounts.testing import (
    PASSWORD,
    check_templates,
    create_user,
    signed_in_client,
)


async def page(client: QuartClient, path: str = "/") -> str:
    response = await client.get(path)
    assert response.status_code == 200
    return await response.get_data(as_text=True)


async def csrf_token(client: QuartClient, path: str = "/") -> str:
    match = re.search(r'name="csrf_token" value="(\w+)"', await page(client, path))
    assert match is not None
    return match[1]


async def post(client: QuartClient, path: str, **fields: str) -> tuple[int, str]:
    """Send a form with its CSRF token; return the status and the page."""
    form = {"csrf_token": await csrf_token(client), **fields}
    response = await client.post(path, form=form)
    return response.status_code, await response.get_data(as_text=True)


async def delete_path(client: QuartClient) -> str:
    """Return where the button of the newest note leads."""
    match = re.search(r'action="(/notes/\w+/delete)"', await page(client))
    assert match is not None
    return match[1]


@pytest.fixture
async def ada(app: Quart) -> QuartClient:
    return signed_in_client(app, await create_user(app, "ada"))


@pytest.fixture
async def grace(app: Quart) -> QuartClient:
    return signed_in_client(app, await create_user(app, "grace"))


async def test_a_visitor_is_sent_to_the_login_page(app: Quart) -> None:
    visitor = QuartClient(app)
    form = {"csrf_token": await csrf_token(visitor, "/login")}

    for response in (
        await visitor.get("/"),
        await visitor.post("/", form=form),
        await visitor.post("/notes/1/delete", form=form),
    ):
        assert response.status_code == 302
        assert response.location.startswith("/login")


async def test_a_user_signs_in_by_the_form(app: Quart) -> None:
    await create_user(app, "ada")
    client = QuartClient(app)
    token = await csrf_token(client, "/login")

    response = await client.post(
        "/login",
        form={"csrf_token": token, "username": "ada", "password": PASSWORD},
    )

    assert (response.status_code, response.location) == (302, "/")
    assert "Your notes" in await page(client)


async def test_a_user_adds_and_deletes_a_note(ada: QuartClient) -> None:
    assert (await post(ada, "/", body=" Tea & cake "))[0] == 303
    assert '<p class="note">Tea &amp; cake</p>' in await page(ada)

    assert (await post(ada, await delete_path(ada)))[0] == 303
    assert "Tea" not in await page(ada)


async def test_users_see_only_their_own_notes(
    ada: QuartClient, grace: QuartClient
) -> None:
    await post(ada, "/", body="for Ada alone")

    assert "for Ada alone" not in await page(grace)


async def test_the_note_of_another_user_cannot_be_deleted(
    ada: QuartClient, grace: QuartClient
) -> None:
    await post(ada, "/", body="for Ada alone")

    assert (await post(grace, await delete_path(ada)))[0] == 404
    assert "for Ada alone" in await page(ada)


async def test_each_form_has_its_csrf_token(ada: QuartClient) -> None:
    await post(ada, "/", body="a note, which has a form to delete it")

    text = await page(ada)
    assert text.count('name="csrf_token"') == text.count("<form") == 3


async def test_a_form_without_its_csrf_token_is_refused(ada: QuartClient) -> None:
    response = await ada.post("/", form={"body": "from another site"})

    assert response.status_code == 400
    assert "from another site" not in await page(ada)


async def test_script_in_a_note_is_escaped(ada: QuartClient) -> None:
    await post(ada, "/", body="<script>alert(1)</script>")

    assert "<script>alert" not in await page(ada)


@pytest.mark.parametrize("body", [" \r\n ", "a" * 2001])
async def test_a_note_that_is_empty_or_too_long_comes_back(
    ada: QuartClient, body: str
) -> None:
    status, text = await post(ada, "/", body=body)

    assert status == 400
    assert 'id="body-error"' in text
    assert f">{body.strip()}</textarea>" in text
    assert "You have no notes." in text


async def test_a_user_has_at_most_so_many_notes(app: Quart, ada: QuartClient) -> None:
    app.extensions["notes"].max_notes = 2
    answers = [await post(ada, "/", body=f"note {number}") for number in range(3)]

    assert [status for status, _ in answers] == [303, 303, 400]
    assert "note 2</textarea>" in answers[2][1]


async def test_the_notes_of_a_deleted_user_are_deleted(app: Quart) -> None:
    user = await create_user(app, "ada")
    ada = signed_in_client(app, user)
    await post(ada, "/", body="for Ada alone")

    assert (await post(ada, "/account/delete", password=PASSWORD))[0] == 302
    assert await app.extensions["notes"].of_user(user.id) == []


async def test_the_pages_of_the_accounts_have_all_their_fields(app: Quart) -> None:
    await check_templates(app, await create_user(app, "ada"))
