import Bytes
import Compression

/// Why what a server sent is no answer.
enum ResponseFault: Error, Equatable {
  /// It is not HTTP/1.1 as RFC 9112 has it, or its gzip is damaged; the reason mostly in the words of Go's net/http.
  case malformed(String)
  /// It ended before it was complete.
  case truncated
  /// Its body is longer than the limit.
  case tooLarge(status: Int)

  init(_ reason: String) { self = .malformed("malformed HTTP response: \(reason)") }

  init(_ error: GunzipError, status: Int) {
    switch error {
    case .tooLarge: self = .tooLarge(status: status)
    case .truncated: self = .truncated
    case .corrupt: self = .malformed("\(error)")
    }
  }
}

/// The head of an answer (RFC 9112 section 4 and RFC 9110 section 5), as far as the client itself goes by it.
struct ResponseHead: Equatable {
  private(set) var status: Int
  /// Of HTTP/1.
  private(set) var minorVersion: UInt8
  private(set) var contentLength: Int?
  private(set) var isChunked = false
  var isGzip = false
  /// Whether the server stays on the line after this answer, as far as the head says.
  private(set) var isKeepAlive: Bool
  private var hasClose = false
  /// Where the lines of the header fields are.
  var fields = 0..<0

  /// "HTTP/1.1 200 OK"; the words behind the status may be missing.
  init(statusLine line: RawSpan) throws(ResponseFault) {
    guard line.byteCount >= 12, line.starts(with: "HTTP/1."), line[7].isDigit, line[8] == .space else {
      throw ResponseFault("it does not start with HTTP/1.x")
    }
    status = 0
    for place in 9..<12 {
      guard line[place].isDigit else { throw ResponseFault("malformed status code") }
      status = status * 10 + Int(line[place] - UInt8(ascii: "0"))
    }
    let rest = line.extracting(12..<line.byteCount)
    guard status >= 100, rest.byteCount == 0 || rest[0] == .space, rest.isFieldValue else {
      throw ResponseFault("malformed status code")
    }
    minorVersion = line[7] - UInt8(ascii: "0")
    isKeepAlive = minorVersion > 0
  }

  /// "Name: value", without the end of the line.
  mutating func read(field line: RawSpan) throws(ResponseFault) {
    let field = try HeaderField(line)
    let value = line.extracting(field.value)
    switch field.name.count {
    case 10 where line.extracting(field.name).equalsIgnoringCase("connection"): readConnection(value)
    case 14 where line.extracting(field.name).equalsIgnoringCase("content-length"): try readContentLength(value)
    case 16 where line.extracting(field.name).equalsIgnoringCase("content-encoding"):
      isGzip = value.equalsIgnoringCase("gzip") || value.equalsIgnoringCase("x-gzip")
    case 17 where line.extracting(field.name).equalsIgnoringCase("transfer-encoding"):
      guard !isChunked, value.equalsIgnoringCase("chunked") else {
        throw ResponseFault("unsupported transfer encoding")
      }
      isChunked = true
    default: break
    }
  }

  /// Digits only. The same number twice is borne, two different ones are not.
  private mutating func readContentLength(_ value: RawSpan) throws(ResponseFault) {
    var length = 0
    for place in 0..<value.byteCount {
      guard value[place].isDigit, length <= (Int.max - 9) / 10 else { throw ResponseFault("bad Content-Length") }
      length = length * 10 + Int(value[place] - UInt8(ascii: "0"))
    }
    guard value.byteCount > 0, contentLength == nil || contentLength == length else {
      throw ResponseFault("bad Content-Length")
    }
    contentLength = length
  }

  /// A list of words (RFC 9112 section 9.6).
  private mutating func readConnection(_ value: RawSpan) {
    var start = 0
    while start < value.byteCount {
      let end = value.firstIndex(of: UInt8(ascii: ","), from: start) ?? value.byteCount
      let word = value.extracting(start..<end).trimmed
      if word.equalsIgnoringCase("close") { hasClose = true }
      if word.equalsIgnoringCase("keep-alive") { isKeepAlive = true }
      start = end + 1
    }
    if hasClose { isKeepAlive = false }
  }
}

/// Where name and value are in the line of a header field.
struct HeaderField {
  let name: Range<Int>
  let value: Range<Int>

  init(_ line: RawSpan) throws(ResponseFault) {
    var colon = 0
    while colon < line.byteCount, line[colon].isTokenByte { colon += 1 }
    guard colon > 0, colon < line.byteCount, line[colon] == UInt8(ascii: ":") else {
      throw ResponseFault("malformed header field")
    }
    var start = colon + 1
    var end = line.byteCount
    while start < end, line[start].isBlank { start += 1 }
    while end > start, line[end - 1].isBlank { end -= 1 }
    guard line.extracting(start..<end).isFieldValue else { throw ResponseFault("malformed header field") }
    name = 0..<colon
    value = start..<end
  }
}

extension RawSpan {
  /// No control characters but tabs (RFC 9110 section 5.5).
  var isFieldValue: Bool {
    for place in 0..<byteCount {
      let byte = self[place]
      guard byte >= 0x20 && byte != 0x7f || byte == .tab else { return false }
    }
    return true
  }

  /// `text` is in lower case, and of letters and hyphens.
  func equalsIgnoringCase(_ text: StaticString) -> Bool {
    guard byteCount == text.utf8CodeUnitCount else { return false }
    for place in 0..<byteCount {
      let byte = self[place]
      guard (byte.isLetter ? byte | 0x20 : byte) == text.utf8Start[place] else { return false }
    }
    return true
  }
}

extension UInt8 {
  /// RFC 9110 section 5.6.2: letters, digits and !#$%&'*+-.^_`|~
  var isTokenByte: Bool {
    let bits: UInt64 = self < 64 ? 0x03ff_6cfa_0000_0000 : self < 128 ? 0x57ff_ffff_c7ff_fffe : 0
    return bits >> UInt64(self & 63) & 1 != 0
  }

  /// The blanks of HTTP.
  var isBlank: Bool { self == .space || self == .tab }
}
