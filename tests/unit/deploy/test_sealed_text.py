"""What the host encrypts without Ansible, Ansible Vault decrypts."""

from __future__ import annotations

import pytest
from ansible.parsing.vault import AnsibleVaultError, VaultLib, VaultSecret
from ansible_collections.sse.platform.plugins.module_utils.deploy import sealed_text

PASSPHRASE = "correct horse battery"


def library(passphrase: str) -> VaultLib:
    return VaultLib([("default", VaultSecret(passphrase.encode()))])


def test_a_block_is_that_of_the_standard() -> None:
    """FIPS 197, appendix C.3."""
    keys = sealed_text.round_keys(bytes(range(32)))
    assert sealed_text.encrypt_block(keys, bytes.fromhex("00112233445566778899aabbccddeeff")) == bytes.fromhex(
        "8ea2b7ca516745bfeafc49904b496089"
    )


def test_the_counter_is_that_of_the_standard() -> None:
    """NIST SP 800-38A, F.5.5."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    first = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    text = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
    found = sealed_text.count(sealed_text.round_keys(key), first, text)
    assert found.hex() == "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1000])
def test_ansible_vault_reads_it(size: int) -> None:
    text = bytes(number % 251 for number in range(size)) or b""
    encrypted = sealed_text.encrypt(text, PASSPHRASE)
    assert library(PASSPHRASE).decrypt(encrypted) == text
    assert sealed_text.encrypt(text, PASSPHRASE) != encrypted


def test_another_passphrase_does_not_open_it() -> None:
    with pytest.raises(AnsibleVaultError):
        library("another passphrase").decrypt(sealed_text.encrypt(b"secret", PASSPHRASE))
