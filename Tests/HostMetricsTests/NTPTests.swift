import Bytes
import Glibc
import Kernel
import TestSupport
import Testing

@testable import HostMetrics

/// What a server says, in terms of the header's fields.
private struct Message: Sendable {
  var first: UInt8 = 0 << 6 | 4 << 3 | 4
  var stratum: UInt8 = 2
  var rootDelay: UInt32 = 0x8000
  var rootDispersion: UInt32 = 0x4000
  /// Seconds by which the server's clock is ahead.
  var ahead = 0
  /// Seconds since the server's clock was set; nil: it never was.
  var age: Int? = 64
  var cookie: UInt64?
  var length = 48

  func bytes(_ request: [UInt8]) -> [UInt8] {
    func number(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
    var clock = timespec()
    clock_gettime(CLOCK_REALTIME, &clock)
    let now = NTPTime(unixSeconds: Int64(clock.tv_sec + ahead), nanoseconds: Int64(clock.tv_nsec)).bits
    let set = age.map { now &- UInt64(bitPattern: Int64($0)) << 32 } ?? 0
    let bytes: [UInt8] =
      [first, stratum, 6, 0xec] + number(rootDelay) + number(rootDispersion) + number(UInt32(0x4750_5300)) + number(set)
      + (cookie.map { number($0) } ?? Array(request[40..<48])) + number(now) + number(now)
    return Array((bytes + [UInt8](repeating: 0, count: 20)).prefix(length))
  }
}

private func collector(
  _ server: ServerStub, _ arguments: [String] = [], patience: UInt64 = 20_000_000_000
) throws -> NTPCollector {
  let flags = ["--collector.ntp.server-port=\(server.port)"] + arguments
  return try NTPCollector(.fixture(NTPCollector.self, "/", flags), patience: patience)
}

private func value(_ text: String, _ name: String) -> Double? {
  lines(text, "\(name) ").first.flatMap { Double($0.split(separator: " ")[1]) }
}

@Suite struct NTPTests {
  @Test func showsWhatTheServerSays() throws {
    let server = try ServerStub.datagrams { Message().bytes($0) }
    let text = try render(try collector(server, ["--collector.ntp.local-offset-tolerance=10s"]))
    #expect(
      lines(text, "#") == [
        "# HELP node_ntp_leap NTPD leap second indicator, 2 bits.", "# TYPE node_ntp_leap gauge",
        "# HELP node_ntp_offset_seconds ClockOffset between NTP and local clock.",
        "# TYPE node_ntp_offset_seconds gauge",
        "# HELP node_ntp_reference_timestamp_seconds NTPD ReferenceTime, UNIX timestamp.",
        "# TYPE node_ntp_reference_timestamp_seconds gauge", "# HELP node_ntp_root_delay_seconds NTPD RootDelay.",
        "# TYPE node_ntp_root_delay_seconds gauge",
        "# HELP node_ntp_root_dispersion_seconds NTPD RootDispersion.",
        "# TYPE node_ntp_root_dispersion_seconds gauge", "# HELP node_ntp_rtt_seconds RTT to NTPD.",
        "# TYPE node_ntp_rtt_seconds gauge",
        "# HELP node_ntp_sanity NTPD sanity according to RFC5905 heuristics and configured limits.",
        "# TYPE node_ntp_sanity gauge", "# HELP node_ntp_stratum NTPD stratum.", "# TYPE node_ntp_stratum gauge",
      ])
    for line in [
      "node_ntp_leap 0", "node_ntp_root_delay_seconds 0.5", "node_ntp_root_dispersion_seconds 0.25",
      "node_ntp_sanity 1",
      "node_ntp_stratum 2",
    ] { #expect(lines(text, line) == [line]) }
    #expect(try #require(value(text, "node_ntp_rtt_seconds")) >= 0)
    #expect(abs(try #require(value(text, "node_ntp_offset_seconds"))) < 10)
    #expect(try #require(value(text, "node_ntp_reference_timestamp_seconds")) > 1_700_000_000)
  }

