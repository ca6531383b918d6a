import Bytes

/// Reads one answer of HTTP/1.1 (RFC 9112) from bytes as they come, without keeping any: it says which of them are what.
///
/// It takes what the RFC's grammar allows and none of the leniencies that the RFC permits (bare line feeds, folded
/// lines, blanks before a colon), so that nobody on the way can read an answer differently.
struct ResponseReader {
  enum Part: Equatable {
    case head(ResponseHead)
    /// Bytes of the content, which may go on with the next part.
    case content(Range<Int>)
    case end
  }

  private enum State: Equatable {
    case head
    case content(Int)
    case contentUntilClose
    case chunkSize
    case chunk(Int)
    case chunkEnd
    case trailer
    case end
  }

  /// No exporter or receiver comes near.
  static let maximumHeadBytes = 64 << 10
  static let maximumFields = 256
  /// Answers of status 1xx before the one that counts, as Go's net/http.
  private static let maximumInterimAnswers = 5
  private static let maximumChunkLine = 4 << 10
  /// What chunked framing may take beyond the content's own size and 16 bytes for each chunk, as Go's net/http.
  private static let maximumChunkExcess = 16 << 10

  private let isAnswerToHead: Bool
  private var state = State.head
  private var head: ResponseHead?
  /// Bytes of the status line, its end included.
  private var statusLine = 0
  /// Bytes of the head in whole lines that were read already.
  private var lines = 0
  /// Bytes of the line under way, in which there is no line feed.
  private var searched = 0
  private var fields = 0
  private var interimAnswers = 0
  private var chunkExcess = 0
  private var trailer = 0

  /// `isAnswerToHead`: whether the method of the request was HEAD.
  init(isAnswerToHead: Bool) { self.isAnswerToHead = isAnswerToHead }

  /// Bytes of the content that are still to come; nil when that is not known.
  var missing: Int? {
    guard case .content(let count) = state else { return nil }
    return count
  }

  /// Whether the answer is complete if the connection ends now.
  var isCompleteAtClose: Bool { state == .contentUntilClose }

  /// The next part of the answer in `bytes` from `position` on, which moves behind it. Nil: there is no whole part;
  /// to be called again with the bytes from `position` on and more behind them.
  mutating func next(in bytes: RawSpan, at position: inout Int) throws(ResponseFault) -> Part? {
    while true {
      switch state {
      case .head:
        guard let head = try readHead(bytes, &position) else { return nil }
        guard head.status < 200 else { return .head(head) }
        // Another answer follows (RFC 9110 section 15.2).
        interimAnswers += 1
        guard interimAnswers <= Self.maximumInterimAnswers, head.status != 101 else {
          throw ResponseFault("unexpected 1xx informational response")
        }
      case .content(0), .end:
        state = .end
        return .end
      case .content(let count):
        guard let range = available(bytes, &position, count) else { return nil }
        state = .content(count - range.count)
        return .content(range)
      case .contentUntilClose:
        return available(bytes, &position, .max).map { .content($0) }
      case .chunkSize:
        guard let line = try line(bytes, &position, Self.maximumChunkLine) else { return nil }
        let size = try chunkSize(bytes.extracting(line))
        chunkExcess = max(0, chunkExcess + line.count + 2 - 16 - min(size, 1 << 30))
        guard chunkExcess <= Self.maximumChunkExcess else {
          throw ResponseFault("chunked encoding contains too much non-data")
        }
        state = size == 0 ? .trailer : .chunk(size)
      case .chunk(let count):
        guard let range = available(bytes, &position, count) else { return nil }
        state = range.count == count ? .chunkEnd : .chunk(count - range.count)
        return .content(range)
      case .chunkEnd:
        guard position + 2 <= bytes.byteCount else { return nil }
        guard bytes[position] == carriageReturn, bytes[position + 1] == .newline else {
          throw ResponseFault("malformed chunked encoding")
        }
        position += 2
        state = .chunkSize
      case .trailer:
        guard let line = try line(bytes, &position, Self.maximumHeadBytes) else { return nil }
        trailer += line.count + 2
        guard trailer <= Self.maximumHeadBytes else { throw ResponseFault("trailer too long") }
        if line.isEmpty { state = .end } else { _ = try HeaderField(bytes.extracting(line)) }
      }
    }
  }

