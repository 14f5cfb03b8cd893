"""Write command-line.md from the help of every command.

python docs/make_command_page.py
"""

from collections.abc import Iterator
from pathlib import Path

import click

from quartlogin.webapp.cli import main

PAGE = Path(__file__).with_name("command-line.md")
WIDTH = 110  # characters

START = """# Command line

The `--help` text of every command; a test compares it.

- Commands that use a database take it from `--database` or `QUARTLOGIN_DATABASE`, and all other settings from the
  environment; or, with `--app` or `QUARTLOGIN_APP`, everything from an [app of your own](#an-app-of-your-own). The
  others are `flow`, `new`, `templates`, `completion` and `accounts sql`.
- Results go to standard output; with `--json`, they are one JSON list and nothing else, with times in UTC; those of
  `explain` and [`flow`](#flow-as-json) are one JSON object.
- An error is one sentence on standard error. The exit status is 0, 1 for an error, 2 for an invalid command line.
- Passwords are prompted for, or read from standard input; they are never arguments, which other users of the machine
  could read.
- Changes take effect in the running service with its next request.

## An app of your own

`--app mymodule:app` names a Quart app with [accounts](accounts.md): a module, and in it the app, or a function that
creates one without arguments. The current folder is on `sys.path`. A command starts the app (`before_serving`,
`while_serving`), does its work in the app's context, and stops the app (`after_serving`); `init-db` only imports it.
`flow` and `explain` also take an app that has a `LoginManager` alone. The `QUARTLOGIN_` settings of the stand-alone
application have no meaning then, so `--app` and `--database` exclude each other.

```sh
export QUARTLOGIN_APP=mymodule:app
quartlogin serve --workers 2
quartlogin user create alice
```

The commands are those of the app's [features](accounts.md#arguments), and the shared ones: without `ApiTokens`, there
is no `token`.

If the app sets no secret key, its database is a file and `serve` listens on a loopback address, then `serve` creates a
key beside the database, readable by its owner only. Otherwise the app must set one. `secret rotate` replaces the key
beside the database; if the app sets a key, the command refuses and says what to change in the app. A websocket message
may have 16 MiB, the server's own limit, not 64 KiB as in the stand-alone application.

If the app has its own users, `user create` calls their `create`, with the fields of the app's registration form from
`--field`; `user list` lists those who have an account; and `user import` calls `create` for one line after another,
with the fields from further columns.

## Flow as JSON

`quartlogin flow --json` prints one object; times are in seconds, and `null` stands for what there is not:

| field | value |
|---|---|
| `app` | the name of the app |
| `requests` | the requests: `method`, `path`, the names of the form's `fields` and of the `cookies`, and the `status` |
| `steps` | the twelve: `number`, `title`, `sentences`, `seconds`, and the traced `steps` |
| `user` | whom the loader returned for the page: `type`, `id`, and `name` in an app with accounts |
| `afterwards` | what is left of the run, in one sentence |

A traced step has its name as `step`, its `seconds`, and [its details](../quartlogin/tracing.py).

An app's user is signed in by `login_user`, in a request of the command's own, to a view that the app has in this
process only. The login ends when the page has been answered; events that the accounts record stay. The command
refuses to sign in a user whose oldest login would be evicted. With `--login-page`, it fills in the form of
`login_manager.login_view` instead.

## Importing

The file has a header, and one account per line: `username,password`, or `username,password_hash` with hashes of
argon2 and [other schemes](accounts.md#existing-passwords). Usernames and plain passwords must follow the usual
rules. Plain passwords take a tenth of a
second each, hashed ones almost no time (100,000 took 2.4 seconds and 99 MB of memory on two cores). All accounts are
created in one transaction: if it is stopped, even by SIGKILL, none of them exists. Users of your app are created one
after another: if the import stops, those before stay, and `--skip-bad` continues it. Optional columns are `disabled`
and `must_change_password`, with the values `true` and `false`.
"""


def page() -> str:
    """Return the page."""
    return START + "".join(f"\n## `{name}`\n\n```text\n{text}\n```\n" for name, text in helps(main, "quartlogin"))


def helps(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """Yield each command's name and its help text."""
    context = command.make_context(name, [], resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH)
    yield name, command.get_help(context).rstrip()
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from helps(found, f"{name} {child}")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
