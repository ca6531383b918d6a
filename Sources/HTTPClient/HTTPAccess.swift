import Glibc
import NIOCore
import Secrets
import Synchronization

/// `HTTPClientOptions` at work: what its files hold, and the tokens that it got. One is shared by all requests of a job,
/// a remote or a mechanism of discovery.
///
/// Files are read again when they have changed, two seconds later at most. What cannot be read or used fails the
/// requests, not the making: it may be there later.
public final class HTTPAccess: Sendable {
  public let options: HTTPClientOptions
  let tls: TLSContext
  /// Nil: servers are asked directly.
  let proxies: Result<ProxyRules, HTTPAccessError>?
  /// Whether requests get lines that are not their own.
  let hasLines: Bool
  /// Nobody else's: tunnels through its proxy are not shared.
  let number: Int
  /// How the server is asked that gives tokens; nil: there is none.
  let tokenAccess: HTTPAccess?
  let state: Mutex<State>

  private static let numbers = Atomic(0)

  /// For https of which nothing is said.
  static let standard = HTTPAccess(HTTPClientOptions())

  struct State {
    var files: PolledFiles<CredentialLines.Material>
    var lines: Result<CredentialLines, HTTPAccessError>
    var tokens = TokenState()

    init(_ files: PolledFiles<CredentialLines.Material>) {
      self.files = files
      lines = files.value.map { $0.lines() }
    }

    /// Follows the files.
    mutating func refresh() {
      let secret = clientSecret
      guard files.refresh() else { return }
      if clientSecret != secret { tokens.token = nil }
      writeLines()
    }

    mutating func writeLines() {
      let token = tokens.token?.authorization.value
      lines = files.value.map { $0.lines(token: token) }
    }

    var clientSecret: Secret? { try? files.value.get().clientSecret }
  }

  public convenience init(_ options: HTTPClientOptions) {
    self.init(options) { name in getenv(name).map { String(cString: $0) } }
  }

  /// - Parameter environment: gives the variables of the environment.
  init(_ options: HTTPClientOptions, environment: (String) -> String?) {
    self.options = options
    number = HTTPAccess.numbers.add(1, ordering: .relaxed).newValue
    tls = TLSContext.of(options.tls)
    tokenAccess = options.tokenServer.map { HTTPAccess($0) }
    do throws(HTTPAccessError) {
      proxies = try ProxyRules(options.proxy, environment: environment).map { .success($0) }
    } catch {
      proxies = .failure(error)
    }
    hasLines = options.credentials != .none || !options.headers.isEmpty
    state = Mutex(State(PolledFiles(options.linePaths) { try CredentialLines.Material(options) }))
  }

  /// The proxy for a URL; nil: none.
  func proxy(for url: HTTPURL) throws(HTTPAccessError) -> ProxyServer? { try proxies?.get().proxy(for: url) }

  enum Readiness {
    case lines(ByteBuffer)
    /// A token must be fetched first.
    case needsToken
    case fault(HTTPAccessError)
  }

  /// The lines for a request that starts now.
  ///
  /// - Parameters:
  ///   - authorized: whether they are to say who asks.
  ///   - hasLength: whether the line of the length follows.
  func lines(authorized: Bool, hasLength: Bool) -> Readiness {
    state.withLock { state in
      state.refresh()
      switch state.lines {
      case .failure(let fault): return .fault(fault)
      case .success(let lines):
        if authorized, case .oauth2 = options.credentials, let lack = state.tokens.lack { return lack }
        return .lines(lines.bytes(authorized: authorized, hasLength: hasLength))
      }
    }
  }

  /// Looks at the files with the next request, however recent the last look was.
  func lookSoon() {
    state.withLock { $0.files.lookSoon() }
    tls.lookSoon()
  }
}

extension HTTPClientOptions {
  /// The files whose content goes into header lines, and the file of the secret for tokens.
  fileprivate var linePaths: [String] {
    let sources: [SecretSource?] =
      switch credentials {
      case .none: []
      case .basic(let user, let password): [user, password]
      case .authorization(_, let credentials): [credentials]
      case .oauth2(let oauth2): [oauth2.clientSecret]
      }
    return (sources + headers.flatMap(\.values)).compactMap { $0?.path }
  }
}

extension HTTPClientOptions {
  /// How the server is asked that gives tokens; nil: there is none.
  fileprivate var tokenServer: HTTPClientOptions? {
    guard case .oauth2(let oauth2) = credentials else { return nil }
    var options = HTTPClientOptions()
    options.tls = oauth2.tls
    options.proxy = oauth2.proxy
    return options
  }
}
