// As much of XML-RPC (http://xmlrpc.com/spec.md) over HTTP/1.0 (RFC 1945) as supervisord's answers need.

import Bytes
import Kernel

/// Why a call has no usable answer.
struct XMLRPCError: Error, CustomStringConvertible {
  let description: String
  init(_ reason: String) { description = "unable to call supervisord: \(reason)" }
}

/// Calls methods without arguments, one connection each: HTTP/1.0, so that the answer ends with the connection.
struct XMLRPCClient {
  /// Bytes that an answer may have.
  private static let limit = 16 << 20

  private let server: ServerAddress
  private let host: String
  private let path: String
  private let credentials: String?
  /// Nanoseconds that a call may take.
  private let patience: UInt64

  /// - Parameter url: http://[USER:PASSWORD@]HOST[:PORT][/PATH] or unix:///PATH; nil when it is neither.
  init?(_ url: String, patience: UInt64) {
    self.patience = patience
    if url.hasPrefix("unix://") {
      let socket = String(url.dropFirst("unix://".count))
      guard socket.hasPrefix("/") else { return nil }
      (server, host, path, credentials) = (.path(socket), "unix", "/RPC2", nil)
      return
    }
    guard url.hasPrefix("http://"), !url.utf8.contains(where: { $0 <= .space }) else { return nil }
    let rest = url.dropFirst("http://".count)
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    path = slash == rest.endIndex ? "/" : String(rest[slash...])
    var authority = rest[..<slash]
    if let at = authority.lastIndex(of: "@") {
      credentials = base64(authority[..<at].utf8)
      authority = authority[authority.index(after: at)...]
    } else {
      credentials = nil
    }
    host = String(authority)
    // "[::1]:9001": the last colon is behind the bracket.
    let bracket = authority.lastIndex(of: "]") ?? authority.startIndex
    let colon = authority[bracket...].lastIndex(of: ":") ?? authority.endIndex
    let port = colon == authority.endIndex ? 80 : UInt16(authority[authority.index(after: colon)...])
    let name = authority[..<colon].filter { $0 != "[" && $0 != "]" }
    guard let port, !name.isEmpty else { return nil }
    server = .host(name, port: port)
  }

  /// The structs of the array that the method answers with.
  func structs(of method: String) throws -> [[String: XMLRPCValue]] {
    let socket = try SocketExchange(.stream, to: server, deadline: MonotonicClock.now + patience)
    try socket.send(request(method).utf8.span.bytes)
    var buffer = ByteWriter(capacity: 16 << 10)
    try socket.receiveAll(into: &buffer, limit: Self.limit)
    return try buffer.withBytes { bytes in try XMLRPCReader(body: Self.body(of: bytes)).structs() }
  }

  private func request(_ method: String) -> String {
    let call = "<methodCall><methodName>\(method)</methodName><params></params></methodCall>"
    let authorization = credentials.map { "Authorization: Basic \($0)\r\n" } ?? ""
    return "POST \(path) HTTP/1.0\r\nHost: \(host)\r\nContent-Type: text/xml\r\n\(authorization)"
      + "Content-Length: \(call.utf8.count)\r\n\r\n\(call)"
  }

  /// What stands behind the head of an answer whose status is 200.
  private static func body(of answer: RawSpan) throws(XMLRPCError) -> [UInt8] {
    var lines = ByteScanner(answer)
    guard let status = lines.line(), status.starts(with: "HTTP/1.") else { throw XMLRPCError("no HTTP answer") }
    var fields = ByteScanner(status)
    guard fields.field() != nil, let code = fields.field(), code.equals("200") else {
      throw XMLRPCError("\(String(utf8: status.extracting(0..<min(status.byteCount, 100)).trimmed))")
    }
    while let line = lines.line() {
      if line.trimmed.byteCount == 0 { return lines.rest.array }
    }
    throw XMLRPCError("the answer is cut off")
  }
}

/// A value of an answer, as far as supervisord's are needed.
enum XMLRPCValue: Equatable {
  case text(String)
  case number(Int64)

  var text: String? { if case .text(let text) = self { text } else { nil } }
  var number: Int64? { if case .number(let number) = self { number } else { nil } }
}

/// Walks an answer's tags. Values inside values of a struct are passed over.
struct XMLRPCReader {
  private let bytes: [UInt8]
  private var position = 0

  init(body: [UInt8]) { bytes = body }

  private enum Token: Equatable {
    /// The name, without attributes; an empty element gives both tags' names one after the other.
    case open(String)
    case close(String)
    case text(String)
  }

