// Asks an NTP server for the time by SNTP (RFC 5905), once a scrape, and checks what it says of itself.

import Bytes
import Exposition
import Flags
import Glibc
import Kernel

final class NTPCollector: Collector {
  static let name = "ntp"
  static let isEnabledByDefault = false

  private static let server = Flag("collector.ntp.server", "127.0.0.1", "NTP server to use for ntp collector")
  private static let port = Flag("collector.ntp.server-port", 123, "UDP port number to connect to on NTP server")
  private static let version = Flag("collector.ntp.protocol-version", 4, "NTP protocol version")
  private static let isLocal = Flag(
    "collector.ntp.server-is-local", false, "Certify that collector.ntp.server address is not a public ntp server")
  private static let timeToLive = Flag("collector.ntp.ip-ttl", 1, "IP TTL to use while sending NTP query")
  // 1.5 s, and 15 ppm for the longest time between two polls.
  private static let maxDistance = Flag(
    "collector.ntp.max-distance", Duration.microseconds(3_466_080), "Max accumulated distance to the root")
  private static let offsetTolerance = Flag(
    "collector.ntp.local-offset-tolerance", Duration.milliseconds(1),
    "Offset between local clock and local ntpd time to tolerate")
  static let flags = [
    server.definition, port.definition, version.definition, isLocal.definition, timeToLive.definition,
    maxDistance.definition, offsetTolerance.definition,
  ]

  private static let stratum = MetricFamily.gauge("node_ntp_stratum", "NTPD stratum.")
  private static let leap = MetricFamily.gauge("node_ntp_leap", "NTPD leap second indicator, 2 bits.")
  private static let roundTrip = MetricFamily.gauge("node_ntp_rtt_seconds", "RTT to NTPD.")
  private static let offset = MetricFamily.gauge("node_ntp_offset_seconds", "ClockOffset between NTP and local clock.")
  private static let reference = MetricFamily.gauge(
    "node_ntp_reference_timestamp_seconds", "NTPD ReferenceTime, UNIX timestamp.")
  private static let rootDelay = MetricFamily.gauge("node_ntp_root_delay_seconds", "NTPD RootDelay.")
  private static let rootDispersion = MetricFamily.gauge("node_ntp_root_dispersion_seconds", "NTPD RootDispersion.")
  private static let sanity = MetricFamily.gauge(
    "node_ntp_sanity", "NTPD sanity according to RFC5905 heuristics and configured limits.")

  /// Nanoseconds that the server may take.
  static let patience: UInt64 = 1_000_000_000
  private static let day: Int64 = 86_400_000_000_000

  private let patience: UInt64
  private let server: ServerAddress
  private let version: UInt8
  private let timeToLive: Int32
  /// In nanoseconds, as all times here.
  private let maxDistance: Int64
  private let offsetTolerance: Int64
  /// When the leap second comes or came that the server told of; it stops telling right after.
  private var leapMidnight: Int64?
  private var buffer = ByteWriter(capacity: 128)

  convenience init(_ host: Host) throws(CollectorConfigurationError) { try self.init(host, patience: Self.patience) }

  init(_ host: Host, patience: UInt64) throws(CollectorConfigurationError) {
    self.patience = patience
    let flags = host.flags
    let name = flags[Self.server]
    guard flags[Self.isLocal] || Self.isLoopback(name) else {
      throw CollectorConfigurationError("only IP address of local NTP server is valid for --collector.ntp.server")
    }
    let (version, port) = (flags[Self.version], flags[Self.port])
    guard (2...4).contains(version) else {
      throw CollectorConfigurationError("invalid NTP protocol version \(version); must be 2, 3, or 4")
    }
    guard port > 0, let port = UInt16(exactly: port) else {
      throw CollectorConfigurationError("invalid NTP port number \(port); must be between 1 and 65535 inclusive")
    }
    server = .host(name, port: port)
    self.version = UInt8(version)
    timeToLive = Int32(clamping: flags[Self.timeToLive])
    maxDistance = Int64(clamping: flags[Self.maxDistance].nanoseconds)
    offsetTolerance = Int64(clamping: flags[Self.offsetTolerance].nanoseconds)
    host.warnAboutDeprecation(of: Self.self)
  }

