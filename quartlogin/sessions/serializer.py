"""Sign and read text with itsdangerous: keys are derived once, and contents are limited in size.

itsdangerous decompresses what is signed without a limit, so a leaked key could exhaust the server's memory: a cookie of
the usual length could unpack to three million bytes.
"""

import zlib
from functools import cached_property
from hmac import compare_digest
from typing import Any, Final

from itsdangerous import Signer, TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, base64_encode, want_bytes
from itsdangerous.url_safe import URLSafeSerializerMixin

_MAX_SIZE: Final = 64 * 1024  # bytes


class CachingSigner(TimestampSigner):
    """Derives the key for signatures once from each secret key, and takes a signature only as it was written.

    A signature covers what is in front of it as text, but base64 has several spellings for the same bytes, all of which
    itsdangerous takes: a text that is not the one that was signed would count.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._derived = {key: super(CachingSigner, self).derive_key(key) for key in self.secret_keys}

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


class SizeLimitedSerializer(URLSafeTimedSerializer):
    """Keep one signer, and refuse contents that are larger than a session or token could need."""

    default_signer = CachingSigner

    def make_signer(self, salt: str | bytes | None = None) -> Signer:
        """Return the signer for this serializer's salt, or one for another."""
        return self._signer if salt in {None, self.salt} else super().make_signer(salt)

    @cached_property
    def _signer(self) -> Signer:
        return super().make_signer()

    def load_payload(self, payload: bytes, *args: Any, **kwargs: Any) -> Any:
        """Read contents whose signature has been verified.

        Raises:
            ValueError: They are larger than 64 KiB when decompressed, or cannot be decompressed.
        """
        if not payload.startswith(b"."):
            return super().load_payload(payload, *args, **kwargs)
        try:
            contents = zlib.decompressobj().decompress(base64_decode(payload[1:]), _MAX_SIZE + 1)
        except zlib.error as error:
            raise ValueError(f"The payload cannot be decompressed: {error}") from None
        if len(contents) > _MAX_SIZE:
            raise ValueError(f"The payload decompresses to more than {_MAX_SIZE} bytes.")
        return super(URLSafeSerializerMixin, self).load_payload(contents, *args, **kwargs)  # past its own decompressing
