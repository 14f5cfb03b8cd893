"""Cached signers: they sign and verify what itsdangerous does, and nothing else."""

import hashlib
from string import ascii_letters, digits
from typing import Any

import pytest
from itsdangerous import BadSignature, TimestampSigner, URLSafeTimedSerializer

from quartlogin.sessions.serializer import CachingSigner, SizeLimitedSerializer

LETTERS = ascii_letters + digits + "-_"
OPTIONS: dict[str, Any] = {"salt": "a salt", "key_derivation": "hmac", "digest_method": hashlib.sha256}


def test_it_signs_and_verifies_as_itsdangerous_does() -> None:
    keys = ["the old key", "the new key"]
    lasting, plain = CachingSigner(keys, **OPTIONS), TimestampSigner(keys, **OPTIONS)

    assert plain.unsign(lasting.sign("text")) == b"text"
    assert lasting.unsign(plain.sign("text")) == b"text"
    assert lasting.unsign(TimestampSigner(keys[0], **OPTIONS).sign(b"text")) == b"text"
    assert [lasting.derive_key(key) for key in (None, *keys, keys[0].encode())] == [
        plain.derive_key(key) for key in (None, *keys, keys[0].encode())
    ]


@pytest.mark.parametrize("key", ["another key", "the new ke", ""])
def test_a_signature_under_another_key_does_not_count(key: str) -> None:
    with pytest.raises(BadSignature):
        CachingSigner(["the old key", "the new key"], **OPTIONS).unsign(TimestampSigner(key, **OPTIONS).sign("text"))


@pytest.mark.requirement("9.1.1")
def test_only_the_spelling_that_was_written_counts() -> None:
    """The last letter of 32 bytes in base64 has two bits to spare, and itsdangerous passes over what is no letter."""
    lasting, plain = CachingSigner("a key", **OPTIONS), TimestampSigner("a key", **OPTIONS)
    signed = plain.sign("text").decode()
    others = [signed[:-1] + letter for letter in LETTERS if letter != signed[-1]]
    others += [signed + "=", signed + "!", signed[:-3] + " " + signed[-3:]]

    taken = [other for other in others if plain.validate(other)]

    assert len(taken) > 3
    assert not any(lasting.validate(other) for other in others)
    assert lasting.validate(signed)


def test_a_serializer_keeps_its_signer_and_tries_those_that_count_as_well() -> None:
    sha1 = {"key_derivation": "hmac", "digest_method": hashlib.sha1}
    serializer = SizeLimitedSerializer(["a key"], signer_kwargs={"key_derivation": "hmac"}, fallback_signers=[sha1])

    assert serializer.make_signer() is serializer.make_signer(serializer.salt) is next(serializer.iter_unsigners())
    assert serializer.loads(URLSafeTimedSerializer("a key", signer_kwargs=sha1).dumps([1])) == [1]
    assert serializer.loads(serializer.dumps({"a": "b"})) == {"a": "b"}


def test_a_salt_of_its_own_has_signers_of_its_own() -> None:
    serializer = SizeLimitedSerializer("a key", salt="one")
    signed = serializer.dumps("text", salt="another")

    assert serializer.loads(signed, salt="another") == "text"
    with pytest.raises(BadSignature):
        serializer.loads(signed)