  /// What makes an answer insane, beside the limits that the flags set.
  @Test(
    arguments: [
      (Message(first: 3 << 6 | 4 << 3 | 4), false), (Message(stratum: 0), false), (Message(stratum: 15), true),
      (Message(stratum: 16), false), (Message(rootDelay: 0x40_0000), false), (Message(age: -60), false),
      (Message(age: 200_000), false), (Message(age: 100_000), true), (Message(ahead: 100), false),
      (Message(ahead: -100), false), (Message(first: 1 << 6 | 4 << 3 | 4), true), (Message(age: nil), false),
      (Message(length: 68), true),
    ] as [(Message, Bool)])
  fileprivate func sanity(message: Message, isSane: Bool) throws {
    let server = try ServerStub.datagrams { message.bytes($0) }
    let text = try render(try collector(server, ["--collector.ntp.local-offset-tolerance=10s"]))
    #expect(value(text, "node_ntp_sanity") == (isSane ? 1 : 0))
    #expect(value(text, "node_ntp_leap") == Double(message.first >> 6))
    if message.ahead != 0 {
      #expect(abs(try #require(value(text, "node_ntp_offset_seconds")) - Double(message.ahead)) < 10)
    }
  }

  @Test(arguments: [
    Message(first: 4 << 3 | 3), Message(cookie: 1), Message(length: 47), Message(length: 0), Message(length: 1),
  ])
  fileprivate func whatIsNoAnswerIsAnError(message: Message) throws {
    let server = try ServerStub.datagrams { message.bytes($0) }
    let collector = try collector(server)
    #expect(throws: NTPFault.self) { try render(collector) }
  }

  @Test func silenceEndsAtTheDeadline() throws {
    let server = try ServerStub.datagrams { _ in nil }
    let collector = try collector(server, patience: 100_000_000)
    #expect(throws: KernelError("read from", "127.0.0.1:\(server.port)", code: ETIMEDOUT)) { try render(collector) }
  }

  @Test func survivesAnyDatagram() {
    var random = SeededGenerator(5)
    let (sent, received) = (NTPTime(bits: 0xeeee_0000_0000_0000), NTPTime(bits: 0xeeee_0000_8000_0000))
    for _ in 0..<100_000 {
      var bytes = (0..<48).map { _ in UInt8.random(in: .min ... .max, using: &random) }
      bytes[0] = bytes[0] & 0xf8 | 4
      let cookie = bytes[24..<32].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      guard let reply = try? NTPReply(bytes.span.bytes, cookie: cookie, sent: sent, received: received) else {
        continue
      }
      #expect(reply.roundTrip >= 0 && reply.rootDistance >= 0 && reply.minError >= 0)
      #expect(reply.transmitted >= 0 && reply.reference >= 0)
    }
  }

  @Test(arguments: [
    (0, 0), (1, 1), (1_700_000_000, 999_999_999), (2_085_978_495, 5), (2_085_978_496, 0), (4_000_000_000, 7),
  ])
  func timesComeBackFromTheirBits(seconds: Int64, nanoseconds: Int64) {
    let time = NTPTime(unixSeconds: seconds, nanoseconds: nanoseconds)
    #expect(time.unixNanoseconds == seconds * 1_000_000_000 + nanoseconds)
  }

  @Test(
    arguments: [
      ("127.0.0.1", true), ("127.9.9.9", true), ("::1", true), ("::ffff:127.0.0.2", true), ("10.0.0.1", false),
      ("::ffff:10.0.0.1", false), ("localhost", false), ("", false), ("128.0.0.1", false), ("::2", false),
      ("127.0.0.1 ", false),
    ])
  func loopback(address: String, isLoopback: Bool) {
    #expect(NTPCollector.isLoopback(address) == isLoopback)
  }

  @Test(
    arguments: [
      (["--collector.ntp.server=10.0.0.1"], "only IP address of local NTP server is valid for --collector.ntp.server"),
      (
        ["--collector.ntp.server=ntp.example.org"],
        "only IP address of local NTP server is valid for --collector.ntp.server"
      ),
      (["--collector.ntp.protocol-version=5"], "invalid NTP protocol version 5; must be 2, 3, or 4"),
      (["--collector.ntp.server-port=0"], "invalid NTP port number 0; must be between 1 and 65535 inclusive"),
      (["--collector.ntp.server-port=65536"], "invalid NTP port number 65536; must be between 1 and 65535 inclusive"),
    ])
  func badFlagsAreRefused(arguments: [String], reason: String) {
    #expect {
      _ = try NTPCollector(.fixture(NTPCollector.self, "/", arguments))
    } throws: {
      "\($0)" == reason
    }
  }

  @Test func aServerThatIsCertifiedIsTaken() throws {
    _ = try NTPCollector(
      .fixture(NTPCollector.self, "/", ["--collector.ntp.server=192.0.2.1", "--collector.ntp.server-is-local"]))
  }
}
