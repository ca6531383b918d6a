"""A receiver of remote write, and targets, that account for every sample; standard library only.

A target's series all have the number of the scrape as their value, so that for each sample the receiver knows what must
have come before it. Duplicates are told from losses and from disorder exactly, in memory that does not grow with time.
"""
import collections
import ctypes
import ctypes.util
import glob
import http.server
import os
import random
import socket
import socketserver
import struct
import threading
import time
import zlib

from serving import Serving

STALE = 0x7FF0000000000002


# MARK: Remote write (https://prometheus.io/docs/specs/prw/): snappy, then protobuf.

def _library():
    name = ctypes.util.find_library("snappy")
    return ctypes.CDLL(name) if name else None


SNAPPY = _library()


def uncompress(block):
    if not SNAPPY:
        return uncompress_slowly(block)
    length = ctypes.c_size_t()
    if SNAPPY.snappy_uncompressed_length(block, ctypes.c_size_t(len(block)), ctypes.byref(length)):
        raise ValueError("snappy: no length")
    output = ctypes.create_string_buffer(length.value)
    if SNAPPY.snappy_uncompress(block, ctypes.c_size_t(len(block)), output, ctypes.byref(length)):
        raise ValueError("snappy: damaged")
    return output.raw[:length.value]


def uncompress_slowly(block):
    """For machines without libsnappy (https://github.com/google/snappy/blob/main/format_description.txt)."""
    length, at = varint(block, 0)
    output = bytearray()
    while at < len(block):
        tag = block[at]
        at += 1
        if tag & 3 == 0:
            count = tag >> 2
            if count >= 60:
                size = count - 59
                count = int.from_bytes(block[at:at + size], "little")
                at += size
            output += block[at:at + count + 1]
            at += count + 1
            continue
        if tag & 3 == 1:
            count, back, at = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | block[at], at + 1
        else:
            size = 2 if tag & 3 == 2 else 4
            count, back, at = (tag >> 2) + 1, int.from_bytes(block[at:at + size], "little"), at + size
        while count:
            part = output[len(output) - back:][:count]
            output += part
            count -= len(part)
    if len(output) != length:
        raise ValueError("snappy: wrong length")
    return bytes(output)


def varint(data, at):
    byte = data[at]
    at += 1
    if byte < 0x80:
        return byte, at
    value, shift = byte & 0x7F, 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """The fields of a message: number, and an int or bytes."""
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = data[at:at + 8], at + 8
        elif kind == 2:
            length, at = varint(data, at)
            if at + length > end:
                raise ValueError("protobuf: a field ends behind its message")
            value, at = data[at:at + length], at + length
        else:
            raise ValueError(f"protobuf: wire type {kind}")
        yield tag >> 3, value


def sample(message):
    """Timestamp and the value's bits."""
    bits = timestamp = 0
    for number, value in fields(message):
        if number == 1:
            bits = int.from_bytes(value, "little")
        elif number == 2:
            timestamp = value
    return timestamp, bits


def label(message):
    name = value = b""
    for number, content in fields(message):
        if number == 1:
            name = content
        else:
            value = content
    return name.decode(), value.decode()


def packed(data):
    at = 0
    while at < len(data):
        value, at = varint(data, at)
        yield value


