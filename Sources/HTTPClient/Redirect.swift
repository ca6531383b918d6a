import NIOCore

/// Redirects (RFC 9110 section 15.4), by the rules of Go's net/http, but for one: credentials do not go to another port
/// either, nor from https to http.
extension HTTPRequest {
  /// What no other server than the one it was meant for gets to see.
  private static let credentials: Set<String> = [
    "authorization", "cookie", "proxy-authorization", "www-authenticate", "x-consul-token",
  ]
  /// What describes a body, and goes with it.
  private static let bodyHeaders: Set<String> = ["content-type", "content-encoding", "content-language"]

  /// The request that `response` asks for in place of this one; nil when it asks for none.
  func redirected(by response: HTTPResponse) throws(HTTPClientError) -> HTTPRequest? {
    guard [301, 302, 303, 307, 308].contains(response.status), let location = response.header("Location"),
      !location.isEmpty
    else { return nil }
    var next = self
    do throws(HTTPURLError) {
      next.url = try url.resolving(location)
    } catch {
      throw .redirect(HTTPClientError.Attempt(self), reason: "redirect to an \(error)")
    }
    if response.status < 307, method != "GET", method != "HEAD" {
      next.method = "GET"
      next.body = ByteBuffer()
      next.headers.removeAll { HTTPRequest.bodyHeaders.contains($0.name.lowercased()) }
    }
    if !url.mayShareCredentials(with: next.url) {
      next.withholdsCredentials = true
      next.headers.removeAll { HTTPRequest.credentials.contains($0.name.lowercased()) }
    }
    return next
  }
}

extension HTTPURL {
  /// Whether the server at `other` may see what was meant for this one: it is the same one, perhaps by TLS now.
  fileprivate func mayShareCredentials(with other: HTTPURL) -> Bool {
    guard host == other.host else { return false }
    return isSecure == other.isSecure ? port == other.port : port == 80 && other.isSecure && other.port == 443
  }
}
