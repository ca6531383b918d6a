import Exposition
import HTTPClient
import Logging
import NIOCore
import NIOPosix
import RemoteWrite
import Secrets
import Testing

@testable import AWS
@testable import Workspaces

/// Requests, what is pushed, and what answers mean.
@Suite struct WorkspaceTests {
  private static let base = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/"

  private func workspace(_ url: String) throws -> Workspace {
    let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let aws = AWSAccounts(AWSEnvironment(client: client, log: log) { ["AWS_EC2_METADATA_DISABLED": "true"][$0] })
    var options = CredentialOptions()
    (options.accessKey, options.secretKey) = ("AKID", Secret("s"))
    return try Workspace(
      HTTPURL(url), signer: aws.signer(options, service: "aps", region: "eu-west-1"), credentials: options, access: nil,
      client: client, aws: aws)
  }

  @Test(
    arguments: [
      ("query", [("query", "up{a=\"b c\"} + 1%")], "query?query=up%7Ba%3D%22b%20c%22%7D%20%2B%201%25"),
      ("labels", [], "labels"),
      ("series", [("match[]", "a"), ("match[]", "é")], "series?match%5B%5D=a&match%5B%5D=%C3%A9"),
    ] as [(String, [(String, String)], String)])
  func questions(path: String, parameters: [(String, String)], target: String) throws {
    let request = try workspace(Self.base + "remote_write").query(path, parameters.map { (name: $0.0, value: $0.1) })
    #expect("\(request.url)" == Self.base + target)
    #expect(request.method == "GET")
  }

  @Test func aReceiverThatIsNoWorkspace() throws {
    let request = try workspace("http://h/api/v1/write").query("labels")
    #expect("\(request.url)" == "http://h/api/v1/labels")
    #expect(throws: WorkspaceFault.self) { try workspace("http://h/api/v1/push") }
    #expect(throws: WorkspaceFault.self) { try workspace("http://h/workspaces/ws-1") }
  }

  // MARK: Curl

  private func signed(_ request: HTTPRequest, token: String?) -> HTTPRequest {
    var request = request
    let credentials = Credentials(
      accessKeyID: "AKIDEXAMPLE", secretAccessKey: Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
      sessionToken: token.map(Secret.init), source: "test")
    request.sign(
      credentials, SigningScope(region: "eu-west-1", service: "aps"), at: Timestamp(seconds: 1_768_435_200),
      SigningKeys())
    return request
  }

