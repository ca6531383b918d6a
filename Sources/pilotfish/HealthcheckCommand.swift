import Flags
import HTTPClient
import NIOPosix

/// `pilotfish healthcheck`: whether a pilotfish answers, for the health checks of ECS and Docker, whose containers need
/// no curl then.
enum HealthcheckCommand {
  private static let usage = """
    usage: pilotfish healthcheck [<flags>]

    Asks a running pilotfish for /-/healthy, says what it answers, and ends with 0 when it is well and with 1 when not.
    One that asks for a password is well. Certificates are not verified: nothing secret is sent.

      --url=http://127.0.0.1:9100/-/healthy  What to ask; https:// where --web.config.file has TLS.
      --timeout=3s                           How long to wait for the answer.

    """

  /// - Returns: the status to exit with.
  static func run(_ arguments: [String]) async -> Int32 {
    if ["--help", "-h"].contains(arguments.first) {
      print(usage, terminator: "")
      return ExitStatus.success
    }
    guard let given = CommandArguments(arguments, values: ["--url", "--timeout"]) else { return ExitStatus.failure }
    let text = given.value("--url") ?? "http://127.0.0.1:9100/-/healthy"
    guard given.plain.isEmpty, let timeout = try? Duration.parse(given.value("--timeout") ?? "3s"), timeout > .zero
    else {
      Console.complain(usage)
      return ExitStatus.failure
    }
    do {
      let status = try await ask(try HTTPURL(text), within: timeout)
      guard status == 200 || status == 401 else {
        Console.complain("unhealthy: \(HTTPURL.masked(text)): status \(status)")
        return ExitStatus.failure
      }
      print("healthy: \(HTTPURL.masked(text)): status \(status)")
      return ExitStatus.success
    } catch {
      Console.complain("unhealthy: \(error)")
      return ExitStatus.failure
    }
  }

  private static func ask(_ url: HTTPURL, within timeout: Duration) async throws -> Int {
    var options = HTTPClientOptions()
    options.tls.skipsVerification = true
    let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup(numberOfThreads: 1))
    let request = HTTPRequest(url: url, access: client.access(options))
    return try await client.send(
      request, limits: HTTPLimits(timeout: timeout, bodyBytes: 64 << 10, redirects: 0)
    ).status
  }
}
