import Glibc
import NIOCore
import NIOPosix

/// Where to listen: an address of TCP as Go's net.Listen takes it (`:9100` is every interface, `127.0.0.1:0` any free
/// port), a port of a virtual machine's socket (`vsock://:9100`), or a socket that listens already.
public struct ListenAddress: Sendable, CustomStringConvertible {
  private enum Place {
    /// An empty host is every interface.
    case tcp(host: String, port: Int)
    case vsock(port: UInt32)
    case inherited(CInt)
  }

  private let place: Place
  public let description: String

  public init(_ text: String) throws(WebServerError) {
    description = text
    let scheme = "vsock://"
    if text.hasPrefix(scheme) {
      let (_, digits) = try Self.split(String(text.dropFirst(scheme.count).prefix { $0 != "/" }), shown: text)
      guard let port = UInt32(digits) else { throw .listen("\(text): invalid port \(digits.debugDescription)") }
      place = .vsock(port: port)
    } else {
      let (host, port) = try Self.split(text, shown: "tcp")
      place = .tcp(host: host, port: try Self.port(port))
    }
  }

  /// A socket that listens already, such as systemd hands over.
  public init(descriptor: CInt) {
    description = "fd \(descriptor)"
    place = .inherited(descriptor)
  }

  /// Go's net.SplitHostPort.
  private static func split(_ text: String, shown: String) throws(WebServerError) -> (host: String, port: String) {
    func fault(_ reason: String) -> WebServerError { .listen("\(shown): address \(text): \(reason)") }
    guard let colon = text.lastIndex(of: ":") else { throw fault("missing port in address") }
    let port = String(text[text.index(after: colon)...])
    let host = text[..<colon]
    guard text.hasPrefix("[") else {
      if host.contains(":") { throw fault("too many colons in address") }
      return (String(host), port)
    }
    guard let bracket = text.firstIndex(of: "]") else { throw fault("missing ']' in address") }
    let behind = text.index(after: bracket)
    guard behind == colon else {
      throw fault(text[behind...].hasPrefix(":") ? "too many colons in address" : "missing port in address")
    }
    return (String(host.dropFirst().dropLast()), port)
  }

  /// An empty port is any free one.
  private static func port(_ text: String) throws(WebServerError) -> Int {
    if text.isEmpty { return 0 }
    guard let port = Int(text) else {
      let isNumber = text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      throw .listen(isNumber ? "tcp: address \(text): invalid port" : "tcp: lookup tcp/\(text): unknown port")
    }
    guard (0...65535).contains(port) else { throw .listen("tcp: address \(text): invalid port") }
    return port
  }

  // MARK: Listening

  func bind(_ bootstrap: ServerBootstrap) async throws -> any Channel {
    switch place {
    case .tcp("", let port):
      // IPv6 and IPv4 by one socket, IPv4 where there is no IPv6.
      do {
        return try await bootstrap.bind(host: "::", port: port).get()
      } catch let error as IOError where [EAFNOSUPPORT, EADDRNOTAVAIL].contains(error.errnoCode) {
        return try await bootstrap.bind(host: "0.0.0.0", port: port).get()
      }
    case .tcp(let host, let port): return try await bootstrap.bind(host: host, port: port).get()
    case .vsock(let port):
      return try await bootstrap.bind(to: VsockAddress(cid: .any, port: .init(rawValue: port))).get()
    case .inherited(let descriptor): return try await bootstrap.withBoundSocket(descriptor).get()
    }
  }

  /// Where a channel of this address listens, with the port that it got.
  func text(of channel: any Channel) -> String {
    guard let address = channel.localAddress else { return description }
    if let path = address.pathname { return path.isEmpty ? description : path }
    guard let port = address.port else { return description }
    let host = address.ipAddress ?? ""
    return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  /// Why this cannot be listened on, as Go words it.
  func fault(_ error: any Error) -> WebServerError {
    switch (place, error) {
    case (.tcp(let host, _), is SocketAddressError.UnknownHost):
      .listen("tcp: lookup \(host): no such host")
    case (.vsock, _): .listen("\(description): \(Self.reason(error))")
    case (.inherited, _): .listen("\(description): \(Self.reason(error))")
    case (.tcp, _): .listen("tcp \(description): bind: \(Self.reason(error))")
    }
  }

  private static func reason(_ error: any Error) -> String {
    guard let error = error as? IOError, let text = strerror(error.errnoCode) else { return "\(error)" }
    let reason = String(cString: text)
    return reason.prefix(1).lowercased() + reason.dropFirst()
  }
}

/// A server that cannot start.
public enum WebServerError: Error, CustomStringConvertible {
  /// The address, and why it cannot be listened on.
  case listen(String)
  /// What is wrong with the web configuration file.
  case configuration(String)

  public var description: String {
    switch self {
    case .listen(let reason): "listen \(reason)"
    case .configuration(let reason): reason
    }
  }
}
