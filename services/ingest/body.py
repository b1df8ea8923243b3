"""Reading a request's body: whole, decompressed, and never more of it than was allowed."""

import zlib
from collections.abc import Callable

import zstandard

from services.ingest.problem import BAD_ENCODING, BODY_TOO_LARGE, UNSUPPORTED_ENCODING, Refusal

ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""What a decoder has to support (RFC 8878, 3.1.1.1.2), and no more: the window is memory."""


def decompress(body: bytes, encoding: bytes, limit: int) -> bytes:
    """`body` without its content encoding. It is never more than `limit` bytes, nor is more than that ever produced.

    Raises `Refusal`: body-too-large, bad-encoding, unsupported-content-encoding.
    """
    if not encoding or encoding == b"identity":
        return body
    decoder = _DECODERS.get(encoding.strip().lower())
    if decoder is None:
        raise Refusal(
            UNSUPPORTED_ENCODING, "use gzip, deflate or zstd", headers=((b"accept-encoding", b"gzip, deflate, zstd"),)
        )
    try:
        plain = decoder(body, limit + 1)
    except (zlib.error, zstandard.ZstdError, EOFError):
        raise Refusal(BAD_ENCODING) from None
    if len(plain) > limit:
        raise too_large(limit)
    return plain


def too_large(limit: int) -> Refusal:
    return Refusal(BODY_TOO_LARGE, f"the body must have {limit} bytes at most, also after decompression")


def _gunzip(body: bytes, most: int) -> bytes:
    """Several members in a row are one stream (RFC 1952, 2.2)."""
    plain = bytearray()
    while body:
        member = zlib.decompressobj(wbits=31)
        plain += member.decompress(body, most - len(plain))
        if len(plain) >= most:
            break
        if not member.eof:
            raise EOFError
        body = member.unused_data
    return bytes(plain)


def _inflate(body: bytes, most: int) -> bytes:
    """`deflate` is the zlib format, but some send the bare stream (RFC 9110, 8.4.1.2)."""
    bare = not body or (body[0] & 0x0F) != 8 or int.from_bytes(body[:2]) % 31
    stream = zlib.decompressobj(wbits=-15 if bare else 15)
    plain = stream.decompress(body, most)
    if len(plain) < most and (not stream.eof or stream.unused_data):
        raise EOFError
    return plain


def _unzstd(body: bytes, most: int) -> bytes:
    """Twice: a reader that can be told when to stop, then a decoder that can tell whether the stream was whole."""
    zstd = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
    with zstd.stream_reader(body, read_across_frames=True) as stream:
        if len(start := stream.read(most)) >= most:
            return start
    plain = bytearray()
    while body:
        frame = zstd.decompressobj()
        plain += frame.decompress(body)
        if not frame.eof:
            raise EOFError
        body = frame.unused_data
    return bytes(plain)


_DECODERS: dict[bytes, Callable[[bytes, int], bytes]] = {
    b"gzip": _gunzip,
    b"x-gzip": _gunzip,
    b"deflate": _inflate,
    b"zstd": _unzstd,
}
