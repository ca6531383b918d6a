// Messages of the DNS (RFC 1035 section 4, SRV by RFC 2782, EDNS0 by RFC 6891): one question out, its answers in.

import Bytes
import Glibc

/// The types of record that are asked for, by their numbers.
package enum DNSRecordType: UInt16, Sendable, CaseIterable {
  case a = 1
  case ns = 2
  case mx = 15
  case aaaa = 28
  case srv = 33
}

/// What a record of those types says. Names end with a dot, and stand as zone files write them.
package enum DNSRecord: Equatable, Sendable {
  case address(String)
  case nameServer(String)
  case mailExchange(String)
  case service(target: String, port: UInt16)
}

/// A question for the records of one name and type.
package struct DNSQuestion: Sendable, Equatable {
  /// Bytes that an answer by UDP may have.
  static let datagramLimit = 4096
  private static let classInternet: UInt16 = 1
  private static let typeOptions: UInt16 = 41

  package let identifier: UInt16
  package let type: DNSRecordType
  /// Without its root label.
  private let labels: [[UInt8]]

  /// - Parameter name: nil when it is none: labels of 1 to 63 bytes, 254 with their dots; the last dot may be missing.
  package init?(_ name: String, _ type: DNSRecordType, identifier: UInt16 = .random(in: 0...UInt16.max)) {
    var labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map(Array.init)
    if labels.last?.isEmpty == true { labels.removeLast() }
    guard labels.allSatisfy({ 1...63 ~= $0.count }), labels.reduce(1, { $0 + $1.count + 1 }) <= 255 else { return nil }
    self.labels = labels
    self.type = type
    self.identifier = identifier
  }

  /// The message.
  ///
  /// - Parameter isExtended: says that answers may be as long as `datagramLimit`.
  func encoded(isExtended: Bool) -> [UInt8] {
    // Recursion desired; one question.
    var bytes = identifier.bytes + [0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, isExtended ? 1 : 0]
    for label in labels { bytes += [UInt8(label.count)] + label }
    bytes += [0] + type.rawValue.bytes + Self.classInternet.bytes
    if isExtended {
      bytes += [0] + Self.typeOptions.bytes + UInt16(Self.datagramLimit).bytes + [0, 0, 0, 0, 0, 0]
    }
    return bytes
  }

  /// Whether a name and a type are these; names in any case.
  fileprivate func isAsked(_ name: [[UInt8]], _ type: UInt16) -> Bool {
    type == self.type.rawValue && name.count == labels.count
      && zip(name, labels).allSatisfy { $0.elementsEqual($1, by: { $0.lowercasedASCII == $1.lowercasedASCII }) }
  }
}

/// What a server answered.
package struct DNSAnswer: Equatable, Sendable {
  package enum Code: Equatable, Sendable {
    case success
    /// There is no such name (NXDOMAIN).
    case nameError
    /// The server failed, refuses, does not understand….
    case failure(UInt8)
  }

  package var code: Code
  /// The rest did not fit in: it is to be asked for by TCP. There are no records then.
  package var isTruncated: Bool
  /// Those of the type that was asked for, in the server's order. What leads to them (CNAME) is left out.
  package var records: [DNSRecord]

  /// Nil when the message answers another question.
  ///
  /// - Throws: when it is damaged.
  package init?(_ message: RawSpan, to question: DNSQuestion) throws(DNSMessageFault) {
    var reader = DNSMessageReader(message)
    let identifier = try reader.number()
    let flags = try reader.number()
    guard identifier == question.identifier, flags & 0x8000 != 0 else { return nil }
    let questions = try reader.number()
    let answers = try reader.number()
    _ = try reader.skip(4)
    code =
      switch UInt8(flags & 0x0f) {
      case 0: .success
      case 3: .nameError
      case let code: .failure(code)
      }
    isTruncated = flags & 0x0200 != 0
    records = []
    for _ in 0..<questions {
      let name = try reader.name()
      let type = try reader.number()
      try reader.skip(2)
      guard question.isAsked(name, type) else { return nil }
    }
    guard !isTruncated else { return }
    for _ in 0..<answers {
      if let record = try reader.record(of: question.type) { records.append(record) }
    }
  }
}

/// Where a message is damaged.
package struct DNSMessageFault: Error, CustomStringConvertible {
  let reason: String
  package var description: String { "not a DNS message: \(reason)" }
}

