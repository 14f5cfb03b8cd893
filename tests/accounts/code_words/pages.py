"""The page that sets a code word, and the one that asks for it when its user signs in."""

import hmac

from quart import Blueprint, redirect, request, url_for
from quart.typing import ResponseReturnValue
from wtforms import StringField
from wtforms.validators import InputRequired

from quartlogin import current_user, login_required
from quartlogin.accounts import SignIn, StepRequired, current_accounts
from quartlogin.accounts.pages.forms import CSRFForm, FormPage, render_form
from quartlogin.accounts.pages.redirects import redirect_after_sign_in, redirect_to_step

from .table import set_word, word_of

NEVER = 2**40


class WordForm(CSRFForm):
    word = StringField("Code word", [InputRequired("Enter a word.")])


FORM_PAGES = (FormPage(endpoint="set_code_word", fields=("word",)),)


def add_pages(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/account/code-word", view_func=set_code_word, methods=["GET", "POST"])
    blueprint.add_url_rule("/login/code-word", view_func=enter_code_word, methods=["GET", "POST"])


@login_required
async def set_code_word() -> ResponseReturnValue:
    form, accounts = await WordForm.read(), current_accounts()
    if form.is_complete():
        await set_word(accounts.store.database, current_user.id, form.word.data, NEVER)
        await accounts.audit_log.record(accounts.audit_log.event("code_word_set", current_user.id, form.word.data[:1]))
        return redirect(url_for("accounts.account"))
    return await render_form("accounts/code_words/word.html", form)


async def enter_code_word() -> ResponseReturnValue:
    accounts, form, requested = current_accounts(), await WordForm.read(), request.args.get("next")
    await accounts.sign_ins.find("code_words")

    async def is_right(sign_in: SignIn) -> bool:
        word = await word_of(accounts.store.database, sign_in.account.user_id) or ""
        return hmac.compare_digest(word.encode(), form.word.data.encode())

    if form.is_complete():
        try:
            signed_in = await accounts.sign_ins.complete("code_words", is_right)
        except StepRequired as required:
            return redirect_to_step(required, requested)
        if signed_in is not None:
            return await redirect_after_sign_in(signed_in, requested)
        form.refuse("word", "That is not your code word.")
    return await render_form("accounts/code_words/word.html", form)
