"""The feature `CodeWords`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import click
from quart import Blueprint

from quartlogin.accounts import Feature, current_accounts
from quartlogin.accounts.audit.kinds import EventKind
from quartlogin.accounts.database.models import AccountLogin
from quartlogin.accounts.pages.forms import FormPage
from quartlogin.accounts.store import Store

from . import pages, table

FOLDER = Path(__file__).parent
SCHEMA = (FOLDER / "schema.sql").read_text(encoding="utf-8")


class CodeWords(Feature):
    name = "code_words"
    events: ClassVar[Mapping[str, EventKind]] = {"code_word_set": EventKind("Code word set", shows_subject=True)}

    def add_pages(self, blueprint: Blueprint) -> None:
        pages.add_pages(blueprint)

    def form_pages(self) -> tuple[FormPage, ...]:
        return pages.FORM_PAGES

    async def panel(self, login: AccountLogin) -> Mapping[str, Any]:
        word = await table.word_of(current_accounts().store.database, login.user_id)
        return {"is_set": word is not None}

    def commands(self) -> Sequence[click.Command]:
        from .commands import code_word  # noqa: PLC0415 -- an app that is served needs no command

        return (code_word,)

    async def remove_expired(self, store: Store, now: int, at_most: int) -> int:
        return await table.remove_expired(store.database, now, at_most)