  /// The structs of an array, the first value of the answer.
  func structs() throws(XMLRPCError) -> [[String: XMLRPCValue]] {
    var reader = self
    var structs: [[String: XMLRPCValue]] = []
    var current: [String: XMLRPCValue] = [:]
    var name = ""
    var text = ""
    /// The tags that are open.
    var path: [String] = []
    let member = ["methodResponse", "params", "param", "value", "array", "data", "value", "struct", "member"]
    while let token = try reader.next() {
      switch token {
      case .open(let tag):
        guard path.count < 64 else { throw XMLRPCError("values are nested too deeply") }
        if path.isEmpty, tag != "methodResponse" { throw XMLRPCError("the answer is no methodResponse") }
        if tag == "fault" { throw XMLRPCError("it answered with a fault") }
        if path + [tag] == member.dropLast() { current = [:] }
        path.append(tag)
        text = ""
      case .text(let more): text += more
      case .close(let tag):
        guard path.popLast() == tag else { throw XMLRPCError("</\(tag)> closes another element") }
        if path == member, tag == "name" { name = text }
        if path == member + ["value"] || (path == member && tag == "value" && current[name] == nil) {
          current[name] = Self.value(of: tag, text)
        }
        if path == member.dropLast(2), tag == "struct" { structs.append(current) }
        if path.isEmpty { return structs }
        // What follows in the same element is no longer the element's own text.
        if tag != "name" { text = "" }
      }
    }
    throw XMLRPCError("the answer is cut off")
  }

  /// A value without a type is a string.
  private static func value(of type: String, _ text: String) -> XMLRPCValue? {
    switch type {
    case "string", "value": .text(text)
    case "int", "i4", "i8": Int64(decimal: text.utf8.span.bytes.trimmed).map { .number($0) }
    default: nil
    }
  }

  private mutating func next() throws(XMLRPCError) -> Token? {
    while position < bytes.count {
      let start = position
      guard bytes[start] == UInt8(ascii: "<") else {
        position = bytes[start...].firstIndex(of: UInt8(ascii: "<")) ?? bytes.count
        return .text(Self.unescaped(bytes[start..<position]))
      }
      guard let end = bytes[start...].firstIndex(of: UInt8(ascii: ">")) else {
        throw XMLRPCError("the answer is cut off")
      }
      position = end + 1
      let inside = bytes[start + 1..<end]
      // The declaration, comments.
      if inside.first == UInt8(ascii: "?") || inside.first == UInt8(ascii: "!") { continue }
      if inside.first == UInt8(ascii: "/") { return .close(Self.name(inside.dropFirst())) }
      if inside.last == UInt8(ascii: "/") {
        // An empty element: nothing of it is needed but an empty value, which is as none.
        continue
      }
      return .open(Self.name(inside))
    }
    return nil
  }

  /// A tag's name, which ends before its attributes.
  private static func name(_ bytes: ArraySlice<UInt8>) -> String {
    String(decoding: bytes.prefix { $0 > .space }, as: UTF8.self)
  }

  private static let entities: [(name: String, text: UInt8)] = [
    ("lt", UInt8(ascii: "<")), ("gt", UInt8(ascii: ">")), ("amp", UInt8(ascii: "&")), ("quot", UInt8(ascii: "\"")),
    ("apos", UInt8(ascii: "'")),
  ]

  /// With entities replaced; one that is unknown stays as it is.
  private static func unescaped(_ bytes: ArraySlice<UInt8>) -> String {
    guard bytes.contains(UInt8(ascii: "&")) else { return String(decoding: bytes, as: UTF8.self) }
    var text: [UInt8] = []
    var rest = bytes
    while let byte = rest.first {
      let name = rest.dropFirst().prefix(8).prefix { $0 != UInt8(ascii: ";") }
      if byte == UInt8(ascii: "&"), let replacement = replacement(name), rest.count > name.count + 1 {
        text += replacement
        rest = rest.dropFirst(name.count + 2)
      } else {
        text.append(byte)
        rest = rest.dropFirst()
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  private static func replacement(_ name: ArraySlice<UInt8>) -> [UInt8]? {
    if let known = entities.first(where: { name.elementsEqual($0.name.utf8) }) { return [known.text] }
    guard name.first == UInt8(ascii: "#") else { return nil }
    let digits = String(decoding: name.dropFirst(), as: UTF8.self)
    let code = digits.hasPrefix("x") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
    return code.flatMap(Unicode.Scalar.init).map { Array(String(Character($0)).utf8) }
  }
}
