// Asks name servers by UDP, and by TCP what does not fit into a datagram (RFC 1035 section 4.2, RFC 7766).

import Bytes
import Kernel
import Logging
import NIOPosix

/// Asks for the records of names, as Prometheus does: each name of the search list, each server in turn.
struct DNSResolver: Sendable {
  /// For calls that wait for name servers: neither an event loop nor a thread of Swift's pool must.
  private static let threads: NIOThreadPool = {
    let threads = NIOThreadPool(numberOfThreads: 16)
    threads.start()
    return threads
  }()
  private static let messageLimit = 65_535

  private let configuration: @Sendable () throws -> ResolverConfiguration
  private let log: Logger

  /// - Parameter configuration: read anew for every lookup.
  init(log: Logger, configuration: @escaping @Sendable () throws -> ResolverConfiguration) {
    self.log = log
    self.configuration = configuration
  }

  /// The records of a name; none when all servers that were asked say that there are none.
  ///
  /// - Throws: when that is not sure, for a server answered otherwise or not at all.
  func records(of name: String, _ type: DNSRecordType) async throws -> [DNSRecord] {
    try await Self.threads.runIfActive { try find(name, type) }
  }

  /// Blocks.
  private func find(_ name: String, _ type: DNSRecordType) throws -> [DNSRecord] {
    let configuration = try configuration()
    var reason: String?
    for candidate in configuration.candidates(name) {
      guard let question = DNSQuestion(candidate, type) else {
        reason = reason ?? "\"\(candidate)\" is no name"
        continue
      }
      do throws(LookupFault) {
        let answer = try ask(question, candidate, configuration)
        if answer.code == .success { return answer.records }
      } catch {
        reason = reason ?? error.reason
      }
    }
    guard let reason else { return [] }
    throw LookupFault(reason: "could not resolve \"\(name)\": \(reason)")
  }

  /// The first answer that says what there is, or that there is no such name.
  private func ask(
    _ question: DNSQuestion, _ name: String, _ configuration: ResolverConfiguration
  ) throws(LookupFault) -> DNSAnswer {
    var last = "no name server in \(ResolverConfiguration.path)"
    for _ in 0..<configuration.attempts {
      var isSilent = false
      for server in configuration.servers {
        do {
          let answer = try exchange(
            question, with: .host(server, port: configuration.port), timeout: configuration.timeout)
          guard case .failure(let code) = answer.code else { return answer }
          last = "\(server) answers \(name) with the code \(code)"
        } catch let error as KernelError {
          last = "\(error)"
          isSilent = true
        } catch {
          last = "\(server) answers \(name) with what is \(error)"
        }
        log.debug("DNS resolution failed", metadata: ["server": "\(server)", "name": "\(name)", "err": "\(last)"])
      }
      // Who has answered would answer the same again.
      if !isSilent { break }
    }
    throw LookupFault(reason: last)
  }

  private func exchange(_ question: DNSQuestion, with server: ServerAddress, timeout: Duration) throws -> DNSAnswer {
    let patience = UInt64(timeout / .nanoseconds(1))
    let socket = try SocketExchange(.datagram, to: server, deadline: MonotonicClock.now + patience)
    try socket.send(question.encoded(isExtended: true).span.bytes)
    var buffer = ByteWriter(capacity: DNSQuestion.datagramLimit + 1)
    while true {
      buffer.removeAll()
      try socket.receive(into: &buffer, limit: Self.messageLimit)
      // What answers another question is late, or forged.
      guard let answer = try DNSAnswer(buffer.bytes, to: question) else { continue }
      if !answer.isTruncated { return answer }
      return try exchangeByStream(question, with: server, deadline: MonotonicClock.now + patience)
    }
  }

  /// A message on a stream stands behind its length (RFC 1035 section 4.2.2).
  private func exchangeByStream(
    _ question: DNSQuestion, with server: ServerAddress, deadline: UInt64
  ) throws -> DNSAnswer {
    let message = question.encoded(isExtended: false)
    let socket = try SocketExchange(.stream, to: server, deadline: deadline)
    try socket.send(([UInt8(message.count >> 8), UInt8(truncatingIfNeeded: message.count)] + message).span.bytes)
    var buffer = ByteWriter()
    while true {
      let before = buffer.count
      try socket.receive(into: &buffer, limit: Self.messageLimit + 2)
      let bytes = buffer.bytes
      if bytes.byteCount >= 2 {
        let length = Int(bytes[0]) << 8 | Int(bytes[1])
        if bytes.byteCount >= length + 2 {
          let answer = try DNSAnswer(bytes.extracting(2..<length + 2), to: question)
          guard let answer, !answer.isTruncated else { throw DNSMessageFault(reason: "not the whole answer by TCP") }
          return answer
        }
      }
      guard buffer.count > before else { throw DNSMessageFault(reason: "it ends too early") }
    }
  }
}

/// Why it is not known which records a name has.
struct LookupFault: Error, CustomStringConvertible {
  let reason: String
  var description: String { reason }
}
