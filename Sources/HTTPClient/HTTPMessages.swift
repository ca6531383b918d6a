import Bytes
import NIOCore

/// A request as the callers of `HTTPClient` state it.
public struct HTTPRequest: Sendable {
  public var method: String
  public var url: HTTPURL
  /// In the order in which they are sent. `Host`, `Content-Length` and `Connection` are the client's own.
  public var headers: [(name: String, value: String)]
  public var body: ByteBuffer
  /// TLS, credentials and proxy; nil: none of them.
  public var access: HTTPAccess?

  public init(
    method: String = "GET", url: HTTPURL, headers: [(name: String, value: String)] = [], body: ByteBuffer = .init(),
    access: HTTPAccess? = nil
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
    self.access = access
  }
}

/// What a caller bears from a server.
public struct HTTPLimits: Sendable {
  /// From the call until the last byte of the body, redirects included.
  public var timeout: Duration
  /// How long the server may send nothing, from the call on; nil: as long as `timeout`.
  public var idleTimeout: Duration?
  /// Bytes of the body after decompression; a longer one is `HTTPClientError.bodyTooLarge`. `Int.max`: as long as it
  /// likes.
  public var bodyBytes: Int
  /// 0: a redirect is returned as it is.
  public var redirects: Int

  public init(timeout: Duration, bodyBytes: Int, redirects: Int = 10, idleTimeout: Duration? = nil) {
    self.timeout = timeout
    self.idleTimeout = idleTimeout
    self.bodyBytes = bodyBytes
    self.redirects = redirects
  }
}

/// The whole answer of a server.
public struct HTTPResponse: Sendable {
  public var status: Int
  /// Decompressed.
  public var body: ByteBuffer
  private var fields: Fields

  private enum Fields: Sendable {
    case list([(name: String, value: String)])
    /// The lines of a head that was read.
    case lines(ByteBuffer)
  }

  public init(status: Int, headers: [(name: String, value: String)], body: ByteBuffer) {
    self.status = status
    self.body = body
    fields = .list(headers)
  }

  /// `fields`: lines that `ResponseReader` has found to be header fields.
  init(status: Int, fields: ByteBuffer, body: ByteBuffer) {
    self.status = status
    self.body = body
    self.fields = .lines(fields)
  }

  /// Names as the server wrote them; look up by `header(_:)`.
  public var headers: [(name: String, value: String)] {
    get {
      switch fields {
      case .list(let headers): return headers
      case .lines(let lines):
        var headers: [(name: String, value: String)] = []
        forEachField(lines.readableBytesSpan) { line, field in
          headers.append((String(utf8: line.extracting(field.name)), String(utf8: line.extracting(field.value))))
          return true
        }
        return headers
      }
    }
    set { fields = .list(newValue) }
  }

  /// The first header of that name, in any case.
  public func header(_ name: String) -> String? {
    switch fields {
    case .list(let headers):
      return headers.first { $0.name.utf8.elementsEqual(name.utf8, by: { $0.lowercased == $1.lowercased }) }?.value
    case .lines(let lines):
      var value: String?
      forEachField(lines.readableBytesSpan) { line, field in
        guard field.name.count == name.utf8.count,
          zip(field.name, name.utf8).allSatisfy({ line[$0].lowercased == $1.lowercased })
        else { return true }
        value = String(utf8: line.extracting(field.value))
        return false
      }
      return value
    }
  }

  /// Goes on as long as `body` is true.
  private func forEachField(_ lines: RawSpan, _ body: (RawSpan, HeaderField) -> Bool) {
    var start = 0
    while let end = lines.firstIndex(of: .newline, from: start) {
      let line = lines.extracting(start..<end - 1)
      start = end + 1
      guard let field = try? HeaderField(line), body(line, field) else { return }
    }
  }
}

extension UInt8 {
  fileprivate var lowercased: UInt8 { isLetter ? self | 0x20 : self }
}
