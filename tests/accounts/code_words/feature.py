"""The feature `CodeWords`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import click
from quart import Blueprint

from quartlogin.accounts import Feature, Refusal, SignIn, Step, current_accounts
from quartlogin.accounts.audit.kinds import EventKind
from quartlogin.accounts.database.models import AccountLogin
from quartlogin.accounts.pages.forms import FormPage
from quartlogin.accounts.store import Store

from . import pages, table

FOLDER = Path(__file__).parent
SCHEMA = (FOLDER / "schema.sql").read_text(encoding="utf-8")


#: Whoever has this word may not sign in.
REFUSED = "nobody"


class CodeWords(Feature):
    name = "code_words"
    events: ClassVar[Mapping[str, EventKind]] = {"code_word_set": EventKind("Code word set", shows_subject=True)}
    forms: ClassVar[tuple[FormPage, ...]] = pages.FORM_PAGES
    proofs: ClassVar[Mapping[str, str | None]] = {"code_word": None}

    def __init__(self) -> None:
        #: The sign-ins that it was told of.
        self.told: list[SignIn] = []

    def add_pages(self, blueprint: Blueprint) -> None:
        pages.add_pages(blueprint)

    async def panel(self, login: AccountLogin) -> Mapping[str, Any]:
        word = await table.word_of(current_accounts().store.database, login.user_id)
        return {"is_set": word is not None}

    async def before_sign_in(self, sign_in: SignIn) -> Refusal | Step | None:
        word = await table.word_of(current_accounts().store.database, sign_in.account.user_id)
        if word == REFUSED:
            return Refusal("the code word")
        return None if word is None else Step("enter_code_word")

    async def after_sign_in(self, sign_in: SignIn) -> None:
        self.told.append(sign_in)

    def commands(self) -> Sequence[click.Command]:
        from .commands import code_word  # noqa: PLC0415 -- an app that is served needs no command

        return (code_word,)

    async def remove_expired(self, store: Store, now: int, at_most: int) -> int:
        return await table.remove_expired(store.database, now, at_most)
