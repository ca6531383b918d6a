// Feeds the HTTP client broken answers: a server on loopback mutates one answer for each connection, sends it in random
// pieces and closes. What must never happen: a crash, a request that waits for more, or a body beyond the limit.
//
//     swift run -c release Fuzz --responses --seconds 600

import Glibc
import HTTPClient
import Kernel
import NIOPosix
import Synchronization

enum ResponseFuzz {
  /// The last one ends with the connection.
  private static let answers: [[UInt8]] = [
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n\r\nprocess_open_fds 12\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nup 1\n\r\na;x=y\r\n0123456789\r\n0\r\nT: u\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: /metrics\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nup 1\n",
  ].map { Array($0.utf8) }

  private static let limit = 1 << 10

  struct Fault: Error { let description: String }

  /// - Throws: when a request got neither an answer nor an error in time, or too long a body.
  static func run(seconds: Int, seed: Int) async throws {
    let server = try Server(Mutator(seed: UInt64(truncatingIfNeeded: seed)))
    try KernelThread.start("fuzz-server") { server.run() }
    let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
    let request = HTTPRequest(url: try HTTPURL("http://127.0.0.1:\(server.port)/metrics"))
    let limits = HTTPLimits(timeout: .seconds(20), bodyBytes: limit)
    let end = MonotonicClock.now + UInt64(max(seconds, 0)) * 1_000_000_000
    var (rounds, answered) = (0, 0)
    while MonotonicClock.now < end {
      rounds += 1
      do {
        let response = try await client.send(request, limits: limits)
        answered += 1
        guard response.headers.count <= 256, response.body.readableBytes <= limit else {
          throw Fault(description: "an answer beyond the limits")
        }
      } catch let error as HTTPClientError {
        if case .timeout = error { throw error }
      }
    }
    await client.shutdown()
    print("\(rounds) requests, \(answered) answered")
  }

  /// One connection after the other. `@unchecked Sendable`: made by one thread, used by another.
  private final class Server: @unchecked Sendable {
    let port: UInt16
    private let listener: CInt
    private var mutator: Mutator

    init(_ mutator: Mutator) throws(KernelError) {
      self.mutator = mutator
      listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let descriptor = listener
      let isListening = withUnsafeMutableBytes(of: &address) { bytes in
        let address = bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
        return bind(descriptor, address, length) == 0 && listen(descriptor, 16) == 0
          && getsockname(descriptor, address, &length) == 0
      }
      guard isListening else { throw KernelError("listen on", "127.0.0.1") }
      port = UInt16(bigEndian: address.sin_port)
    }

    func run() {
      var request = [UInt8](repeating: 0, count: 4096)
      let originals = ResponseFuzz.answers.map { WorkingCopy.File(path: "", content: $0) }
      while true {
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { return }
        // Whole answers keep the connection; who breaks one must close, or the client waits for the rest of it.
        var isBroken = false
        while !isBroken, read(connection, &request, request.count) > 0 {
          isBroken = mutator.next(below: 3) > 0
          let original = originals[mutator.next(below: originals.count - (isBroken ? 0 : 1))].content
          var answer = (isBroken ? mutator.mutate(original, beside: originals) : original)[...]
          while !answer.isEmpty {
            let piece = answer.prefix(1 + mutator.next(below: answer.count))
            let sent = piece.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            guard sent == piece.count else { break }
            answer = answer.dropFirst(piece.count)
          }
        }
        close(connection)
      }
    }
  }
}
