import Bytes
import NIOCore
import NIOHTTP1

/// A request whose head is written down already, for those who send it again and again.
public struct PreparedRequest: Sendable {
  /// What it was made of.
  public private(set) var request: HTTPRequest
  let origin: Origin
  /// As it is sent, but for `Content-Length`.
  private let head: HTTPRequestHead
  /// Why it cannot be sent: sending it fails with `HTTPClientError.invalidRequest`.
  let fault: String?

  /// Its body; the head is good for any.
  public var body: ByteBuffer {
    get { request.body }
    set { request.body = newValue }
  }

  public init(_ request: HTTPRequest) {
    self.request = request
    origin = Origin(request.url)
    do {
      head = try request.head()
      fault = nil
    } catch {
      head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
      fault = error.reason
    }
  }

  var headAndLength: HTTPRequestHead {
    var head = head
    if body.readableBytes > 0 || ["POST", "PUT", "PATCH"].contains(request.method) {
      head.headers.add(name: "Content-Length", value: String(body.readableBytes))
    }
    return head
  }
}

private struct Fault: Error {
  let reason: String
}

extension HTTPRequest {
  /// Headers that the client writes itself.
  private static let ownHeaders: Set<String> = ["host", "content-length", "connection", "transfer-encoding"]

  /// The head as it is sent. Nothing gets in that would end a line: a request cannot be split.
  fileprivate func head() throws(Fault) -> HTTPRequestHead {
    guard method.utf8.isToken else { throw Fault(reason: "net/http: invalid method") }
    var fields: [(String, String)] = [("Host", url.authority)]
    fields.reserveCapacity(headers.count + 3)
    var hasAuthorization = false
    for (name, value) in headers {
      guard name.utf8.isToken else { throw Fault(reason: "net/http: invalid header field name") }
      guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == .tab }) else {
        throw Fault(reason: "net/http: invalid header field value for \"\(name)\"")
      }
      let lowercased = name.lowercased()
      if HTTPRequest.ownHeaders.contains(lowercased) { continue }
      if lowercased == "authorization" { hasAuthorization = true }
      fields.append((name, value))
    }
    if let userinfo = url.userinfo, !hasAuthorization {
      fields.append(("Authorization", "Basic " + base64("\(userinfo.user):\(userinfo.password)".utf8)))
    }
    return HTTPRequestHead(
      version: .http1_1, method: HTTPMethod(rawValue: method), uri: url.target, headers: HTTPHeaders(fields))
  }
}

extension Collection where Element == UInt8 {
  /// RFC 9110 section 5.6.2.
  fileprivate var isToken: Bool {
    !isEmpty
      && allSatisfy { $0.isLetter || $0.isDigit || "!#$%&'*+-.^_`|~".utf8.contains($0) }
  }
}

/// RFC 4648 section 4.
func base64(_ bytes: some Collection<UInt8>) -> String {
  let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  var text: [UInt8] = []
  var rest = bytes[...]
  while !rest.isEmpty {
    let group = rest.prefix(3)
    rest = rest.dropFirst(3)
    var bits: UInt32 = 0
    for byte in group { bits = bits << 8 | UInt32(byte) }
    bits <<= UInt32(8 * (3 - group.count))
    for position in 0..<4 {
      let isPadding = position > group.count
      text.append(isPadding ? UInt8(ascii: "=") : alphabet[Int(bits >> UInt32(18 - 6 * position) & 63)])
    }
  }
  return String(decoding: text, as: UTF8.self)
}