class Ledger:
    """What has arrived: each sample once, each series in order, or how often not."""

    class Series:
        __slots__ = ("labels", "target", "number", "timestamp", "gaps", "others")

        def __init__(self, labels):
            self.labels = labels
            # None for series whose value is not the number of the scrape.
            self.target = labels.get("instance") if labels["__name__"].startswith("ticks") else None
            self.number = self.timestamp = 0
            self.gaps = set()
            self.others = {}

    def __init__(self):
        self.series = {}
        self.delivered = self.duplicates = self.disorder = self.mismatches = self.stale = 0
        # Distinct samples by timestamp.
        self.by_time = collections.Counter()
        # The timestamp of each scrape of each target.
        self.times = collections.defaultdict(dict)
        self.metadata = {}
        self.newest = 0
        self._prefixes = {}

    def take1(self, message):
        """A `prometheus.WriteRequest`."""
        prefixes, add = self._prefixes, self.add
        at, end = 0, len(message)
        while at < end:
            tag = message[at]
            length, at = varint(message, at + 1)
            content = message[at:at + length]
            at += length
            if at > end:
                raise ValueError("protobuf: a field ends behind its message")
            if tag != 0x0A:
                if tag == 0x1A:
                    family = dict(fields(content))
                    self.metadata[family[2].decode()] = family.get(1, 0), family.get(4, b"").decode()
                continue
            # Nearly always: labels that were seen before, then one sample with both of its fields.
            if length > 18 and content[-18:-15] == b"\x12\x10\x09" and content[-7] == 0x10:
                series = prefixes.get(content[:-18])
                if series:
                    c = content[-6:]
                    timestamp = (c[0] & 127 | (c[1] & 127) << 7 | (c[2] & 127) << 14 | (c[3] & 127) << 21
                                 | (c[4] & 127) << 28 | c[5] << 35)
                    add(series, timestamp, int.from_bytes(content[-15:-7], "little"))
                    continue
            labels, samples, size = {}, [], 0
            for number, value in fields(content):
                if number == 1:
                    name, text = label(value)
                    labels[name] = text
                    size += 1 + len(value) + (1 if len(value) < 128 else 2)
                elif number == 2:
                    samples.append(sample(value))
            if list(labels) != sorted(labels, key=str.encode):
                raise ValueError(f"labels are not sorted: {labels}")
            series = self._find(labels)
            prefixes[content[:size]] = series
            for timestamp, bits in samples:
                add(series, timestamp, bits)

    def take2(self, message):
        """An `io.prometheus.write.v2.Request`; gives the number of samples."""
        symbols, contents, count = [], [], 0
        for number, value in fields(message):
            if number == 4:
                symbols.append(value.decode())
            elif number == 5:
                contents.append(value)
        for content in contents:
            references, samples = [], []
            for number, value in fields(content):
                if number == 1:
                    references = [symbols[index] for index in packed(value)]
                elif number == 2:
                    samples.append(sample(value))
            series = self._find(dict(zip(references[::2], references[1::2])))
            for timestamp, bits in samples:
                self.add(series, timestamp, bits)
            count += len(samples)
        return count

    def _find(self, labels):
        key = tuple(labels.items())
        if key not in self.series:
            self.series[key] = self.Series(labels)
        return self.series[key]

    def add(self, series, timestamp, bits):
        if series.target is None or bits == STALE:
            known = series.others.get(timestamp)
            if known is not None:
                self.duplicates += 1
                self.mismatches += known != bits
                return
            series.others[timestamp] = bits
            self.stale += bits == STALE
            if timestamp < series.timestamp:
                self.disorder += 1
        else:
            number = int(struct.unpack("<d", bits.to_bytes(8, "little"))[0])
            times = self.times[series.target]
            if times.setdefault(number, timestamp) != timestamp:
                self.mismatches += 1
            if number > series.number:
                if timestamp <= series.timestamp:
                    self.disorder += 1
                if number != series.number + 1:
                    series.gaps.update(range(series.number + 1, number))
                series.number = number
            elif number in series.gaps:
                series.gaps.remove(number)
                self.disorder += 1
            else:
                self.duplicates += 1
                return
        series.timestamp = max(series.timestamp, timestamp)
        self.newest = max(self.newest, timestamp)
        self.delivered += 1
        self.by_time[timestamp] += 1

    def missing(self, targets, interval):
        """Scrapes that were answered and have not arrived whole: {(target, number): samples}. Those that the agent gave
        up, as the answer was too late for it (`up` is 0), are by themselves.

        `interval`: of scrapes, in seconds.
        """
        absent = collections.Counter()
        seen = collections.Counter()
        downs = {}
        for series in self.series.values():
            target = series.target
            if target is None:
                if series.labels["__name__"] == "up":
                    downs[series.labels["instance"]] = [at / 1000 for at, bits in series.others.items() if not bits]
                continue
            seen[target] += 1
            for number in [*series.gaps, *range(series.number + 1, targets.count(target) + 1)]:
                absent[target, number] += 1
        for target in targets.instances:
            for number in range(1, targets.count(target) + 1):
                if seen[target] < targets.series:
                    absent[target, number] += targets.series - seen[target]
        missing, late = {}, {}
        for (target, number), count in absent.items():
            asked, answered = targets.asked[target][number], targets.answered[target].get(number)
            if answered:
                is_late = any(at - 0.02 <= asked <= at + interval for at in downs.get(target, []))
                (late if is_late else missing)[target, number] = count
        return missing, late


