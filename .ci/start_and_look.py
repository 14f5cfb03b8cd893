"""Start the installed `quartlogin serve` in the current folder, then a new project, and look for the pages."""

import os
import re
import socket
import subprocess
import sys
import time
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

QUARTLOGIN = Path(sys.executable).with_name("quartlogin")


def main() -> None:
    serve_and_look("Hello, Ada.")
    print("The installed wheel serves, registers and greets.")
    subprocess.run([QUARTLOGIN, "new", "notes"], check=True)
    os.chdir("notes")
    serve_and_look("Your notes", "--app", "notes:create_app")
    print("A new project of the installed wheel serves and registers.")


def serve_and_look(greeting: str, *options: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with subprocess.Popen([QUARTLOGIN, "serve", "--port", str(port), *options]) as server:
        try:
            look(f"http://127.0.0.1:{port}", greeting)
        finally:
            server.terminate()
    assert server.returncode == 0, server.returncode


def look(site: str, greeting: str) -> None:
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    wait_for(browser, site)
    assert b"--accent" in browser.open(f"{site}/static/accounts/style.css").read()
    page = browser.open(f"{site}/register").read().decode()
    token = re.search(r'name="csrf_token" value="(\w+)"', page)[1]
    fields = {"csrf_token": token, "username": "Ada", "password": "correct horse battery staple"}
    home = browser.open(f"{site}/register", urlencode(fields).encode()).read().decode()
    assert greeting in home, home


def wait_for(browser: object, site: str) -> None:
    for _ in range(300):
        try:
            browser.open(f"{site}/login")
        except URLError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(site)


if __name__ == "__main__":
    main()
