"""The page of the notes."""

from quart import (
    Blueprint,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    url_for,
)
from quart.typing import ResponseReturnValue
from quartlogin import current_user, is_signed_in, login_required, reload_user
from quartlogin.accounts import User, check_csrf

from .database import NoteStore

MAX_LENGTH = 2000  # characters of a note

blueprint = Blueprint("notes", __name__)
blueprint.before_request(check_csrf)  # every form needs {{ accounts.csrf_field() }}


@blueprint.route("/", methods=["GET", "POST"])
@login_required
async def index() -> ResponseReturnValue:
    """Show the notes of the user, and add one."""
    body, fault = "", None
    if request.method == "POST":
        body = _tidy((await request.form).get("body", ""))
        fault = _fault_of(body)
        if fault is None:
            await _check_again()
            store = _store()
            if await store.add(current_user.id, body):
                return redirect(url_for("notes.index"), 303)
            fault = f"You have {store.max_notes} notes, the most you can. Delete one."
    notes = await _store().of_user(current_user.id)
    page = await render_template("notes.html", notes=notes, body=body, fault=fault)
    return page, 400 if fault else 200


@blueprint.post("/notes/<note_id>/delete")
@login_required
async def delete(note_id: str) -> ResponseReturnValue:
    """Delete a note of the user; another user's is not found."""
    await _check_again()
    if not await _store().delete(current_user.id, note_id):
        abort(404, "There is no such note. You may have deleted it already.")
    return redirect(url_for("notes.index"), 303)


async def _check_again() -> None:
    """Refuse a user whose login ended while the form was on its way."""
    if not is_signed_in(await reload_user()):
        abort(401)


async def delete_notes(user: User) -> None:
    """Delete the notes of a user who has been deleted."""
    await _store().delete_all(user.id)


def _tidy(text: str) -> str:
    """Return a text without surrounding space; forms send each line break as two."""
    return text.replace("\r\n", "\n").strip()


def _fault_of(body: str) -> str | None:
    """Return what is wrong with a note, for its author."""
    if not body:
        return "Enter a note."
    if len(body) > MAX_LENGTH:
        return f"Use at most {MAX_LENGTH} characters (you entered {len(body)})."
    return None


def _store() -> NoteStore:
    store: NoteStore = current_app.extensions["notes"]
    return store