  /// Whether this is an IP address of the host itself: 127.0.0.0/8, ::1, ::ffff:127.0.0.0/104.
  static func isLoopback(_ text: String) -> Bool {
    var four = in_addr()
    if inet_pton(AF_INET, text, &four) == 1 { return UInt32(bigEndian: four.s_addr) >> 24 == 127 }
    var six = in6_addr()
    guard inet_pton(AF_INET6, text, &six) == 1 else { return false }
    return withUnsafeBytes(of: &six) { bytes in
      bytes.elementsEqual(repeatElement(0, count: 15) + [1])
        || bytes.prefix(13).elementsEqual(repeatElement(0, count: 10) + [0xff, 0xff, 127])
    }
  }

  func collect(into writer: MetricWriter) throws {
    let reply = try ask()
    writer.sample(Self.stratum, UInt64(reply.stratum))
    writer.sample(Self.leap, UInt64(reply.leap))
    writer.sample(Self.roundTrip, Self.seconds(reply.roundTrip))
    writer.sample(Self.offset, Self.seconds(reply.offset))
    // What lies before 1970 is no time.
    writer.sample(Self.reference, reply.reference >= 1_000_000_000 ? Double(reply.reference) / 1e9 : 0)
    writer.sample(Self.rootDelay, Self.seconds(reply.rootDelay))
    writer.sample(Self.rootDispersion, Self.seconds(reply.rootDispersion))

    var tolerance = offsetTolerance
    if reply.leap == 1 || reply.leap == 2 { leapMidnight = reply.transmitted / Self.day * Self.day + Self.day }
    // A server may smear the leap second over the days around it.
    if let leapMidnight, abs(reply.transmitted - leapMidnight) < Self.day {
      tolerance = tolerance.addingReportingOverflow(1_000_000_000).partialValue
    }
    let isSane = reply.isValid && reply.rootDistance <= maxDistance && reply.minError <= tolerance
    writer.sample(Self.sanity, isSane ? 1.0 : 0)
  }

  /// As Go divides durations: whole seconds and the rest apart.
  private static func seconds(_ nanoseconds: Int64) -> Double {
    Double(nanoseconds / 1_000_000_000) + Double(nanoseconds % 1_000_000_000) / 1e9
  }

  private func ask() throws -> NTPReply {
    let cookie = UInt64.random(in: 1 ... .max)
    var request = ByteWriter(capacity: 64)
    // No leap indicator, the version, mode 3: a client. The rest is zero but for the time of sending, which the server
    // gives back: it need not be one.
    request.append(version << 3 | 3)
    for _ in 1..<40 { request.append(0) }
    for shift in stride(from: 56, through: 0, by: -8) {
      request.append(UInt8(truncatingIfNeeded: cookie >> UInt64(shift)))
    }

    var clock = timespec()
    clock_gettime(CLOCK_REALTIME, &clock)
    let start = MonotonicClock.now
    let socket = try SocketExchange(
      .datagram, to: server, deadline: start + patience, timeToLive: timeToLive)
    try socket.send(request.bytes)
    buffer.removeAll()
    try socket.receive(into: &buffer, limit: 8192)
    let sent = NTPTime(unixSeconds: Int64(clock.tv_sec), nanoseconds: Int64(clock.tv_nsec))
    let elapsed = Int64(clamping: MonotonicClock.now - start)
    let received = NTPTime(
      unixSeconds: Int64(clock.tv_sec), nanoseconds: Int64(clock.tv_nsec).addingReportingOverflow(elapsed).partialValue)
    return try buffer.withBytes { bytes throws(NTPFault) in
      try NTPReply(bytes, cookie: cookie, sent: sent, received: received)
    }
  }
}
