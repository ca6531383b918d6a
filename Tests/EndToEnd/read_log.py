#!/usr/bin/env python3
"""Reads a log by docs/log-format.md and nothing else.   usage: read_log.py DIR"""
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
        byte = self.byte()
        return byte if byte < 0x80 else byte & 0x7f | self.varint() << 7

    def zigzag(self):
        return unzigzag(self.varint())

    def text(self):
        return self.take(self.varint())


def unzigzag(value):
    return value >> 1 ^ -(value & 1)


def to_bits(number, digits):
    return struct.unpack("<Q", struct.pack("<d", float(number) / 10.0 ** digits))[0]


def decimal(bits, digits):
    """The number of 10 ** -digits from which a change counts."""
    scaled = struct.unpack("<d", struct.pack("<Q", bits))[0] * 10.0 ** digits
    number = round(scaled) if abs(scaled) <= 2 ** 53 else 2 ** 53
    return number if abs(number) < 2 ** 53 and to_bits(number, digits) == bits else 0


def next_bits(tag, bits, digits, r):
    """The value behind a tag that is no repetition, and its digits."""
    if tag >> 6 == 1:
        return to_bits(decimal(bits, digits) + tag % 64 - 32, digits), digits
    detail, number = tag >> 3 & 7, int.from_bytes(r.take((tag & 7) + 1), "little")
    if tag >> 6 == 2:
        return to_bits(decimal(bits, detail) + unzigzag(number), detail), detail
    return bits ^ number << 8 * detail, None


def records(path):
    data, at = open(path, "rb").read(), 32
    magic, version, _, _, crc = struct.unpack("<8sIQqI", data[:32])
    assert (magic, version, crc) == (b"PILOTLOG", 1, zlib.crc32(data[:28])), path
    while at + 8 <= len(data):
        length, crc = struct.unpack("<II", data[at:at + 8])
        payload = data[at + 8:at + 8 + length]
        if len(payload) < length:
            return  # it is being written
        assert crc == zlib.crc32(payload), f"{path}: checksum at {at}"
        yield Scanner(payload)
        at += 8 + length


def segment(path):
    """Each sample: ordinal, labels, timestamp, the bits of the value."""
    pairs, series, last = [], [], []
    for r in records(path):
        first, time, count = r.varint(), r.zigzag(), r.varint()
        while kind := r.byte():
            if kind == 0x0a:
                label = Scanner(r.text())
                pairs.append(tuple(label.byte() and label.text() for _ in range(2)))
            elif kind == 1:
                r.varint()
                series.append(tuple(pairs[r.varint()] for _ in range(r.varint())))
                last.append((0, 0))
            elif kind == 2:
                r.byte(), r.text(), r.text(), r.text()
            else:
                assert kind in (3, 4), f"definition {kind}"
                r.varint(), r.varint()
        slots, times, repeats = [], [], 0
        while len(slots) < count:
            start = (slots[-1] + 1 if slots else 0) + r.zigzag()
            slots += range(start, start + r.varint())
        while len(times) < count:
            times += [time + r.zigzag()] * r.varint()
        for index, slot in enumerate(slots):
            if not repeats:
                tag = r.byte()
                if tag < 64:
                    repeats = tag + 1
                else:
                    last[slot] = next_bits(tag, *last[slot], r)
            repeats -= repeats > 0
            yield first + index, series[slot], times[index], last[slot][0]
        for _ in range(r.varint()):
            r.varint(), r.byte(), r.text()
        assert r.at == len(r.data), "a record is longer than what it says"


def log(folder):
    for name in sorted(os.listdir(folder)):
        if re.fullmatch("[0-9a-f]{16}[.]log", name):
            yield from segment(os.path.join(folder, name))


if __name__ == "__main__":
    for sample in log(sys.argv[1]):
        print(*sample)
