"""The streams of randomness of kinitro-sim, written out once more: ChaCha12 as in RFC 8439, with 12 rounds, a 64-bit counter
and a zero nonce, keyed by SHA-256. See `libs/sim/src/streams.rs`."""

import hashlib
import struct

import numpy as np

DOMAIN = b"kinitro/sim/stream/1\0"
WORD = 0xFFFFFFFF


def quarter_round(state, a, b, c, d):
    for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[x] = (state[x] + state[y]) & WORD
        mixed = state[z] ^ state[x]
        state[z] = (mixed << turn | mixed >> 32 - turn) & WORD


def block(key, counter):
    """16 words."""
    start = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), counter & WORD, counter >> 32, 0, 0]
    state = list(start)
    for _ in range(6):
        for i in range(4):
            quarter_round(state, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter_round(state, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return [(a + b) & WORD for a, b in zip(state, start)]


class Stream:
    """The stream of that name of an episode's seed."""

    def __init__(self, seed, name):
        self.key = hashlib.sha256(DOMAIN + name.encode() + b"\0" + struct.pack("<Q", seed)).digest()
        self.counter, self.words = 0, []

    def next_u64(self):
        if not self.words:
            self.words = block(self.key, self.counter)
            self.counter += 1
        low, high, *self.words = self.words
        return high << 32 | low

    def uniform(self, low, high):
        """A vector, one draw a component."""
        units = [(self.next_u64() >> 11) / 2.0**53 for _ in low]
        return np.array([a + (b - a) * unit for a, b, unit in zip(low, high, units)])


# The value that the Rust side is held to.
assert Stream(1, "random-vector").uniform([0.0], [1.0]).view("<u8")[0] == 4605061708337912023
