import Logging
import Secrets
import Synchronization
import YAML

/// What a web configuration file asks of the server: TLS, passwords, headers and a limit to the rate of requests.
///
/// The file, and the certificates that it names, are read again when they have changed. While the file cannot be worked
/// with, no request is answered but by 500; while TLS cannot be set up, no new connection is taken.
public final class WebAccess: Sendable {
  /// Whether the server speaks TLS. That is decided at the start.
  public let usesTLS: Bool
  let logger: Logger
  private let passwords = PasswordCheck()
  private let state: Mutex<State>

  /// What can be faulty on its own.
  private enum Part {
    case file
    case certificates
  }

  private struct State {
    var configuration: WatchedFiles<WebConfiguration>
    var tls: WatchedFiles<TLSSettings>?
    var limiter: RateLimiter?
    /// The faults that were logged, and hold still.
    var reported: [Part: String] = [:]

    /// Takes up a configuration that was read anew.
    mutating func apply(_ configuration: WebConfiguration) {
      tls = configuration.tls.map { tls in WatchedFiles(tls.files) { try TLSSettings(tls) } }
      // A limit that stays as it was goes on counting.
      if configuration.rateLimit != limiter?.limit { limiter = configuration.rateLimit.map { RateLimiter($0) } }
    }
  }

  /// Reads the file.
  ///
  /// - Throws: what is wrong with it, or with the certificates that it names.
  public init(file: String, logger: Logger) throws(WebServerError) {
    self.logger = logger
    var state = State(
      configuration: WatchedFiles([file]) {
        try WebConfiguration(
          try WholeFile.readRegular(file, limit: WebConfiguration.sizeLimit), file: file)
      })
    do {
      let configuration = try state.configuration.get()
      usesTLS = configuration.tls != nil
      state.apply(configuration)
      _ = try state.tls?.get()
      if let limit = configuration.rateLimit {
        logger.info("Rate Limiter is enabled.", metadata: ["burst": "\(limit.burst)", "interval": "\(limit.interval)"])
      }
    } catch let error as TLSFault {
      throw .configuration("\(file): tls_server_config: \(error)")
    } catch {
      throw .configuration("\(error)")
    }
    self.state = Mutex(state)
  }

  // MARK: Requests

  /// The handler, as the file lets it be asked.
  func guarding(_ handler: @escaping WebHandler) -> WebHandler {
    { [self] request, respond in
      let configuration: WebConfiguration
      switch admit() {
      case .broken: return respond(.text(500, "Internal Server Error"))
      case .tooMany: return respond(.text(429, "Too Many Requests"))
      case .admitted(let admitted): configuration = admitted
      }
      let respond: @Sendable (WebResponse) -> Void = { respond($0.adding(configuration.headers)) }
      guard !configuration.users.isEmpty else { return handler(request, respond) }
      guard let credentials = request.header("authorization").flatMap({ BasicCredentials($0) }) else {
        return respond(.unauthorized)
      }
      passwords.check(credentials, configuration.users) { isRight in
        if isRight { handler(request, respond) } else { respond(.unauthorized) }
      }
    }
  }

  private enum Admission {
    case admitted(WebConfiguration)
    case tooMany
    case broken
  }

  private func admit() -> Admission {
    state.withLock { state in
      guard let configuration = refresh(&state) else { return .broken }
      guard state.limiter?.allows() ?? true else { return .tooMany }
      return .admitted(configuration)
    }
  }

  // MARK: Connections

  /// What a new connection's TLS needs; nil when none can be taken, which is logged.
  func tlsSettings() -> TLSSettings? {
    state.withLock { state in
      guard refresh(&state) != nil else { return nil }
      do {
        guard state.tls != nil else { throw TLSFault("TLS config is not present") }
        _ = state.tls?.refresh()
        let settings = try state.tls?.get()
        state.reported[.certificates] = nil
        return settings
      } catch {
        report(error, of: .certificates, &state)
        return nil
      }
    }
  }

  // MARK: File

  /// The configuration as the file has it now; nil when it cannot be worked with, which is logged.
  private func refresh(_ state: inout State) -> WebConfiguration? {
    let isNew = state.configuration.refresh()
    do {
      let configuration = try state.configuration.get()
      if isNew { state.apply(configuration) }
      state.reported[.file] = nil
      return configuration
    } catch {
      report(error, of: .file, &state)
      return nil
    }
  }

  /// Logs a fault once, not at every request that it stops.
  private func report(_ error: any Error, of part: Part, _ state: inout State) {
    let reason = "\(error)"
    guard state.reported[part] != reason else { return }
    state.reported[part] = reason
    logger.error("Unable to parse configuration", metadata: ["err": "\(reason)"])
  }
}

extension WebResponse {
  fileprivate static let unauthorized: WebResponse = {
    var response = WebResponse.text(401, "Unauthorized")
    response.headers.append(("Www-Authenticate", "Basic"))
    return response
  }()

  /// With further headers; those that the answer has itself stay.
  fileprivate func adding(_ headers: [(name: String, value: String)]) -> WebResponse {
    var response = self
    let own = Set(self.headers.map { $0.name.lowercased() })
    response.headers += headers.filter { !own.contains($0.name.lowercased()) }
    return response
  }
}
