"""How much a signed text may unpack to: whoever has the key must not have the server's memory, too.

itsdangerous packs contents with zlib and unpacks them without bound; a cookie of the usual length could unpack to three
million bytes.
"""

import zlib
from typing import Any, Final

from itsdangerous.encoding import base64_decode
from itsdangerous.url_safe import URLSafeSerializerMixin

from .serializer import LastingSerializer

_LONGEST: Final = 64 * 1024  # bytes


class SparingSerializer(LastingSerializer):
    """itsdangerous's serializer, which refuses contents that are longer than a session or token could need."""

    def load_payload(self, payload: bytes, *args: Any, **kwargs: Any) -> Any:
        """Read contents whose signature has been verified.

        Raises:
            ValueError: They unpack to more than 64 KiB, or cannot be unpacked.
        """
        if not payload.startswith(b"."):
            return super().load_payload(payload, *args, **kwargs)
        try:
            unpacked = zlib.decompressobj().decompress(base64_decode(payload[1:]), _LONGEST + 1)
        except zlib.error as error:
            raise ValueError(f"It cannot be unpacked: {error}") from None
        if len(unpacked) > _LONGEST:
            raise ValueError(f"It unpacks to more than {_LONGEST} bytes.")
        return super(URLSafeSerializerMixin, self).load_payload(unpacked, *args, **kwargs)  # past its own unpacking
