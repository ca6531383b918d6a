import Billing
import Bytes
import Glibc
import HTTPClient
import NIOPosix
import Secrets
import Web
import YAML

/// `pilotfish amp cost`: what a running agent's samples cost, asked of that agent.
enum AmpCostCommand {
  static let usage = """
    usage: pilotfish amp cost [<flags>]

    Asks a running agent what it sends, and shows series, samples a day and what they cost a month at Amazon Managed
    Service for Prometheus: by job, target and metric name, and what each rule of write_relabel_configs saves.
    Ends with 0, with 1 when it fails, with 2 when the command line is not understood.

      --agent=URL            Where the agent listens; by default http://127.0.0.1:9100.
      --user=NAME            With the password in the variable PILOTFISH_PASSWORD, for an agent that asks for one.
      --ca-file=FILE         Certificates that an agent with TLS is trusted by.
      --remote=NAME          The remote_write whose figures are shown; by default the first workspace of AMP.
      --top=10               Rows of each table.
      --prices=FILE          Prices in YAML, instead of those of AMP in us-east-1.
      --account-samples=N    Samples a month that the account has beside these: they fill the free and dear tiers.
      --output=table|json
      --timeout=1m           Of the question.

    """
  private static let values = [
    "--agent", "--user", "--ca-file", "--remote", "--top", "--prices", "--account-samples", "--output", "--timeout",
  ]
  private static let sizeLimit = 64 << 20

  static func run(_ arguments: [String]) async -> Int32 {
    // Signals are blocked for the sake of the agent.
    let signals = Task { () -> Void in
      await TerminationSignals.wait {}
      if !Task.isCancelled { exit(ExitStatus.failure) }
    }
    defer { signals.cancel() }
    guard let given = CommandArguments(arguments, values: values) else { return ExitStatus.usage }
    let question: Question
    do throws(CheckFault) {
      question = try Question(given)
    } catch {
      Console.complain("pilotfish: error: \(error), try --help")
      return ExitStatus.usage
    }
    do {
      let prices = try given.value("--prices").map { try AMPPrices(file: $0) } ?? .standard
      var document = try await ask(question)
      document.prices = prices
      document.accountSamples = question.accountSamples
      print(
        question.isJSON ? document.json(top: question.top).text : text(document, top: question.top))
      return ExitStatus.success
    } catch {
      Console.complain("pilotfish: error: \(error)")
      return ExitStatus.failure
    }
  }

  /// What the arguments ask for.
  private struct Question {
    let url: HTTPURL
    var top = CostPages.defaultTop
    var accountSamples = 0.0
    var isJSON = false
    var timeout = Duration.seconds(60)
    var options = HTTPClientOptions()

    init(_ given: CommandArguments) throws(CheckFault) {
      if let extra = given.plain.first { throw CheckFault("unexpected '\(extra)'") }
      if let text = given.value("--top") {
        guard let number = Int(text), 0...CostPages.mostTop ~= number else {
          throw CheckFault("--top: expected a number from 0 to \(CostPages.mostTop), got '\(text)'")
        }
        top = number
      }
      if let text = given.value("--account-samples") {
        guard let number = Double(text), number >= 0, number.isFinite else {
          throw CheckFault("--account-samples: expected a number that is not negative, got '\(text)'")
        }
        accountSamples = number
      }
      if let text = given.value("--output") {
        guard ["table", "json"].contains(text) else {
          throw CheckFault("--output: expected table or json, got '\(text)'")
        }
        isJSON = text == "json"
      }
      if let text = given.value("--timeout") {
        guard let length = Duration(prometheus: text), length > .zero else {
          throw CheckFault("--timeout: expected a duration such as 30s, got '\(text)'")
        }
        timeout = length
      }
      var base = given.value("--agent") ?? "http://127.0.0.1:9100"
      while base.hasSuffix("/") { base.removeLast() }
      if !base.contains("://") { base = "http://" + base }
      let remote = given.value("--remote").map { "&remote=" + $0.utf8.percentEncoded() } ?? ""
      do throws(HTTPURLError) {
        url = try HTTPURL("\(base)/api/v1/pilotfish/cost?top=\(top)\(remote)")
      } catch {
        throw CheckFault("--agent: \(error)")
      }
      if let file = given.value("--ca-file") { options.tls.ca = .file(file) }
      if let user = given.value("--user") {
        guard let password = getenv("PILOTFISH_PASSWORD") else {
          throw CheckFault("--user: its password is not in the variable PILOTFISH_PASSWORD")
        }
        options.credentials = .basic(
          user: .text(Secret(user)), password: .text(Secret(String(cString: password))))
      }
    }
  }

  private static func ask(_ question: Question) async throws -> CostDocument {
    let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
    let request = HTTPRequest(url: question.url, access: client.access(question.options))
    let response: HTTPResponse
    do throws(HTTPClientError) {
      response = try await client.send(
        request, limits: HTTPLimits(timeout: question.timeout, bodyBytes: sizeLimit))
    } catch {
      throw CheckFault("no agent answers: \(error); --agent says where it listens")
    }
    let body = Array(response.body.readableBytesView)
    let answer = try? JSONValue(parsing: body.span.bytes)
    guard response.status == 200, let data = answer?["data"] else {
      var reason = "status \(response.status)"
      if case .string(let text)? = answer?["error"] { reason = text }
      throw CheckFault("the agent at \(question.url) gives no report: \(reason)")
    }
    return try CostDocument(data)
  }

  private static func text(_ document: CostDocument, top: Int) -> String {
    (document.tables(top: top).map(\.text) + document.notes.map { $0 + "\n" }).joined(separator: "\n")
  }
}
