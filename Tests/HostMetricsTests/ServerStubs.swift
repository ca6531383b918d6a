import Glibc
import Kernel
import Testing

/// A socket on loopback, or a UNIX one, that answers each question with what a test says.
final class ServerStub: Sendable {
  let port: UInt16
  private let path: String?
  private let descriptor: Int32

  /// A UDP server.
  static func datagrams(_ answer: @escaping @Sendable ([UInt8]) -> [UInt8]?) throws -> ServerStub {
    try ServerStub(SOCK_DGRAM, path: nil) { descriptor in
      var buffer = [UInt8](repeating: 0, count: 2048)
      var address = sockaddr_in()
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let count = withUnsafeMutableBytes(of: &address) { bytes in
        recvfrom(
          descriptor, &buffer, buffer.count, 0, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
      }
      guard count > 0 else { return false }
      guard let reply = answer(Array(buffer[..<count])) else { return true }
      withUnsafeBytes(of: &address) { bytes in
        _ = sendto(
          descriptor, reply, reply.count, 0, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), length)
      }
      return true
    }
  }

  /// A server of streams; `answer` takes what came first, and what it gives is sent before the stream is closed. Nil
  /// leaves the stream open.
  static func streams(path: String? = nil, _ answer: @escaping @Sendable ([UInt8]) -> [UInt8]?) throws -> ServerStub {
    try ServerStub(SOCK_STREAM, path: path) { descriptor in
      let connection = accept(descriptor, nil, nil)
      guard connection >= 0 else { return false }
      var buffer = [UInt8](repeating: 0, count: 4096)
      var request: [UInt8] = []
      // The question ends with its only tag of this kind.
      while !request.ends(with: "</methodCall>") {
        let count = recv(connection, &buffer, buffer.count, 0)
        guard count > 0 else { break }
        request += buffer[..<count]
      }
      guard let reply = answer(request) else { return true }
      var sent = 0
      while sent < reply.count {
        let count = reply.withUnsafeBytes {
          send(connection, $0.baseAddress! + sent, $0.count - sent, CInt(MSG_NOSIGNAL))
        }
        guard count > 0 else { break }
        sent += count
      }
      close(connection)
      return true
    }
  }

  private init(_ type: __socket_type, path: String?, _ serve: @escaping @Sendable (Int32) -> Bool) throws {
    self.path = path
    let descriptor = socket(path == nil ? AF_INET : AF_UNIX, CInt(type.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    self.descriptor = descriptor
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    if let path {
      var local = sockaddr_un()
      local.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &local.sun_path) { $0.copyBytes(from: path.utf8) }
      withUnsafeBytes(of: &local) { bytes in
        _ = bind(descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
      }
    } else {
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
      withUnsafeMutableBytes(of: &address) { bytes in
        let pointer = bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
        _ = bind(descriptor, pointer, length)
        _ = getsockname(descriptor, pointer, &length)
      }
    }
    port = UInt16(bigEndian: address.sin_port)
    if type == SOCK_STREAM { listen(descriptor, 8) }
    try KernelThread.start("server") { while serve(descriptor) {} }
  }

  deinit {
    shutdown(descriptor, CInt(SHUT_RDWR))
    if let path { unlink(path) }
  }
}

extension [UInt8] {
  fileprivate func ends(with text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}
