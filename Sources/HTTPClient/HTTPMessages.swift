import NIOCore

/// A request as the callers of `HTTPClient` state it.
public struct HTTPRequest: Sendable {
  public var method: String
  public var url: HTTPURL
  /// In the order in which they are sent. `Host`, `Content-Length` and `Connection` are the client's own.
  public var headers: [(name: String, value: String)]
  public var body: ByteBuffer

  public init(
    method: String = "GET", url: HTTPURL, headers: [(name: String, value: String)] = [], body: ByteBuffer = .init()
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
  }
}

/// What a caller bears from a server.
public struct HTTPLimits: Sendable {
  /// From the call until the last byte of the body, redirects included.
  public var timeout: Duration
  /// Bytes of the body after decompression; a longer one is `HTTPClientError.bodyTooLarge`.
  public var bodyBytes: Int
  /// 0: a redirect is returned as it is.
  public var redirects: Int

  public init(timeout: Duration, bodyBytes: Int, redirects: Int = 10) {
    self.timeout = timeout
    self.bodyBytes = bodyBytes
    self.redirects = redirects
  }
}

/// The whole answer of a server.
public struct HTTPResponse: Sendable {
  public var status: Int
  /// Names as the server wrote them; look up by `header(_:)`.
  public var headers: [(name: String, value: String)]
  /// Decompressed.
  public var body: ByteBuffer

  public init(status: Int, headers: [(name: String, value: String)], body: ByteBuffer) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// The first header of that name, in any case.
  public func header(_ name: String) -> String? {
    headers.first { $0.name.utf8.elementsEqual(name.utf8, by: { $0 | 0x20 == $1 | 0x20 }) }?.value
  }
}
