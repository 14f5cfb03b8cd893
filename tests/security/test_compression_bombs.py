"""Decompression bombs: limits on compressed bodies and on HTTP/2 header compression (HPACK)."""

import gzip
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from client import KEY, PASSWORD, Visitor
from servers import SCRIPTS, free_port, running
from slow import mostly_slow

MEGABYTE = 1024 * 1024


@pytest.mark.requirement("13.1.3", "15.2.2")
@pytest.mark.parametrize("encoding", mostly_slow(["gzip", "deflate", "x-gzip", "gzip, gzip", "br", "zstd"], quick=2))
@pytest.mark.parametrize("path", ["/login", "/register"])
async def test_decompression_bomb_a_compressed_form_is_never_inflated(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, path: str, encoding: str
) -> None:
    token = (await visitor.get(path)).token
    form = f"csrf_token={token}&username=Alice&password={PASSWORD}&x=".encode() + b"x" * 50 * MEGABYTE
    packed = gzip.compress(form) if "gzip" in encoding else zlib.compress(form)
    for name in ("decompress", "decompressobj"):
        monkeypatch.setattr(zlib, name, lambda *_, **__: pytest.fail("It was inflated."))

    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": encoding}
    page = await visitor.request("POST", path, data=packed, headers=headers)

    assert page.status in {400, 413, 415}


@pytest.mark.alone
@pytest.mark.requirement("13.1.3", "15.2.2")
def test_hpack_bomb_repeated_references_to_a_long_header_are_not_expanded(tmp_path: Path) -> None:
    """HPACK: one header of 4,000 bytes is sent, and named in a byte each a hundred thousand times: 400 MB."""
    port = free_port()
    command = [str(SCRIPTS / "quartlogin"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, port, tmp_path, QUARTLOGIN_SECRET_KEY=KEY) as server:
        before = server.forget_peak()
        for _ in range(5):
            with server.connect() as wire, suppress(OSError):
                client = H2Connection(H2Configuration())
                client.initiate_connection()
                wire.sendall(client.data_to_send() + header_bomb())
                while wire.recv(65536):
                    pass

        assert server.peak() - before < 24 * MEGABYTE


def header_bomb() -> bytes:
    """HEADERS and six CONTINUATIONs: a new entry of the table, and references to it."""
    value = b"x" * 4000
    pseudo = b"\x82\x84\x86"  # GET, /, http
    entry = b"\x40\x01a\x7f" + bytes([(len(value) - 127) % 128 | 128, (len(value) - 127) // 128]) + value
    blocks = [pseudo + entry + b"\xbe" * 12_000, *(b"\xbe" * 16_000 for _ in range(6))]
    kinds = [1, *[9] * 6]
    flags = [1, *[0] * 5, 4]
    return b"".join(
        struct.pack("!I", len(block))[1:] + bytes([kind, flag]) + struct.pack("!I", 1) + block
        for block, kind, flag in zip(blocks, kinds, flags, strict=True)
    )