  /// Up to `count` bytes, at least one.
  private func available(_ bytes: RawSpan, _ position: inout Int, _ count: Int) -> Range<Int>? {
    guard position < bytes.byteCount else { return nil }
    let start = position
    position += min(count, bytes.byteCount - position)
    return start..<position
  }

  /// The next line without its end; `position` moves behind it.
  private mutating func line(
    _ bytes: RawSpan, _ position: inout Int, _ maximum: Int
  ) throws(ResponseFault) -> Range<Int>? {
    guard let feed = bytes.firstIndex(of: .newline, from: position + searched) else {
      searched = bytes.byteCount - position
      guard searched <= maximum else { throw ResponseFault("line too long") }
      return nil
    }
    searched = 0
    guard feed - position <= maximum else { throw ResponseFault("line too long") }
    guard feed > position, bytes[feed - 1] == carriageReturn else {
      throw ResponseFault("a line does not end in CRLF")
    }
    defer { position = feed + 1 }
    return position..<(feed - 1)
  }

  // MARK: - The head

  /// Nil when it is not whole: then `position` stays where it is, and lines that are whole are not read again.
  private mutating func readHead(_ bytes: RawSpan, _ position: inout Int) throws(ResponseFault) -> ResponseHead? {
    var place = position + lines
    while let line = try line(bytes, &place, Self.maximumHeadBytes) {
      lines = place - position
      guard lines <= Self.maximumHeadBytes else { throw ResponseFault("header too long") }
      guard var head = self.head else {
        self.head = try ResponseHead(statusLine: bytes.extracting(line))
        statusLine = lines
        continue
      }
      if line.isEmpty {
        head.fields = (position + statusLine)..<line.lowerBound
        state = try framing(&head)
        (self.head, lines, fields) = (nil, 0, 0)
        position = place
        return head
      }
      fields += 1
      guard fields <= Self.maximumFields else { throw ResponseFault("too many header fields") }
      try head.read(field: bytes.extracting(line))
      self.head = head
    }
    // What is no HTTP may never have a line feed.
    if lines == 0 {
      let start = bytes.extracting(position..<min(position + 7, bytes.byteCount))
      guard start.isPrefix(of: "HTTP/1.") else { throw ResponseFault("it does not start with HTTP/1.x") }
    }
    return nil
  }

  /// How the content is delimited (RFC 9112 section 6.3).
  private func framing(_ head: inout ResponseHead) throws(ResponseFault) -> State {
    guard !head.isChunked || head.contentLength == nil && head.minorVersion > 0 else {
      throw ResponseFault("Transfer-Encoding with Content-Length, or in HTTP/1.0")
    }
    if head.status < 200 { return .head }
    if isAnswerToHead || head.status == 204 || head.status == 304 {
      head.isGzip = false
      return .content(0)
    }
    if head.isChunked { return .chunkSize }
    return head.contentLength.map { .content($0) } ?? .contentUntilClose
  }

  // MARK: - Chunks

  /// Hexadecimal digits, then extensions, which mean nothing to us (RFC 9112 section 7.1).
  private func chunkSize(_ line: RawSpan) throws(ResponseFault) -> Int {
    var size = 0
    var place = 0
    while place < line.byteCount, let digit = line[place].hexDigit {
      guard size <= Int.max >> 4 else { throw ResponseFault("chunk length too large") }
      size = size << 4 | Int(digit)
      place += 1
    }
    let digits = place
    while place < line.byteCount, line[place].isBlank { place += 1 }
    let isValid = digits == line.byteCount || place < line.byteCount && line[place] == UInt8(ascii: ";")
    guard digits > 0, isValid, line.extracting(place..<line.byteCount).isFieldValue else {
      throw ResponseFault("malformed chunk length")
    }
    return size
  }
}

private let carriageReturn = UInt8(ascii: "\r")

extension RawSpan {
  fileprivate func isPrefix(of text: StaticString) -> Bool {
    for place in 0..<byteCount where self[place] != text.utf8Start[place] { return false }
    return true
  }
}
