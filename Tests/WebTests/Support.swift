import Glibc
import NIOCore
import NIOPosix
import Testing

@testable import Web

/// A server on loopback for the length of a test.
func withServer(
  _ routes: WebRoutes, access: WebAccess? = nil, limits: WebServer.Limits = .init(),
  _ body: (WebServer, Int) async throws -> Void
) async throws {
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  let server = try await WebServer.start(
    [ListenAddress("127.0.0.1:0")], routes: routes, access: access, group: group, limits: limits)
  let port = Int(server.addresses[0].split(separator: ":").last ?? "") ?? 0
  do {
    try await body(server, port)
  } catch {
    await server.stop(within: .seconds(1))
    try await group.shutdownGracefully()
    throw error
  }
  await server.stop(within: .seconds(1))
  try await group.shutdownGracefully()
}

/// A blocking client, with a limit to its patience.
struct Client: ~Copyable {
  let descriptor: Int32

  init(_ port: Int) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var patience = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let code = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(code == 0)
  }

  deinit { close(descriptor) }

  func send(_ text: String) {
    _ = Array(text.utf8).withUnsafeBytes {
      Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
  }

  /// Says that nothing more is sent; what comes can still be read.
  func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// What comes until `isEnough`, or until the server closes.
  func read(until isEnough: (String) -> Bool = { _ in false }) -> String {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while !isEnough(String(decoding: bytes, as: UTF8.self)) {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count <= 0 { break }
      bytes += chunk[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// One request that closes its connection behind the answer.
  func ask(_ method: String, _ target: String, _ headers: String = "") -> String {
    send("\(method) \(target) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\(headers)\r\n")
    return read()
  }
}

func echo() -> WebRoutes {
  var routes = WebRoutes()
  routes["/echo"] = { request, respond in
    respond(
      WebResponse(
        contentType: "text/plain", body: ByteBuffer(string: request.parameters("collect[]").joined(separator: ","))))
  }
  routes["/big"] = { _, respond in
    respond(WebResponse(contentType: "text/plain", body: ByteBuffer(repeating: 65, count: 100_000)))
  }
  return routes
}
