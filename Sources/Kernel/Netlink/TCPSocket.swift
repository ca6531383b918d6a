// TCP sockets (SOCK_DIAG_BY_FAMILY, sock_diag(7)).

import Bytes
import CLinux
import Glibc

extension NetlinkRequest {
  /// The TCP sockets in all states: see `TCPSocket`.
  ///
  /// - Parameter family: AF_INET or AF_INET6.
  public static func tcpSockets(family: Int32) -> NetlinkRequest {
    // struct inet_diag_req_v2: family, protocol, extensions, padding, a bit for each of twelve states, and 48 bytes
    // for a single socket's addresses.
    let header = [UInt8(truncatingIfNeeded: family), UInt8(IPPROTO_TCP), 0, 0]
    let states = NetlinkRequest.bytes(of: UInt32(0xfff))
    return NetlinkRequest(
      dump: Int(SOCK_DIAG_BY_FAMILY), header: header + states + [UInt8](repeating: 0, count: 48))
  }
}

/// A TCP socket in an answer to `.tcpSockets`.
public struct TCPSocket {
  /// struct inet_diag_msg.
  private static let headerSize = 72

  /// TCP_… (include/net/tcp_states.h): 1 is established, 10 listens.
  public let state: UInt8
  /// Bytes that wait to be read, or connections that wait to be accepted.
  public let receiveQueue: UInt32
  /// Bytes that the other end has not acknowledged, or the connections that may wait.
  public let sendQueue: UInt32

  /// Calls `visit` with each socket.
  public static func forEach(in dump: RawSpan, _ visit: (TCPSocket) -> Void) {
    var messages = NetlinkMessages(Int(SOCK_DIAG_BY_FAMILY), headerSize: headerSize)
    while let (header, _) = messages.next(in: dump) {
      visit(
        TCPSocket(
          state: dump[header + 1], receiveQueue: dump.native(UInt32.self, at: header + 56),
          sendQueue: dump.native(UInt32.self, at: header + 60)))
    }
  }
}
