"""The APR version 2 container: its fixed fields, flags and checksums."""

from __future__ import annotations

import struct
import zlib
from enum import IntFlag

MAGIC = b"APR\0"
ALIGNMENT = 64
MAX_NAME_BYTES = 256
FOOTER = struct.Struct("<I")
HEADER = struct.Struct("<4sBBHIQIQQI20s")
"""Magic, version major and minor, flags, tensor count, metadata offset and size, tensor index
offset, data offset, checksum, reserved."""

CHECKSUM_FIELD = slice(40, 44)
ENTRY_TAIL = struct.Struct("<QQ")
"""Offset in the data section and size in bytes: the end of a tensor index entry."""


class AprFlag(IntFlag):
    """The flags of the header."""

    LZ4_COMPRESSED = 0x0001
    ZSTD_COMPRESSED = 0x0002
    ENCRYPTED = 0x0004
    SIGNED = 0x0008
    SHARDED = 0x0010
    QUANTIZED = 0x0020
    HAS_FILTERBANK = 0x0040
    HAS_MODEL_CARD = 0x0080
    STREAMING = 0x0100
    HAS_VOCAB = 0x0200
    LAYOUT_ROW_MAJOR = 0x0400
    LAYOUT_COLUMN_MAJOR = 0x0800


KNOWN_FLAGS = 0x0FFF
UNREADABLE = AprFlag.LZ4_COMPRESSED | AprFlag.ZSTD_COMPRESSED | AprFlag.ENCRYPTED


def header_checksum(header: bytes) -> int:
    """Return the CRC-32 of the header without its own field."""
    return zlib.crc32(header[44:64], zlib.crc32(header[:40]))


def aligned(position: int) -> int:
    """Return the next multiple of 64."""
    return -(-position // ALIGNMENT) * ALIGNMENT
