"""The application for a real server, which tells in a file when it waits for the body of a request.

`hypercorn 'held_back:make_app()'` serves it; `QUARTLOGIN_TEST_WAITING` names the file.
"""

import os
from pathlib import Path
from typing import Any

from quart import Quart, Request

from client import with_cheap_hashes
from quartlogin.webapp import create_app

#: The name of the variable that names the file.
WAITING = "TEST_WAITING"
_PATIENCE = 120  # seconds for a body, so that a slow machine is no reason for an answer


def make_app() -> Quart:
    app = with_cheap_hashes(create_app())
    app.config["BODY_TIMEOUT"] = _PATIENCE
    file = Path(os.environ[WAITING])

    class Telling(app.request_class):  # type: ignore[misc,name-defined]  # it is a class, of Quart's requests
        async def get_data(self, *args: Any, **options: Any) -> Any:
            """Read the body; the guards have let the request through by now."""
            with file.open("a") as lines:
                lines.write(f"{self.path}\n")
            return await Request.get_data(self, *args, **options)

    app.request_class = Telling
    return app
