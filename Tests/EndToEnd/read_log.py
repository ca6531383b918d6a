#!/usr/bin/env python3
"""Reads a log as docs/log-format.md describes it, and nothing else: an independent reading for the tests.

usage: read_log.py DIR     prints each sample: ordinal, series, timestamp, value
"""
import os
import re
import struct
import sys
import zlib


class Scanner:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert self.at + count <= len(self.data), "cut off"
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def zigzag(self):
        return unzigzag(self.varint())

    def text(self):
        return self.take(self.varint())


def unzigzag(value):
    return value >> 1 ^ -(value & 1)


def whole(bits, digits):
    """The decimal that a change counts from."""
    value = struct.unpack("<d", struct.pack("<Q", bits))[0] * 10.0 ** digits
    scaled = round(value) if abs(value) < 2 ** 53 + 1 else 2 ** 53
    if abs(scaled) >= 2 ** 53 or to_bits(scaled, digits) != bits:
        return 0
    return scaled


def to_bits(number, digits):
    return struct.unpack("<Q", struct.pack("<d", float(number) / 10.0 ** digits))[0]


def records(path):
    data = open(path, "rb").read()
    magic, version, _, _, crc = struct.unpack("<8sIQqI", data[:32])
    assert magic == b"PILOTLOG" and version == 1 and crc == zlib.crc32(data[:28]), path
    at = 32
    while at + 8 <= len(data):
        length, crc = struct.unpack("<II", data[at:at + 8])
        payload = data[at + 8:at + 8 + length]
        if len(payload) < length:
            return  # still being written
        assert crc == zlib.crc32(payload), f"{path}: checksum at {at}"
        yield Scanner(payload)
        at += 8 + length


def segment(path):
    """Yields ordinal, labels (pairs of bytes), timestamp and the value's bits."""
    pairs, series, last = [], [], []
    for r in records(path):
        first, time, count = r.varint(), r.zigzag(), r.varint()
        while kind := r.byte():
            if kind == 0x0a:
                label = Scanner(r.text())
                pairs.append((label.byte() and label.text(), label.byte() and label.text()))
            elif kind == 1:
                r.varint()
                series.append(tuple(pairs[r.varint()] for _ in range(r.varint())))
                last.append([0, 0])
            elif kind == 2:
                r.byte(), r.text(), r.text(), r.text()
            else:
                assert kind in (3, 4), f"definition {kind}"
                r.varint(), r.varint()
        slots, times = [], []
        while len(slots) < count:
            start = (slots[-1] + 1 if slots else 0) + r.zigzag()
            slots += range(start, start + r.varint())
        while len(times) < count:
            times += [time + r.zigzag()] * r.varint()
        repeats = 0
        for index, slot in enumerate(slots):
            state = last[slot]
            if repeats == 0:
                tag = r.byte()
                kind, detail, length = tag >> 6, tag >> 3 & 7, (tag & 7) + 1
                if kind == 0:
                    repeats = tag + 1
                elif kind == 1:
                    state[0] = to_bits(whole(*state) + tag % 64 - 32, state[1])
                elif kind == 2:
                    change = unzigzag(int.from_bytes(r.take(length), "little"))
                    state[:] = to_bits(whole(state[0], detail) + change, detail), detail
                else:
                    state[:] = state[0] ^ int.from_bytes(r.take(length), "little") << 8 * detail, None
            repeats -= repeats > 0
            yield first + index, series[slot], times[index], state[0]
        for _ in range(r.varint()):
            r.varint(), r.byte(), r.text()
        assert r.at == len(r.data), "a record is longer than what it says"


def log(folder):
    for name in sorted(os.listdir(folder)):
        if re.fullmatch("[0-9a-f]{16}[.]log", name):
            yield from segment(os.path.join(folder, name))


if __name__ == "__main__":
    for ordinal, labels, time, bits in log(sys.argv[1]):
        print(ordinal, b",".join(b"=".join(p) for p in labels).decode(), time, struct.unpack("<d", struct.pack("<Q", bits))[0])
