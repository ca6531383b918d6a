// Speaks netlink (netlink(7)): asks the kernel for one of its tables and reads the answer.

import Bytes
import CLinux
import Glibc

/// A socket to one of the kernel's netlink protocols, in the network namespace of the thread that uses it first;
/// opened at the first request and kept. It belongs to one thread at a time.
public final class NetlinkSocket {
  public enum `Protocol`: String, Sendable {
    /// Links, addresses, neighbours, routes, queueing disciplines: rtnetlink(7).
    case rtnetlink
    /// Sockets: sock_diag(7).
    case sockDiag = "sock_diag"
    /// Everything else, by families with names (`GenericFamily`).
    case generic = "generic netlink"

    fileprivate var number: Int32 {
      switch self {
      case .rtnetlink: NETLINK_ROUTE
      case .sockDiag: NETLINK_SOCK_DIAG
      case .generic: NETLINK_GENERIC
      }
    }
  }

  /// Bytes that an answer may have: some 40,000 interfaces.
  private static let limit = 64 << 20
  /// A dump during which the table changed is asked for again; the last one is taken as it is.
  private static let attempts = 4
  /// Seconds that the kernel may take for one message.
  private static let timeout = 5

  private let `protocol`: `Protocol`
  private var descriptor: Int32 = -1
  private var sequence: UInt32 = 0
  private var request = ByteWriter(capacity: 128)

  public init(_ protocol: `Protocol` = .rtnetlink) { self.protocol = `protocol` }

  deinit { close() }

  /// Reads a whole answer; `buffer` then holds its messages and nothing else.
  ///
  /// - Throws: when there is no such protocol, it does not answer, or the answer is an error or too long.
  public func dump(_ request: NetlinkRequest, into buffer: inout ByteWriter) throws(KernelError) {
    do {
      for _ in 0..<Self.attempts {
        buffer.removeAll()
        if try exchange(request, through: &buffer, keepsAll: true, { _ in }) { return }
      }
    } catch {
      // What is still under way would be taken for the answer to the next question.
      close()
      throw error
    }
  }

  /// Reads an answer of any length part by part: `visit` gets some of its messages at a time, in `buffer`.
  ///
  /// - Throws: as `dump(_:into:)`; parts may have been visited by then.
  public func dump(
    _ request: NetlinkRequest, through buffer: inout ByteWriter, _ visit: (RawSpan) -> Void
  ) throws(KernelError) {
    do {
      buffer.removeAll()
      _ = try exchange(request, through: &buffer, keepsAll: false, visit)
    } catch {
      close()
      throw error
    }
  }

  /// False when the table changed meanwhile.
  private func exchange(
    _ request: NetlinkRequest, through buffer: inout ByteWriter, keepsAll: Bool, _ visit: (RawSpan) -> Void
  ) throws(KernelError) -> Bool {
    if descriptor < 0 { try open() }
    sequence &+= 1
    try send(request)
    var isWhole = true
    var position = 0
    while true {
      try receive(into: &buffer)
      var isOver = false
      while !isOver, let message = NetlinkMessage(in: buffer.bytes, at: position) {
        position = message.end
        guard message.sequence == sequence else { continue }
        if message.flags & UInt16(NLM_F_DUMP_INTR) != 0 { isWhole = false }
        isOver = message.type == UInt16(NLMSG_DONE) || message.type == UInt16(NLMSG_ERROR)
        if isOver, let code = message.errorCode(in: buffer.bytes) {
          throw KernelError("ask", `protocol`.rawValue, code: code)
        }
      }
      guard isOver || position == buffer.count else {
        throw KernelError("parse a message of", `protocol`.rawValue, code: EBADMSG)
      }
      guard buffer.count <= Self.limit else { throw KernelError("dump", `protocol`.rawValue, code: EMSGSIZE) }
      if !keepsAll {
        visit(buffer.bytes)
        buffer.removeAll()
        position = 0
      }
      if isOver { return isWhole }
    }
  }

  private func open() throws(KernelError) {
    descriptor = socket(
      AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), `protocol`.number)
    guard descriptor >= 0 else { throw KernelError("open a socket of", `protocol`.rawValue) }
    var patience = timeval(tv_sec: Self.timeout, tv_usec: 0)
    guard setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size)) == 0
    else { throw KernelError("set a time limit for", `protocol`.rawValue) }
  }

  private func send(_ question: NetlinkRequest) throws(KernelError) {
    request.removeAll()
    request.append(native: UInt32(NetlinkMessage.headerSize + question.body.count))
    request.append(native: question.type)
    request.append(native: question.flags)
    request.append(native: sequence)
    request.append(native: UInt32(0))
    request.append(question.body)
    let sent = request.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, 0) }
    guard sent == request.count else { throw KernelError("ask", `protocol`.rawValue) }
  }

  /// Appends one datagram, which holds whole messages.
  private func receive(into buffer: inout ByteWriter) throws(KernelError) {
    // The kernel makes datagrams as large as the largest buffer it was given, up to 32 KiB.
    let room = 32 << 10
    var failure: Int32 = 0
    var length = 0
    repeat {
      failure = 0
      buffer.append(capacity: room) { bytes in
        length = recv(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_TRUNC))
        if length < 0 { failure = errno }
        return min(max(length, 0), room)
      }
    } while failure == EINTR
    if failure == EAGAIN { failure = ETIMEDOUT }
    guard failure == 0 else { throw KernelError("read", `protocol`.rawValue, code: failure) }
    guard length > 0, length <= room else { throw KernelError("read", `protocol`.rawValue, code: EMSGSIZE) }
  }

  private func close() {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
    descriptor = -1
  }
}
