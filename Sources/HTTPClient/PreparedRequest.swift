import Bytes
import NIOCore
import NIOSSL

/// A request whose head is written down already, for those who send it again and again.
///
/// The lines of its `HTTPAccess`, which may change, are not in it.
public struct PreparedRequest: Sendable {
  /// What it was made of.
  public private(set) var request: HTTPRequest
  /// Where its connections lead: to the server, or to the proxy that asks the server.
  let origin: Origin
  let proxy: ProxyServer?
  /// As it is sent: all of it, or the part before the lines of the access and the length.
  let head: ByteBuffer
  let isHead: Bool
  let hasLength: Bool
  /// Whether the lines of its access are sent with it.
  let takesLines: Bool
  /// Whether it does not say itself who asks.
  let takesAuthorization: Bool
  /// Why it cannot be sent: sending it fails with `HTTPClientError.invalidRequest`.
  let fault: String?

  /// Its body; the head is good for any.
  public var body: ByteBuffer {
    get { request.body }
    set {
      request.body = newValue
      if hasLength != request.hasLength { self = PreparedRequest(request) }
    }
  }

  public init(_ request: HTTPRequest) {
    self.request = request
    isHead = request.method == "HEAD"
    hasLength = request.hasLength
    takesLines = request.access?.hasLines == true && !request.withholdsCredentials
    takesAuthorization =
      request.url.userinfo == nil && !request.headers.contains { $0.name.lowercased() == "authorization" }
    var head = ""
    var proxy: ProxyServer?
    var fault: String?
    do {
      proxy = try request.access?.proxy(for: request.url)
      head = try request.head(through: request.url.isSecure ? nil : proxy)
      if !takesLines { head += hasLength ? "Content-Length: " : "\r\n" }
    } catch {
      fault = "\(error)"
    }
    self.proxy = proxy
    origin = proxy.flatMap { request.url.isSecure ? nil : Origin($0) } ?? Origin(request.url)
    self.head = ByteBuffer(string: head)
    self.fault = fault
  }

  /// Where its connections lead now, and with which certificates.
  func route() throws(HTTPAccessError) -> (Origin, NIOSSLContext?) {
    guard request.url.isSecure else { return (origin, nil) }
    let access = request.access ?? .standard
    let loaded = try access.tls.current()
    var origin = origin
    origin.tls = loaded.number
    if tunnel != nil { origin.tunnel = access.number }
    return (origin, loaded.context)
  }

  /// The proxy through which a tunnel leads to the server.
  var tunnel: ProxyServer? { request.url.isSecure ? proxy : nil }

  /// What stands between the head and `body`, if there is a body.
  var lengthLine: ByteBuffer? { hasLength ? ByteBuffer(string: "\(body.readableBytes)\r\n\r\n") : nil }
}

private struct InvalidRequest: Error, CustomStringConvertible {
  let description: String
}

extension HTTPRequest {
  /// Headers that the client writes itself.
  private static let ownHeaders: Set<String> = ["host", "content-length", "connection", "transfer-encoding"]

  /// Whether it has a body, if an empty one.
  fileprivate var hasLength: Bool { body.readableBytes > 0 || ["POST", "PUT", "PATCH"].contains(method) }

  /// The lines of the head, but for `Content-Length`. Nothing gets in that would end a line: a request cannot be split.
  ///
  /// - Parameter proxy: that asks the server for us.
  fileprivate func head(through proxy: ProxyServer?) throws(InvalidRequest) -> String {
    guard method.utf8.isToken else { throw InvalidRequest(description: "net/http: invalid method") }
    let target = proxy == nil ? url.target : "http://\(url.authority)\(url.target)"
    var lines = "\(method) \(target) HTTP/1.1\r\nHost: \(url.authority)\r\n\(proxy?.authorization ?? "")"
    var hasAuthorization = false
    for (name, value) in headers {
      guard name.utf8.isToken else { throw InvalidRequest(description: "net/http: invalid header field name") }
      guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == .tab }) else {
        throw InvalidRequest(description: "net/http: invalid header field value for \"\(name)\"")
      }
      let lowercased = name.lowercased()
      if HTTPRequest.ownHeaders.contains(lowercased) { continue }
      if lowercased == "authorization" { hasAuthorization = true }
      lines += "\(name): \(value)\r\n"
    }
    if let userinfo = url.userinfo, !hasAuthorization {
      lines += "Authorization: Basic \(base64("\(userinfo.user):\(userinfo.password)".utf8))\r\n"
    }
    return lines
  }
}

extension Collection where Element == UInt8 {
  /// RFC 9110 section 5.6.2.
  fileprivate var isToken: Bool { !isEmpty && allSatisfy(\.isTokenByte) }
}