/// Reads a message from front to back; nothing in it leads beyond its end or round in circles.
private struct DNSMessageReader: ~Escapable {
  /// A name has no more bytes than this, and so no more labels than half of it.
  private static let nameLimit = 255

  private let message: RawSpan
  private var position = 0

  @_lifetime(copy message)
  init(_ message: RawSpan) { self.message = message }

  @_lifetime(self: copy self)
  mutating func skip(_ count: Int) throws(DNSMessageFault) {
    guard count <= message.byteCount - position else { throw DNSMessageFault(reason: "it ends too early") }
    position += count
  }

  @_lifetime(self: copy self)
  mutating func number() throws(DNSMessageFault) -> UInt16 {
    try skip(2)
    return UInt16(message[position - 2]) << 8 | UInt16(message[position - 1])
  }

  /// A name, be it compressed: its labels. A pointer must lead to what stands before all that was read of the name.
  @_lifetime(self: copy self)
  mutating func name() throws(DNSMessageFault) -> [[UInt8]] {
    var labels: [[UInt8]] = []
    var length = 1
    var place = position
    var end: Int?
    var start = position
    while true {
      guard place < message.byteCount else { throw DNSMessageFault(reason: "a name without an end") }
      let count = Int(message[place])
      switch count >> 6 {
      case 0:
        place += 1
        if count == 0 {
          position = end ?? place
          return labels
        }
        length += count + 1
        guard count <= message.byteCount - place, length <= Self.nameLimit else {
          throw DNSMessageFault(reason: "a name too long")
        }
        labels.append((place..<place + count).map { message[$0] })
        place += count
      case 3:
        guard place + 1 < message.byteCount else { throw DNSMessageFault(reason: "a name without an end") }
        end = end ?? place + 2
        place = (count & 0x3f) << 8 | Int(message[place + 1])
        guard place < start else { throw DNSMessageFault(reason: "a name that leads forward") }
        start = place
      default: throw DNSMessageFault(reason: "an unknown kind of label")
      }
    }
  }

  /// The next record; nil when it is of another type.
  @_lifetime(self: copy self)
  mutating func record(of wanted: DNSRecordType) throws(DNSMessageFault) -> DNSRecord? {
    _ = try name()
    let type = try number()
    let recordClass = try number()
    try skip(4)
    let length = Int(try number())
    let start = position
    try skip(length)
    let end = position
    guard type == wanted.rawValue, recordClass == 1 else { return nil }
    position = start
    let record: DNSRecord
    switch wanted {
    case .a: record = .address(try address(length, 4, AF_INET))
    case .aaaa: record = .address(try address(length, 16, AF_INET6))
    case .ns: record = .nameServer(zoneText(try name()))
    case .mx:
      try skip(2)
      record = .mailExchange(zoneText(try name()))
    case .srv:
      try skip(4)
      let port = try number()
      record = .service(target: zoneText(try name()), port: port)
    }
    guard position <= end else { throw DNSMessageFault(reason: "a record longer than it says") }
    position = end
    return record
  }

  @_lifetime(self: copy self)
  private mutating func address(_ length: Int, _ wanted: Int, _ family: CInt) throws(DNSMessageFault) -> String {
    guard length == wanted else { throw DNSMessageFault(reason: "an address of \(length) bytes") }
    try skip(length)
    let bytes = (position - length..<position).map { message[$0] }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else { return "" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// A name as zone files write it: a dot behind each label, what means something else escaped (RFC 1035 section 5.1).
  private func zoneText(_ labels: [[UInt8]]) -> String {
    var text = labels.isEmpty ? "." : ""
    for label in labels {
      for byte in label {
        switch byte {
        case _ where #".()@;\" "#.utf8.contains(byte) || byte == UInt8(ascii: "\""):
          text += "\\" + String(UnicodeScalar(byte))
        case 0x21...0x7e: text += String(UnicodeScalar(byte))
        default:
          let digits = String(byte)
          text += "\\" + String(repeating: "0", count: 3 - digits.count) + digits
        }
      }
      text += "."
    }
    return text
  }
}

extension UInt16 {
  /// In network order.
  fileprivate var bytes: [UInt8] { [UInt8(self >> 8), UInt8(truncatingIfNeeded: self)] }
}

extension UInt8 {
  fileprivate var lowercasedASCII: UInt8 { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= self ? self | 0x20 : self }
}