class Receiver(Serving):
    """Answers remote write on `port` as `fault()` says: "ok"; a status; "reset" before it has taken anything; "lost":
    it takes the samples, but its answer does not arrive; "slow". `versions`: the versions that it knows."""

    def __init__(self, port=0, fault=lambda: "ok", versions=(1, 2)):
        self.fault, self.versions = fault, versions
        self.ledger, self.lock = Ledger(), threading.Lock()
        self.answers = collections.Counter()
        self.errors = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                version = 2 if "v2.Request" in self.headers["Content-Type"] else 1
                fault = str(receiver.fault()) if version in receiver.versions else "415"
                receiver.answers[f"v{version} {fault}"] += 1
                if fault == "slow":
                    time.sleep(random.uniform(0.05, 0.5))
                    fault = "ok"
                written = receiver.take(body, version) if fault in ("ok", "lost") else 0
                if fault in ("reset", "lost"):
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    return
                self.send_response(204 if fault == "ok" else int(fault))
                if fault == "429":
                    self.send_header("Retry-After", "1")
                if fault == "ok" and version == 2:
                    self.send_header("X-Prometheus-Remote-Write-Samples-Written", str(written))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]

    def take(self, body, version):
        with self.lock:
            try:
                message = uncompress(body)
                return self.ledger.take2(message) if version == 2 else self.ledger.take1(message)
            except Exception as error:
                self.errors.append(repr(error))
                return 0


class Targets(Serving):
    """`count` targets of `series` series each on one port of the addresses 127.0.0.1 and up."""

    def __init__(self, count=1, series=20):
        self.series = series
        # When each scrape of each target came, and when its answer was handed to the kernel.
        self.asked, self.answered = collections.defaultdict(dict), collections.defaultdict(dict)
        self._numbers = collections.Counter()
        # The value stands last in its line: one replacement makes a page.
        lines = "".join(f'ticks_{n % 50}_total{{path="/some/path/{n}",method="GET"}} @\n' for n in range(series))
        self._page = lines.encode()
        targets = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                address, port = self.request.getsockname()
                instance, request = f"{address}:{port}", b""
                while data := self.request.recv(65536):
                    request += data
                    if b"\r\n\r\n" not in request:
                        continue
                    request = b""
                    number = targets._numbers[instance] + 1
                    targets.asked[instance][number] = time.time()
                    targets._numbers[instance] = number
                    body = targets.page(number)
                    self.request.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n"
                        % len(body) + body)
                    targets.answered[instance][number] = time.time()

        class Server(socketserver.ThreadingTCPServer):
            request_queue_size = 1024
            daemon_threads = allow_reuse_address = True

            def handle_error(self, *_):
                pass

        self.server = Server(("", 0), Handler)
        self.port = self.server.server_address[1]
        self.instances = [f"127.0.{n // 250}.{n % 250 + 1}:{self.port}" for n in range(count)]

    def page(self, number):
        return self._page.replace(b"@", str(number).encode())

    def count(self, instance):
        return self._numbers[instance]

    @property
    def total(self):
        """Scrapes of all targets."""
        return sum(self._numbers.values())


class LogRecords:
    """The records that the log's segments hold: {timestamp: samples}, over all times `look` was called.

    Reads no more of a record than its checksum, time and number of samples (docs/log-format.md).
    """

    def __init__(self, folder):
        self.folder = folder
        self.samples = collections.Counter()
        self._ends = {}

    def look(self):
        for path in sorted(glob.glob(os.path.join(self.folder, "*.log"))):
            with open(path, "rb") as f:
                header = f.read(32)
                if len(header) < 32:
                    continue
                if header[:12] != b"PILOTLOG\x01\0\0\0":
                    raise ValueError(f"{path}: no segment of version 1")
                end = self._ends.get(path, 32)
                f.seek(end)
                data, at = f.read(), 0
            while at + 8 <= len(data):
                length, checksum = struct.unpack_from("<II", data, at)
                payload = data[at + 8:at + 8 + length]
                if not length or len(payload) < length or zlib.crc32(payload) != checksum:
                    break
                _, place = varint(payload, 0)
                zigzag, place = varint(payload, place)
                count, place = varint(payload, place)
                self.samples[zigzag >> 1] += count
                at += 8 + length
            self._ends[path] = end + at
        return self
