# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Encrypt a text as Ansible Vault does (format 1.1, AES256), with Python's own library alone.

A backup by timer runs on the host, where neither Ansible nor the package `cryptography` need be. `ansible-vault view`
and the controller read what this writes. The texts are short, so it does not matter that this is slow.
"""

from __future__ import annotations

import hashlib
import hmac
import os

ITERATIONS = 10000  # of PBKDF2, as Ansible Vault has them
BLOCK = 16
LINE = 80


def _double(value: int) -> int:
    """Multiply by x in the field of AES (FIPS 197, 4.2.1)."""
    return ((value << 1) ^ (0x11B if value & 0x80 else 0)) & 0xFF


def _substitutions() -> bytes:
    """Make the S-box (FIPS 197, 5.1.1): walk through the field by the generator 3 and by its inverse."""
    box = bytearray(256)
    value = inverse = 1
    while True:
        value ^= _double(value)
        for shift in (1, 2, 4):
            inverse ^= inverse << shift & 0xFF
        if inverse & 0x80:
            inverse ^= 0x09
        turned = inverse
        for shift in (1, 2, 3, 4):
            turned ^= (inverse << shift | inverse >> (8 - shift)) & 0xFF
        box[value] = turned ^ 0x63
        if value == 1:
            break
    box[0] = 0x63
    return bytes(box)


SBOX = _substitutions()


def round_keys(key: bytes) -> list[bytes]:
    """Expand a key of 32 bytes to the 15 keys of the rounds (FIPS 197, 5.2)."""
    words = [key[at : at + 4] for at in range(0, 32, 4)]
    constant = 1
    for at in range(8, 60):
        word = words[-1]
        if at % 8 == 0:
            word = bytes(SBOX[one] for one in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = _double(constant)
        elif at % 8 == 4:
            word = bytes(SBOX[one] for one in word)
        words.append(bytes(one ^ other for one, other in zip(words[at - 8], word, strict=True)))
    return [b"".join(words[at : at + 4]) for at in range(0, 60, 4)]


def encrypt_block(keys: list[bytes], block: bytes) -> bytes:
    """Encrypt one block (FIPS 197, 5.1)."""
    state = bytes(one ^ other for one, other in zip(block, keys[0], strict=True))
    for number, key in enumerate(keys[1:], 1):
        moved = bytes(SBOX[state[(at + 4 * (at % 4)) % BLOCK]] for at in range(BLOCK))
        if number < len(keys) - 1:
            mixed = bytearray()
            for column in range(0, BLOCK, 4):
                four = moved[column : column + 4]
                every = four[0] ^ four[1] ^ four[2] ^ four[3]
                mixed += bytes(four[at] ^ every ^ _double(four[at] ^ four[(at + 1) % 4]) for at in range(4))
            moved = bytes(mixed)
        state = bytes(one ^ other for one, other in zip(moved, key, strict=True))
    return state


def count(keys: list[bytes], first: bytes, text: bytes) -> bytes:
    """Encrypt in counter mode (NIST SP 800-38A, 6.5)."""
    counter = int.from_bytes(first, "big")
    out = bytearray()
    for at in range(0, len(text), BLOCK):
        pad = encrypt_block(keys, ((counter + at // BLOCK) % (1 << 128)).to_bytes(BLOCK, "big"))
        out += bytes(one ^ other for one, other in zip(text[at : at + BLOCK], pad, strict=False))
    return bytes(out)


def encrypt(text: bytes, passphrase: str) -> bytes:
    """Return a text as a file of Ansible Vault."""
    salt = os.urandom(32)
    derived = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, ITERATIONS, 2 * 32 + BLOCK)
    missing = BLOCK - len(text) % BLOCK
    hidden = count(round_keys(derived[:32]), derived[64:], text + bytes([missing]) * missing)
    check = hmac.new(derived[32:64], hidden, hashlib.sha256).hexdigest()
    body = f"{salt.hex()}\n{check}\n{hidden.hex()}".encode().hex()
    lines = [body[at : at + LINE] for at in range(0, len(body), LINE)]
    return "\n".join(("$ANSIBLE_VAULT;1.1;AES256", *lines, "")).encode()
