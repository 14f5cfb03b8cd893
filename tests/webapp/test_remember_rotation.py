"""Rotation of remember-me tokens."""

import pytest

from quartlogin.accounts.features.logins.remember_rotation import GRACE, RememberTokens

A, B, C = "aa", "bb", "cc"


def test_what_is_written_is_read_again() -> None:
    secrets = RememberTokens({A: 100}, {B: 90}, {C: 95})

    assert secrets.write() == "aa+100 bb-90 cc!95"
    assert RememberTokens.read("aa+100 bb-90 cc!95", 100) == secrets


def test_a_login_that_is_not_remembered_has_no_valid_secret() -> None:
    assert not RememberTokens.read("", 100).is_valid(A)


@pytest.mark.parametrize(("now", "counts"), [(100, True), (100 + GRACE, True), (101 + GRACE, False)])
@pytest.mark.parametrize("state", ["-", "!"])
def test_what_was_replaced_or_closed_counts_for_the_grace(state: str, now: int, counts: bool) -> None:
    assert RememberTokens.read(f"bb+100 aa{state}100", now).is_valid(A) is counts


def test_an_open_branch_never_expires() -> None:
    assert RememberTokens.read("aa+100", 10**10).is_valid(A)


def test_replacing_opens_a_branch_and_closes_all_others() -> None:
    after = RememberTokens({A: 100, B: 100}, {}, {}).after_replacing(A, C, 120)

    assert after == RememberTokens({C: 120}, {A: 120}, {B: 120})


def test_a_replaced_secret_opens_a_branch_beside_the_others_that_is_as_old() -> None:
    after = RememberTokens({B: 120}, {A: 120}, {}).after_replacing(A, C, 130)

    assert after == RememberTokens({B: 120, C: 120}, {A: 120}, {})


def test_a_closed_branch_gets_no_new_secret() -> None:
    assert RememberTokens({B: 120}, {}, {A: 120}).after_replacing(A, C, 130) is None


def test_a_branch_that_is_seen_after_the_grace_closes_the_others() -> None:
    secrets = RememberTokens({A: 100, B: 100}, {}, {})

    assert secrets.after_seeing(A, 100 + GRACE) is None
    assert secrets.after_seeing(A, 101 + GRACE) == RememberTokens({A: 100}, {}, {B: 101 + GRACE})


def test_the_only_branch_has_nothing_to_settle() -> None:
    assert RememberTokens({A: 100}, {}, {}).after_seeing(A, 10**10) is None


def test_what_is_not_open_settles_nothing() -> None:
    assert RememberTokens({B: 100, C: 100}, {A: 190}, {}).after_seeing(A, 200) is None
