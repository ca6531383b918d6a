// One question and its answer over a socket (socket(7), udp(7), tcp(7), unix(7)), blocking, with a deadline and a bound.

import Bytes
import Glibc

/// Where a server listens.
public enum ServerAddress: Sendable, Equatable, CustomStringConvertible {
  case host(String, port: UInt16)
  /// A UNIX socket's path.
  case path(String)

  public var description: String {
    switch self {
    case .host(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .path(let path): path
    }
  }
}

/// A connected socket that lives for one exchange. No call on it lasts beyond the deadline; resolving a host's name may.
public final class SocketExchange {
  private let subject: String
  private let deadline: UInt64
  private var descriptor: Int32 = -1

  public enum Kind: Sendable { case stream, datagram }

  /// Connects to the first of the server's addresses that takes it.
  ///
  /// - Parameters:
  ///   - deadline: on the monotonic clock, in nanoseconds.
  ///   - timeToLive: of the packets; the system's default when 0.
  public init(
    _ kind: Kind, to server: ServerAddress, deadline: UInt64, timeToLive: Int32 = 0
  ) throws(KernelError) {
    subject = server.description
    self.deadline = deadline
    let type = CInt((kind == .stream ? SOCK_STREAM : SOCK_DGRAM).rawValue)
    switch server {
    case .path(let path):
      try connect(family: AF_UNIX, type, timeToLive: 0, to: try Self.unixAddress(path))
    case .host(let host, let port):
      var hints = addrinfo()
      hints.ai_socktype = type
      var list: UnsafeMutablePointer<addrinfo>?
      let status = getaddrinfo(host, "\(port)", &hints, &list)
      guard status == 0 else {
        throw KernelError("find the address of", host, code: status == EAI_SYSTEM ? errno : EADDRNOTAVAIL)
      }
      defer { freeaddrinfo(list) }
      var failure = KernelError("find the address of", host, code: EADDRNOTAVAIL)
      var next = list
      while let entry = next?.pointee {
        next = entry.ai_next
        do {
          let address = UnsafeRawBufferPointer(start: entry.ai_addr, count: Int(entry.ai_addrlen))
          try connect(family: entry.ai_family, type, timeToLive: timeToLive, to: Array(address))
          return
        } catch { failure = error }
      }
      throw failure
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Sends all of the bytes.
  public func send(_ bytes: RawSpan) throws(KernelError) {
    var sent = 0
    while sent < bytes.byteCount {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, CInt(MSG_NOSIGNAL))
      }
      if count >= 0 { sent += count } else { try waitIfBlocked("send to", POLLOUT) }
    }
  }

  /// Appends what comes in one piece: a datagram, or what has arrived of a stream; nothing at the stream's end.
  ///
  /// - Parameter limit: bytes that `buffer` may hold; a stream that has more is an error (EMSGSIZE).
  public func receive(into buffer: inout ByteWriter, limit: Int) throws(KernelError) {
    while true {
      let room = min(max(limit - buffer.count, 0) + 1, 64 << 10)
      var received = 0
      buffer.append(capacity: room) { bytes in
        received = recv(descriptor, bytes.baseAddress, bytes.count, 0)
        return max(received, 0)
      }
      guard buffer.count <= limit else { throw KernelError("read from", subject, code: EMSGSIZE) }
      if received >= 0 { return }
      try waitIfBlocked("read from", POLLIN)
    }
  }

  /// Appends all that comes until the other side closes the stream.
  public func receiveAll(into buffer: inout ByteWriter, limit: Int) throws(KernelError) {
    var before = -1
    while buffer.count > before {
      before = buffer.count
      try receive(into: &buffer, limit: limit)
    }
  }

  // MARK: System calls

  private static func unixAddress(_ path: String) throws(KernelError) -> [UInt8] {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard path.utf8.count < room else { throw KernelError("connect to", path, code: ENAMETOOLONG) }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafeBytes(of: &address) { Array($0) }
  }

  private func connect(family: CInt, _ type: CInt, timeToLive: Int32, to address: [UInt8]) throws(KernelError) {
    if descriptor >= 0 { close(descriptor) }
    descriptor = socket(family, type | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { throw KernelError("open a socket to", subject) }
    if timeToLive > 0 {
      var value = timeToLive
      let (level, option) = family == AF_INET6 ? (IPPROTO_IPV6, IPV6_UNICAST_HOPS) : (IPPROTO_IP, IP_TTL)
      guard setsockopt(descriptor, CInt(level), option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
      else { throw KernelError("set the time to live to", subject) }
    }
    let status = address.withUnsafeBytes { bytes in
      Glibc.connect(descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
    }
    guard status != 0 else { return }
    guard errno == EINPROGRESS else { throw KernelError("connect to", subject) }
    try wait("connect to", POLLOUT)
    var failure: CInt = 0
    var size = socklen_t(MemoryLayout<CInt>.size)
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size)
    guard failure == 0 else { throw KernelError("connect to", subject, code: failure) }
  }

  /// Waits after a call that failed because it would have to wait; any other failure is thrown.
  private func waitIfBlocked(_ operation: String, _ event: CInt) throws(KernelError) {
    switch errno {
    case EINTR: return
    case EAGAIN: try wait(operation, event)
    default: throw KernelError(operation, subject)
    }
  }

  private func wait(_ operation: String, _ event: CInt) throws(KernelError) {
    while true {
      let now = MonotonicClock.now
      guard now < deadline else { throw KernelError(operation, subject, code: ETIMEDOUT) }
      var request = pollfd(fd: descriptor, events: Int16(event), revents: 0)
      let ready = poll(&request, 1, CInt(clamping: (deadline - now) / 1_000_000 + 1))
      if ready > 0 { return }
      guard ready == 0 || errno == EINTR else { throw KernelError(operation, subject) }
    }
  }
}
