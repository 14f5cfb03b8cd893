"""itsdangerous's signer and serializer, made once for some keys: what they derive from them is kept."""

from functools import cached_property
from hmac import compare_digest
from typing import Any

from itsdangerous import Signer, TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode, want_bytes


class LastingSigner(TimestampSigner):
    """Derives the key for signatures once from each secret key, and takes a signature only as it was written.

    A signature covers what is in front of it as text, but base64 has several spellings for the same bytes, all of which
    itsdangerous takes: a text that is not the one that was signed would count.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._derived = {key: super(LastingSigner, self).derive_key(key) for key in self.secret_keys}

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        """Return the key for signatures, which belongs to a secret key; the newest one if `None`."""
        return self._derived[self.secret_key if secret_key is None else want_bytes(secret_key)]

    def verify_signature(self, value: str | bytes, sig: str | bytes) -> bool:
        """Tell whether a text is the signature of a value, under one of the keys."""
        value, sig = want_bytes(value), want_bytes(sig)
        return any(
            compare_digest(base64_encode(self.algorithm.get_signature(self._derived[key], value)), sig)
            for key in reversed(self.secret_keys)
        )


class LastingSerializer(URLSafeTimedSerializer):
    """Keeps the signer with which it signs and verifies."""

    default_signer = LastingSigner

    def make_signer(self, salt: str | bytes | None = None) -> Signer:
        """Return the signer for this serializer's salt, or one for another."""
        return self._signer if salt in {None, self.salt} else super().make_signer(salt)

    @cached_property
    def _signer(self) -> Signer:
        return super().make_signer()
