"""The page that sets a code word."""

from quart import Blueprint, redirect, url_for
from quart.typing import ResponseReturnValue
from wtforms import StringField
from wtforms.validators import InputRequired

from quartlogin import current_user, login_required
from quartlogin.accounts import current_accounts
from quartlogin.accounts.pages.forms import CSRFForm, FormPage, render_form

from .table import set_word

NEVER = 2**40


class WordForm(CSRFForm):
    word = StringField("Code word", [InputRequired("Enter a word.")])


FORM_PAGES = (FormPage(endpoint="set_code_word", fields=("word",)),)


def add_pages(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/account/code-word", view_func=set_code_word, methods=["GET", "POST"])


@login_required
async def set_code_word() -> ResponseReturnValue:
    form, accounts = await WordForm.read(), current_accounts()
    if form.is_complete():
        await set_word(accounts.store.database, current_user.id, form.word.data, NEVER)
        await accounts.audit_log.record(accounts.audit_log.event("code_word_set", current_user.id, form.word.data[:1]))
        return redirect(url_for("accounts.account"))
    return await render_form("accounts/code_words/word.html", form)
