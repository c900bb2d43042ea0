"""Writes sealed.json: endpoints sealed in both forms by an implementation that shares nothing with ours.

X25519 is PyNaCl's (libsodium), HKDF and the cipher are those of `cryptography`; where both have the primitive, both must agree.
RFC 1924's alphabet is Python's `base64.b85encode`. To make the file again:

    python3 -m venv /tmp/vectors && /tmp/vectors/bin/pip install pynacl==1.6.2 cryptography==50.0.2
    /tmp/vectors/bin/python libs/crypto/tests/vectors/make_vectors.py
"""

import base64
import hashlib
import json
import pathlib
import struct
import uuid

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_scalarmult,
    crypto_scalarmult_base,
)

DOMAIN = b"kinitro sealed endpoint, bound, version 1"


def public(private: bytes) -> bytes:
    key = crypto_scalarmult_base(private)
    assert key == X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return key


def exchange(private: bytes, peer: bytes) -> bytes:
    shared = crypto_scalarmult(private, peer)
    other = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(peer))
    assert shared == other
    return shared


def encrypt(key: bytes, nonce: bytes, plaintext: bytes, context: bytes | None) -> bytes:
    ciphertext = ChaCha20Poly1305(key).encrypt(nonce, plaintext, context)
    assert ciphertext == crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, context or b"", nonce, key)
    return ciphertext


def sealed(ephemeral: bytes, recipient: bytes, deployment: uuid.UUID) -> str:
    point = public(ephemeral)
    nonce = hashlib.sha256(point).digest()[:12]
    return base64.b85encode(point + encrypt(exchange(ephemeral, recipient), nonce, deployment.bytes, None)).decode()


def bound(ephemeral: bytes, recipient: bytes, deployment: uuid.UUID, netuid: int, hotkey: bytes) -> str:
    point = public(ephemeral)
    context = DOMAIN + struct.pack("<H", netuid) + hotkey
    derived = HKDF(hashes.SHA256(), 44, salt=point + recipient, info=context).derive(exchange(ephemeral, recipient))
    return base64.b85encode(point + encrypt(derived[:32], derived[32:], deployment.bytes, context)).decode()


def pseudorandom(label: str, number: int) -> bytes:
    return hashlib.sha256(f"{label} {number}".encode()).digest()


def cases():
    # The one vector that the tests began with.
    yield bytes(range(32)), bytes(range(100, 132)), uuid.UUID("8a4cd2e1-36f7-4e0f-9b5d-0c1f2a3b4c5d"), 1, bytes(range(200, 232))
    # Extremes of what is sealed and of what it is bound to.
    yield bytes([255] * 32), bytes([1] * 32), uuid.UUID(int=0), 0, bytes(32)
    yield bytes([1] * 32), bytes([255] * 32), uuid.UUID(int=2**128 - 1), 65535, bytes([255] * 32)
    for number in range(13):
        netuid = int.from_bytes(pseudorandom("netuid", number)[:2], "little")
        deployment = uuid.UUID(bytes=pseudorandom("deployment", number)[:16])
        yield pseudorandom("private", number), pseudorandom("ephemeral", number), deployment, netuid, pseudorandom("hotkey", number)


vectors = []
for private, ephemeral, deployment, netuid, hotkey in cases():
    recipient = public(private)
    vectors.append(
        {
            "private": private.hex(),
            "public": recipient.hex(),
            "ephemeral": ephemeral.hex(),
            "deployment": str(deployment),
            "netuid": netuid,
            "hotkey": hotkey.hex(),
            "sealed": sealed(ephemeral, recipient, deployment),
            "bound": bound(ephemeral, recipient, deployment, netuid, hotkey),
        }
    )
pathlib.Path(__file__).with_name("sealed.json").write_text(json.dumps(vectors, indent=1) + "\n")
