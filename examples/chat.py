"""A chat over websockets for signed-in users, which closes when they sign out.

Start it with `hypercorn 'examples.chat:create_app()'` and open http://127.0.0.1:8000 in two windows.
"""

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from quart import Quart, redirect, request, websocket
from quart.typing import ResponseReturnValue

from quartlogin import LoginManager, UserMixin, login_required, login_user, logout_user

LONGEST_MESSAGE = 500  # characters
WAITING_MESSAGES = 100  # for each window; a window that reads too slowly misses some

LOGIN_PAGE = '<form method="post"><input name="name" required maxlength="30"><button>Join</button></form>'

CHAT_PAGE = """
<ul></ul>
<form><input autofocus><button>Say</button></form>
<form method="post" action="/logout"><button>Leave</button></form>
<script>
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/chat");
  const [list, form] = [document.querySelector("ul"), document.querySelector("form")];
  const show = text => list.appendChild(document.createElement("li")).textContent = text;
  socket.onmessage = event => show(event.data);
  socket.onclose = event => show(event.reason || "The connection is closed.");
  form.onsubmit = event => {
    event.preventDefault();
    socket.send(form[0].value);
    form.reset();
  };
</script>
"""


@dataclass(eq=False)
class User(UserMixin):
    """A user in the room. It has only a name; a real app checks a password."""

    id: str


class Room:
    """The inboxes of all open windows."""

    def __init__(self) -> None:
        self._inboxes: set[asyncio.Queue[str]] = set()

    @contextmanager
    def entered(self) -> Iterator[asyncio.Queue[str]]:
        """Enter the room for a `with` block, which receives the inbox."""
        inbox: asyncio.Queue[str] = asyncio.Queue(WAITING_MESSAGES)
        self._inboxes.add(inbox)
        try:
            yield inbox
        finally:
            self._inboxes.discard(inbox)

    def say(self, message: str) -> None:
        """Put a message into every inbox that is not full."""
        for inbox in self._inboxes:
            if not inbox.full():
                inbox.put_nowait(message)


def create_app() -> Quart:
    """Create the app, with one room."""
    app = Quart(__name__)
    app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_urlsafe()  # a new key signs all users out
    room = Room()
    login_manager: LoginManager[User] = LoginManager(app)
    login_manager.login_view = "login"

    @login_manager.user_loader
    async def load_user(user_id: str) -> User | None:
        return User(user_id)

    @app.get("/login")
    async def login() -> str:
        return LOGIN_PAGE

    @app.post("/login")
    async def join() -> ResponseReturnValue:
        await login_user(User((await request.form)["name"]))
        return redirect("/")

    @app.get("/")
    @login_required
    async def page() -> str:
        return CHAT_PAGE

    @app.post("/logout")
    async def leave() -> ResponseReturnValue:
        await logout_user()
        return redirect("/login")

    @app.websocket("/chat")
    @login_required
    async def chat() -> None:
        name = login_manager.user.id
        with room.entered() as inbox:
            room.say(f"{name} is here.")
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(deliver(inbox))
                    tasks.create_task(listen(room, name))
            finally:
                room.say(f"{name} has left.")

    return app


async def deliver(inbox: "asyncio.Queue[str]") -> None:
    """Send the messages of the inbox to this window."""
    while True:
        await websocket.send(await inbox.get())


async def listen(room: Room, name: str) -> None:
    """Pass the messages of this window to the room."""
    while True:
        message = await websocket.receive()
        room.say(f"{name}: {str(message)[:LONGEST_MESSAGE]}")
