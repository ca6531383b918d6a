import AWS
import Configuration
import Glibc
import HTTPClient
import Logging
import NIOPosix
import Workspaces
import YAML

/// What every command has that asks a workspace: where that is, as whom it is asked, and how answers are shown.
struct AmpSession {
  let workspace: Workspace
  let given: CommandArguments
  let group = MultiThreadedEventLoopGroup.singleton

  /// The flags that say which workspace, for usages.
  static let sourceUsage = """
    Which workspace, and as whom; either of the configuration's remote_write, or by flags:

      --config.file=FILE     The agent's prometheus.yml: its first remote_write with sigv4, with its TLS and proxy.
                             Without it and --workspace, what $PILOTFISH_CONFIG_CONTENT holds.
      --remote=NAME          The remote_write of that name instead.
      --workspace=WORKSPACE  Its id (ws-…), its base URL, or its remote-write URL.
      --region=REGION        By default the URL's, else AWS_REGION, the profile's or the instance's.
      --profile=PROFILE      Of ~/.aws/config; by default the AWS SDKs' chain of credentials.
      --role-arn=ARN         A role that is assumed with the credentials found.
      --timeout=DURATION     Of each request; by default 1m, of check amp 10s.

    """
  /// Those of the commands that ask once.
  static let outputUsage = """
      --output=table|json    A table, or the answer as it came.
      --curl                 Show the signed request as a command for a shell, and do not send it.
      --show-token           With --curl: with the session token, which is a secret.

    """
  private static let sourceFlags = [
    "--config.file", "--remote", "--workspace", "--region", "--profile", "--role-arn", "--timeout",
  ]

  /// Reads the arguments, runs the command, says why it failed, and gives the status to exit with.
  static func run(
    _ arguments: [String], usage: String, switches: [String] = [], values: [String] = [],
    _ body: (AmpSession) async throws -> Int32
  ) async -> Int32 {
    // Signals are blocked for the sake of the agent.
    let signals = Task { () -> Void in
      await TerminationSignals.wait {}
      if !Task.isCancelled { exit(ExitStatus.failure) }
    }
    defer { signals.cancel() }
    guard let given = CommandArguments(arguments, switches: switches, values: values + sourceFlags) else {
      return ExitStatus.usage
    }
    do {
      return try await body(AmpSession(given))
    } catch let fault as UsageFault {
      Console.complain("pilotfish: error: \(fault), try --help")
      return ExitStatus.usage
    } catch {
      Console.complain("pilotfish: error: \(error)")
      return ExitStatus.failure
    }
  }

  private init(_ given: CommandArguments) throws {
    self.given = given
    let client = HTTPClient(eventLoopGroup: group)
    let silent = Logger(label: "amp") { _ in SwiftLogNoOpLogHandler() }
    let aws = AWSAccounts(AWSEnvironment(client: client, log: silent))
    let remote = try Self.remote(given)
    let signing: Signing
    do {
      signing = try Signing(remote.sigV4, url: remote.url, aws)
    } catch {
      throw CheckFault("\(error)" + (given.has("--workspace") ? ": or give --region" : ""))
    }
    var workspace = try Workspace(
      HTTPURL(signing.url), signer: signing.signer, credentials: signing.credentials,
      access: client.access(remote.options), client: client, aws: aws)
    workspace.userAgent = "pilotfish/\(Version.number)"
    workspace.headers = remote.headers
    if let text = given.value("--timeout") {
      guard let timeout = Duration(prometheus: text), timeout > .zero else {
        throw UsageFault("--timeout: expected a duration, as 30s, above 0")
      }
      workspace.timeout = timeout
    }
    self.workspace = workspace
  }

  // MARK: Where

  private struct Remote {
    var url: String
    var sigV4: SigV4Configuration
    var options = HTTPClientOptions()
    var headers: [(name: String, value: String)] = []
  }

  private static func remote(_ given: CommandArguments) throws -> Remote {
    let file = given.value("--config.file").map(ConfigurationText.file)
    if let text = file ?? (given.has("--workspace") ? nil : .ofEnvironment) {
      for flag in ["--workspace", "--region", "--profile", "--role-arn"] where given.has(flag) {
        throw UsageFault("\(flag) does not go with \(file == nil ? text.name : "--config.file"), which says it")
      }
      return try remote(of: text, named: given.value("--remote"))
    }
    guard !given.has("--remote") else { throw UsageFault("--remote needs --config.file") }
    guard let url = given.value("--workspace") else { throw UsageFault("expected --config.file or --workspace") }
    var sigV4 = SigV4Configuration()
    sigV4.credentials.region = given.value("--region") ?? ""
    sigV4.credentials.profile = given.value("--profile") ?? ""
    sigV4.credentials.roleARN = given.value("--role-arn") ?? ""
    var remote = Remote(url: url, sigV4: sigV4)
    remote.options.proxy.isFromEnvironment = true
    return remote
  }

  private static func remote(of text: ConfigurationText, named name: String?) throws -> Remote {
    var options = Configuration.Options()
    options.ignoresServerBlocks = true
    options.readsJobFiles = false
    let all = try text.load(options).remoteWrites
    let found =
      if let name {
        all.enumerated().first { AgentConfiguration.name($0.element, at: $0.offset) == name }?.element
      } else {
        all.first { $0.sigV4 != nil }
      }
    guard let found, let sigV4 = found.sigV4 else {
      throw CheckFault("\(text.name) has no remote_write\(name.map { " \"\($0)\"" } ?? "") with sigv4")
    }
    return Remote(
      url: found.url, sigV4: sigV4, options: found.httpClient, headers: found.headers.map { ($0.name, $0.value) })
  }

  // MARK: Asking

  /// Asks the API and shows the answer as the flags say.
  ///
  /// - Parameter table: made of the answer.
  func show(
    _ path: String, _ parameters: [(name: String, value: String)], _ table: (QueryAnswer) throws -> TextTable
  ) async throws -> Int32 {
    let format = given.value("--output") ?? "table"
    guard ["table", "json"].contains(format) else { throw UsageFault("--output: expected table or json") }
    let request = try workspace.query(path, parameters)
    guard !given.has("--curl") else { return try await showCurl(request) }
    let body = Array(try await workspace.send(request).body.readableBytesView)
    let answer = try QueryAnswer(body)
    for remark in answer.remarks { Console.complain("pilotfish: \(remark)") }
    let text = format == "json" ? String(decoding: body, as: UTF8.self) : try table(answer).text
    print(text, terminator: text.utf8.last == UInt8(ascii: "\n") || text.isEmpty ? "" : "\n")
    return ExitStatus.success
  }

  func showCurl(_ request: HTTPRequest) async throws -> Int32 {
    print(CurlCommand(try await workspace.signed(request), showsToken: given.has("--show-token")))
    return ExitStatus.success
  }
}

/// What of a command line cannot be understood.
struct UsageFault: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