  /// Signatures by an implementation of their own, in Python.
  @Test(arguments: [true, false]) func curlOfAQuestion(showsToken: Bool) throws {
    let request = try workspace(Self.base + "remote_write").query("query", [("query", "up{job=\"a b\"}")])
    let note = "# the session token is left out: put it into AWS_SESSION_TOKEN, or use --show-token\n"
    let token = showsToken ? #"'X-Amz-Security-Token: to'\''ken'"# : #""X-Amz-Security-Token: $AWS_SESSION_TOKEN""#
    #expect(
      CurlCommand(signed(request, token: "to'ken"), showsToken: showsToken).description == """
        # signed at 2026-01-15T00:00:00Z, good until 2026-01-15T00:05:00Z
        \(showsToken ? "" : note)curl --globoff \\
          -H 'X-Amz-Date: 20260115T000000Z' \\
          -H \(token) \\
          -H 'Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260115/eu-west-1/aps/aws4_request, \
        SignedHeaders=host;x-amz-date;x-amz-security-token, \
        Signature=aea49d61477e7525ca4a0895e63561e13b6eb4636ee50610a7b4a38ed3747e9e' \\
          '\(Self.base)query?query=up%7Bjob%3D%22a%20b%22%7D'
        """)
  }

  @Test func curlOfAPush() throws {
    let request = signed(try workspace(Self.base + "remote_write").push(Array("abc".utf8)), token: nil)
    let lines = CurlCommand(request, showsToken: false).description.split(separator: "\n")
    #expect(lines[2] == "echo YWJj | base64 -d | curl --globoff -X POST --data-binary @- \\")
    #expect(lines[7].contains("Signature=3535d9c9f4809978d75342ac13bcbda2f82301d8a2368c9950af84dd28c4dbe2"))
    #expect(lines[8] == "  '\(Self.base)remote_write'")
    #expect(!lines.joined().contains("wJalr"))
  }

  // MARK: Pushing

  @Test func samplesOfAText() throws {
    let text = "# HELP a b\n# TYPE a counter\na{x=\"1\"} 1.5\n{\"b.c\",y=\"2\"} NaN 5\n"
    let samples = try PushText.samples(Array(text.utf8), time: 7)
    #expect(samples.map(\.timestamp) == [7, 5])
    #expect(samples[0].value == 1.5)
    #expect(samples[1].value.isNaN)
    #expect(samples.map { "\($0.labels)" } == [#"{__name__="a", x="1"}"#, #"{__name__="b.c", y="2"}"#])
  }

  @Test(arguments: [("a", "1.5"), ("a{b=\"c d\"}", "+Inf"), ("{\"é\"}", "-1e3")]) func oneSample(
    series: String, value: String
  )
    throws
  {
    #expect(try PushText.sample(series, value, time: 7).timestamp == 7)
  }

  @Test(arguments: [
    ("", "1"), ("a", ""), ("a", "x"), ("a", "1 2"), ("a", "1\nb 2"), ("a{", "1"), ("a 1\nb", "2"), ("# a", "1"),
    ("1a", "1"),
    ("a{b=\"c\"", "1"),
  ])
  func noSample(series: String, value: String) {
    #expect(throws: ExpositionError.self) { try PushText.sample(series, value, time: 7) }
  }

  // MARK: Answers

  @Test(arguments: [
    (403, #"{"message":"Missing Authentication Token"}"#, "Missing Authentication Token", "no such path"),
    (403, #"{"message":"Credential should be scoped to a valid region. "}"#, "valid region.", "region"),
    (403, #"{"message":"The request signature we calculated does not match\n\nThe Canonical"}"#, "match", "secret key"),
    (403, #"{"message":"The security token included in the request is expired"}"#, "expired", "new ones"),
    (403, #"{"message":"Signature expired: x is now earlier"}"#, "earlier", "clock"),
    (
      403, #"{"Message":"User: arn:x is not authorized to perform: aps:RemoteWrite"}"#, "RemoteWrite", "aps:RemoteWrite"
    ),
    (403, "<html>forbidden</html>", "status 403", "AmazonPrometheusRemoteWriteAccess"),
    (404, #"{"Message":"Workspace not found"}"#, "Workspace not found", "another account"),
    (400, "per-user series limit of 10 exceeded\n", "series limit of 10 exceeded", "quota"),
    (422, #"{"status":"error","errorType":"execution","error":"query timed out"}"#, "query timed out", "shorter range"),
    (429, "", "status 429", "throttles"), (503, "\u{1b}[2J", "[2J", "try again"), (400, "bad", "bad", ""),
  ])
  func faults(status: Int, body: String, seen: String, remedy: String) {
    let response = HTTPResponse(status: status, headers: [], body: ByteBuffer(string: body))
    let fault = WorkspaceFault(response, remedy: Remedy.of(response, isWrite: true))
    #expect(fault.description.hasPrefix("status \(status)"))
    #expect(fault.description.contains(seen))
    #expect(!fault.description.unicodeScalars.contains { $0.isControl })
    #expect(remedy.isEmpty ? fault.remedy == nil : fault.remedy?.contains(remedy) == true, "\(fault)")
  }

  @Test func aLongAnswerIsALine() {
    let response = HTTPResponse(
      status: 400, headers: [("x-amzn-RequestId", "id")],
      body: ByteBuffer(string: String(repeating: "x\n", count: 9999)))
    let fault = WorkspaceFault(response, remedy: nil)
    #expect(fault.reason.utf8.count < 600)
    #expect(fault.reason.hasSuffix("(request id)"))
  }
}
