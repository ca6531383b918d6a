import AWS
import Exposition
import HTTPClient
import NIOCore
import RemoteWrite

/// Looks for what stands between this host and a workspace: step by step from the credentials to a sample that is
/// written and read back.
public struct WorkspaceCheck {
  public enum Step: String, Sendable, CaseIterable {
    case credentials, account, dns, tcp, tls, clock, write, read

    /// Without these it cannot be done.
    var needs: [Step] {
      switch self {
      case .credentials, .dns: []
      case .account: [.credentials]
      case .tcp: [.dns]
      case .tls: [.tcp]
      case .clock: [.tls]
      case .write: [.credentials, .tls]
      case .read: [.write]
      }
    }
  }

  public enum State: String, Sendable {
    case ok, failed, skipped
  }

  /// How a step went.
  public struct Outcome: Sendable {
    public let step: Step
    public let state: State
    /// What was seen: one line.
    public let seen: String
    /// What the user can do about a failure; nil: nothing is known.
    public var remedy: String?
  }

  private struct Failure: Error {
    let seen: String
    let remedy: String?
  }

  /// How far the clock may be off, in seconds. Signatures bear 300, and pilotfish makes up for more; but samples bear
  /// the machine's time.
  private static let clockTolerance: Int64 = 60
  /// How long to wait for the sample to be found, each time.
  private static let pauses: [Duration] = [
    .milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2), .seconds(4),
  ]
  private static let metric = "pilotfish_check"

  private let workspace: Workspace
  private let group: any EventLoopGroup
  private let host: String
  // What a step leaves for later ones.
  private var passed: Set<Step> = []
  private var account: String?
  private var addresses: [SocketAddress] = []
  private var greeting: (response: HTTPResponse, at: Timestamp)?
  private var written: Int64 = 0

  /// - Parameter host: the label of the sample that is written, `pilotfish_check{host="…"}`.
  public init(_ workspace: Workspace, host: String, group: any EventLoopGroup) {
    self.workspace = workspace
    self.host = host
    self.group = group
  }

  /// Does all steps and shows how each went; says whether all passed.
  public mutating func run(_ show: (Outcome) -> Void) async -> Bool {
    for step in Step.allCases {
      if let lacking = step.needs.first(where: { !passed.contains($0) }) {
        show(Outcome(step: step, state: .skipped, seen: "needs \(lacking.rawValue)"))
        continue
      }
      do {
        let seen = try await perform(step)
        passed.insert(step)
        show(Outcome(step: step, state: .ok, seen: seen))
      } catch let failure as Failure {
        show(Outcome(step: step, state: .failed, seen: failure.seen, remedy: failure.remedy))
      } catch {
        let seen = (error as? WorkspaceFault)?.reason ?? "\(error)"
        show(Outcome(step: step, state: .failed, seen: seen.oneLine, remedy: remedy(of: error)))
      }
    }
    return passed.count == Step.allCases.count
  }

  private mutating func perform(_ step: Step) async throws -> String {
    switch step {
    case .credentials: try await credentials()
    case .account: try await identity()
    case .dns: try await names()
    case .tcp: try await connection()
    case .tls: try await handshake()
    case .clock: try clock()
    case .write: try await write()
    case .read: try await read()
    }
  }

  private func remedy(of error: any Error) -> String? {
    switch error {
    case let fault as WorkspaceFault: fault.remedy
    case let error as HTTPClientError: Remedy.of(error, region: workspace.region)
    default: nil
    }
  }

  // MARK: Who asks

  private func credentials() async throws -> String {
    let found: Credentials
    do throws(CredentialError) {
      found = try await workspace.signer.provider.credentials()
    } catch {
      throw Failure(seen: "\(error)", remedy: Remedy.of(error))
    }
    let expiry = found.expiration.map { "until \($0.extended)" } ?? "without an end"
    let others = found.passedOver.map { "\($0.source): \($0.reason)" }.joined(separator: "; ")
    return "\(found.source), access key \(found.accessKeyID), \(expiry)" + (others.isEmpty ? "" : " (not \(others))")
  }

  private mutating func identity() async throws -> String {
    do {
      let sts = ServiceClient("sts", workspace.credentials, endpoint: "", access: nil, workspace.aws)
      let answer = try await sts.query("GetCallerIdentity", version: "2011-06-15", [])["GetCallerIdentityResult"]
      guard let account = answer?.text("Account"), let arn = answer?.text("Arn") else {
        throw Failure(seen: "the answer of STS names no account", remedy: nil)
      }
      self.account = account.oneLine
      return "\(account), \(arn)".oneLine
    } catch let failure as Failure {
      throw failure
    } catch {
      throw Failure(
        seen: "\(error)".oneLine,
        remedy: "writing goes without STS, but says less: where STS is not reached, make a VPC endpoint (com.amazonaws."
          + "\(workspace.region ?? "REGION").sts); where it refuses the token or key, get new credentials")
    }
  }

  // MARK: The way there

  private func probe() throws -> ConnectionProbe {
    do throws(HTTPAccessError) {
      return try ConnectionProbe(workspace.url, workspace.access)
    } catch {
      throw Failure(seen: "\(error)", remedy: "correct HTTPS_PROXY or proxy_url")
    }
  }

  private mutating func names() async throws -> String {
    let probe = try probe()
    addresses = try await probe.addresses(within: workspace.timeout)
    let who = probe.isProxy ? "the proxy \(probe.host)" : probe.host
    guard probe.isName else { return "\(who) is an address" }
    return "\(who) is \(addresses.compactMap(\.ipAddress).joined(separator: ", "))"
  }

  /// As a client does it: the first address that answers counts.
  private func connection() async throws -> String {
    let probe = try probe()
    var faults: [String] = []
    for address in addresses {
      let name = "\(address.ipAddress ?? probe.host) port \(address.port ?? probe.port)"
      do throws(HTTPClientError) {
        try await probe.connect(to: address, on: group, within: workspace.timeout)
        return "connected to \(name)" + (faults.isEmpty ? "" : "; not to \(faults.joined(separator: ", "))")
      } catch {
        faults.append(error.reason.hasPrefix("dial ") ? error.reason : "\(name): \(error.reason)")
        if faults.count == addresses.count {
          throw Failure(seen: faults.joined(separator: ", "), remedy: Remedy.of(error, region: workspace.region))
        }
      }
    }
    throw Failure(seen: "\(probe.host) has no address", remedy: nil)
  }

  /// A request that is not signed: what is answered does not matter, but that it is.
  private mutating func handshake() async throws -> String {
    let request = HTTPRequest(
      url: workspace.url, headers: [("User-Agent", workspace.userAgent)], access: workspace.access)
    let start = Timestamp.now.seconds
    let response = try await workspace.exchange(request)
    let middle = Timestamp(seconds: start + (Timestamp.now.seconds - start) / 2)
    greeting = (response, middle)
    return workspace.url.isSecure
      ? "the certificate is good for \(workspace.url.host)" : "none: the URL is http, and answers"
  }

  private func clock() throws -> String {
    guard let greeting, let date = greeting.response.header("Date"), let time = Timestamp(httpDate: date) else {
      throw Failure(seen: "the answer bears no Date", remedy: "something between here and AMP answers in its place")
    }
    let offset = greeting.at.seconds - time.seconds
    let seen = abs(offset) <= 1 ? "as AWS' clock" : "\(abs(offset)) s \(offset > 0 ? "ahead of" : "behind") AWS' clock"
    guard abs(offset) <= Self.clockTolerance else {
      throw Failure(
        seen: seen,
        remedy:
          "set the clock (timedatectl, chronyc): requests are signed with AWS' time, but samples bear the machine's")
    }
    return seen
  }

  // MARK: There and back

  private mutating func write() async throws -> String {
    let now = WallClock.milliseconds
    let labels = LabelSet([(name: "__name__", value: Self.metric), (name: "host", value: host)])
    let requests = try WriteRequests([.init(labels: labels, timestamp: now, value: Double(now))])
    for body in requests.bodies {
      do throws(WorkspaceFault) {
        _ = try await workspace.send(workspace.push(body))
      } catch {
        throw explained(error)
      }
    }
    written = now
    return "\(selector) \(now), action aps:RemoteWrite"
  }

  private var selector: String {
    seriesText([("__name__", Self.metric), ("host", host)])
  }

  private func read() async throws -> String {
    let request = try workspace.query("query", [("query", selector)])
    for pause in Self.pauses + [.zero] {
      let response: HTTPResponse
      do throws(WorkspaceFault) {
        response = try await workspace.send(request)
      } catch {
        throw explained(error)
      }
      let rows = try QueryAnswer(Array(response.body.readableBytesView)).values().rows.dropFirst()
      if rows.contains(where: { $0.count > 1 && Double($0[1]) == Double(written) }) {
        return "the sample is there, action aps:QueryMetrics"
      }
      try? await Task.sleep(for: pause)
    }
    throw Failure(
      seen: "the sample was taken, and is not found",
      remedy: "ask again in a minute: pilotfish amp query '\(selector)'; another clock than AWS' is a cause, too")
  }

  /// With the caller's account, where the answer may be about that.
  private func explained(_ fault: WorkspaceFault) -> Failure {
    let hint = fault.status == 404 ? account.map { " (the credentials are of account \($0))" } ?? "" : ""
    return Failure(seen: fault.reason, remedy: fault.remedy.map { $0 + hint })
  }
}
