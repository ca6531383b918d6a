import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// Looks names up by getaddrinfo(3), on threads of its own: a name server that keeps silent holds up no other name. Who
/// asks for a name that is being looked up gets the same answer.
final class NameResolver: Sendable {
  /// Why a name has no address.
  struct Failure: Error {
    /// Of getaddrinfo.
    let code: CInt
    /// Whether it may have one later.
    var isTemporary: Bool { code == EAI_AGAIN }
  }

  typealias Answer = Result<[SocketAddress], Failure>

  private struct Question: Hashable {
    let host: String
    let port: Int
  }

  static let shared = NameResolver()

  private let threads = NIOThreadPool(numberOfThreads: 16)
  private let waiting = Mutex<[Question: [@Sendable (Answer) -> Void]]>([:])

  private init() { threads.start() }

  /// Calls `done` once, on any thread, with addresses in the order in which they are to be tried (RFC 6724).
  func addresses(of host: String, port: Int, _ done: @escaping @Sendable (Answer) -> Void) {
    let question = Question(host: host, port: port)
    let isFirst = waiting.withLock { waiting in
      waiting[question, default: []].append(done)
      return waiting[question]?.count == 1
    }
    guard isFirst else { return }
    threads.submit { [self] _ in
      let answer = Self.lookUp(host, port)
      let askers = waiting.withLock { $0.removeValue(forKey: question) } ?? []
      for done in askers { done(answer) }
    }
  }

  private static func lookUp(_ host: String, _ port: Int) -> Answer {
    var hints = addrinfo()
    hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
    hints.ai_protocol = CInt(IPPROTO_TCP)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, String(port), &hints, &list)
    defer { if let list { freeaddrinfo(list) } }
    guard code == 0 else { return .failure(Failure(code: code)) }
    var addresses: [SocketAddress] = []
    var next = list
    while let entry = next?.pointee {
      if let address = SocketAddress(entry, host: host) { addresses.append(address) }
      next = entry.ai_next
    }
    return .success(addresses)
  }
}

extension SocketAddress {
  /// Nil when the entry is of neither kind of IP.
  fileprivate init?(_ entry: addrinfo, host: String) {
    guard let address = entry.ai_addr else { return nil }
    switch entry.ai_family {
    case AF_INET:
      self.init(UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in.self), host: host)
    case AF_INET6:
      self.init(UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in6.self), host: host)
    default: return nil
    }
  }
}

/// The two questions that NIO asks for a connection, answered by one lookup.
struct NameQuery: Resolver, Sendable {
  private let ipv4: EventLoopPromise<[SocketAddress]>
  private let ipv6: EventLoopPromise<[SocketAddress]>

  /// - Parameter takesAny: whether only one of the addresses is given, by chance.
  init(_ host: String, _ port: Int, takesAny: Bool, on eventLoop: any EventLoop) {
    ipv4 = eventLoop.makePromise()
    ipv6 = eventLoop.makePromise()
    NameResolver.shared.addresses(of: host, port: port) { [ipv4, ipv6] answer in
      switch answer {
      case .success(let all):
        let addresses = takesAny ? all.randomElement().map { [$0] } ?? [] : all
        ipv6.succeed(addresses.filter { $0.protocol == .inet6 })
        ipv4.succeed(addresses.filter { $0.protocol == .inet })
      case .failure(let failure):
        ipv6.fail(failure)
        ipv4.fail(failure)
      }
    }
  }

  func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { ipv4.futureResult }
  func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { ipv6.futureResult }
  func cancelQueries() {}
}
