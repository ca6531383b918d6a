// Asks name servers by UDP, and by TCP what does not fit into a datagram (RFC 1035 section 4.2, RFC 7766).

import Bytes
import Kernel
import Logging
import NIOPosix
import Synchronization

/// Asks for the records of names, as Prometheus does: each name of the search list, each server in turn.
struct DNSResolver: Sendable {
  /// A lookup at work.
  private struct Lookup: Sendable {
    let configuration: ResolverConfiguration
    /// On the monotonic clock, nanoseconds.
    let deadline: UInt64
    let isCancelled: Cancellation

    /// - Throws: when nobody waits any more, or it has taken too long.
    func patience() throws -> UInt64 {
      if isCancelled.value.load(ordering: .relaxed) { throw CancellationError() }
      let now = MonotonicClock.now
      guard now < deadline else { throw LookupFault(reason: "no answer in time") }
      return min(UInt64(configuration.timeout / .nanoseconds(1)), deadline - now)
    }
  }

  private final class Cancellation: Sendable { let value = Atomic(false) }

  /// Threads for calls that wait for name servers: neither an event loop nor a thread of Swift's pool must. Names that
  /// did not answer last time have theirs, so that they hold up no others.
  private struct Lane {
    let threads: NIOThreadPool
    /// A lookup takes no longer.
    let limit: Duration

    init(threads count: Int, limit: Duration) {
      threads = NIOThreadPool(numberOfThreads: count)
      threads.start()
      self.limit = limit
    }
  }

  private static let lane = Lane(threads: 16, limit: .seconds(30))
  private static let doubtfulLane = Lane(threads: 4, limit: .seconds(10))
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
  /// - Parameter isDoubtful: whether the name could not be looked up last time.
  /// - Throws: when that is not sure, for a server answered otherwise or not at all.
  func records(of name: String, _ type: DNSRecordType, isDoubtful: Bool = false) async throws -> [DNSRecord] {
    let lane = isDoubtful ? Self.doubtfulLane : Self.lane
    let cancellation = Cancellation()
    return try await withTaskCancellationHandler {
      try await lane.threads.runIfActive {
        let deadline = MonotonicClock.now + UInt64(lane.limit / .nanoseconds(1))
        return try find(
          name, type,
          Lookup(configuration: try configuration(), deadline: deadline, isCancelled: cancellation))
      }
    } onCancel: {
      cancellation.value.store(true, ordering: .relaxed)
    }
  }

  /// Blocks.
  private func find(_ name: String, _ type: DNSRecordType, _ lookup: Lookup) throws -> [DNSRecord] {
    var reason: String?
    for candidate in lookup.configuration.candidates(name) {
      guard let question = DNSQuestion(candidate, type) else {
        reason = reason ?? "\"\(candidate)\" is no name"
        continue
      }
      do throws(LookupFault) {
        let answer = try ask(question, candidate, lookup)
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
    _ question: DNSQuestion, _ name: String, _ lookup: Lookup
  ) throws(LookupFault) -> DNSAnswer {
    let configuration = lookup.configuration
    var last = ""
    for _ in 0..<configuration.attempts {
      var isSilent = false
      for server in configuration.servers {
        do {
          let answer = try exchange(
            question, with: .host(server, port: configuration.port), patience: try lookup.patience())
          guard case .failure(let code) = answer.code else { return answer }
          last = "\(server) answers \(name) with the code \(code)"
        } catch let error as KernelError {
          last = "\(error)"
          isSilent = true
        } catch let error as LookupFault {
          throw last.isEmpty ? error : LookupFault(reason: last)
        } catch is CancellationError {
          throw LookupFault(reason: "cancelled")
        } catch {
          last = "\(server) answers \(name) with what is \(error)"
        }
        log.debug("DNS resolution failed", metadata: ["server": "\(server)", "name": "\(name)", "err": "\(last)"])
      }
      // Who has answered would answer the same again.
      if !isSilent { break }
    }
    throw LookupFault(reason: last.isEmpty ? "no name server in \(ResolverConfiguration.path)" : last)
  }

  private func exchange(_ question: DNSQuestion, with server: ServerAddress, patience: UInt64) throws -> DNSAnswer {
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
