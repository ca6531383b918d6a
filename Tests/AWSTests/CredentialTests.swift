import HTTPClient
import Logging
import NIOPosix
import Secrets
import Synchronization
import TestSupport
import Testing

@testable import AWS

/// The chain, beside servers of the test's own.
@Suite struct CredentialTests {
  private static let expiration = "2099-01-01T00:00:00Z"
  private static let document =
    #"{"Code": "Success", "AccessKeyId": "ASIA", "SecretAccessKey": "s", "Token": "t", "Expiration": "\#(expiration)"}"#

  private static func role(_ action: String, key: String = "ASIAROLE") -> String {
    """
    <\(action)Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><\(action)Result><Credentials>
    <AccessKeyId>\(key)</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
    <Expiration>\(expiration)</Expiration></Credentials></\(action)Result></\(action)Response>
    """
  }

  private func chain(
    _ variables: [String: String], _ options: CredentialOptions = CredentialOptions()
  ) -> CredentialChain {
    let group = MultiThreadedEventLoopGroup.singleton
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let environment = AWSEnvironment(client: HTTPClient(eventLoopGroup: group), log: log) { variables[$0] }
    return CredentialChain(options: options, environment: environment)
  }

  private func error(_ chain: CredentialChain) async -> String {
    do throws(CredentialError) {
      return "\(try await chain.retrieve())"
    } catch {
      return error.description
    }
  }

  // MARK: Without a server

  @Test func configurationGoesFirst() async throws {
    var options = CredentialOptions()
    (options.accessKey, options.secretKey) = ("AKID", Secret("s"))
    let found = try await chain(["AWS_ACCESS_KEY_ID": "other", "AWS_SECRET_ACCESS_KEY": "s"], options).retrieve()
    #expect(found.accessKeyID == "AKID")
  }

  @Test func environment() async throws {
    let found = try await chain(["AWS_ACCESS_KEY": "AKID", "AWS_SECRET_KEY": "s", "AWS_SESSION_TOKEN": "t"]).retrieve()
    #expect(found.accessKeyID == "AKID")
    #expect(found.sessionToken == Secret("t"))
    #expect(found.expiration == nil)
  }

  @Test func everySourceIsNamed() async throws {
    let text = await error(
      chain(["AWS_ACCESS_KEY_ID": "AKID", "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"]))
    for part in [
      "environment: AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not", "web identity:",
      "profile default: not in /nonexistent/.aws/config or /nonexistent/.aws/credentials", "container:",
      "instance metadata: AWS_EC2_METADATA_DISABLED is true",
    ] { #expect(text.contains(part), "\(text)") }
  }

  @Test func profiles() async throws {
    let folder = TemporaryDirectory()
    defer { withExtendedLifetime(folder) {} }
    folder.overwrite(
      "config",
      """
      # comment
      [default]
      region = eu-west-1
      aws_access_key_id = OVERRIDDEN
      s3 =
        nested = 1
      [profile process]
      credential_process = printf '{"Version": 1, "AccessKeyId": "PROC", "SecretAccessKey": "s"}'
      [profile failing]
      credential_process = exit 3
      [profile silent]
      credential_process = true
      [profile loop]
      role_arn = arn:aws:iam::1:role/r
      source_profile = pool
      [profile pool]
      source_profile = loop
      [profile odd]
      credential_source = Nowhere
      [sso-session x]
      sso_region = us-east-1
      """)
    folder.overwrite(
      "credentials",
      "[default]\naws_access_key_id = AKID ; comment\naws_secret_access_key=s#x\n[other]\nAWS_ACCESS_KEY_ID=OTHER\n"
        + "aws_secret_access_key = s\n")
    let variables = [
      "AWS_CONFIG_FILE": folder.path + "/config", "AWS_SHARED_CREDENTIALS_FILE": folder.path + "/credentials",
      "AWS_EC2_METADATA_DISABLED": "true",
    ]
    let found = try await chain(variables).retrieve()
    #expect(found.accessKeyID == "AKID")
    #expect(found.secretAccessKey == Secret("s#x"))
    #expect(await chain(variables).region() == "eu-west-1")

    func profile(_ name: String) -> CredentialChain {
      var options = CredentialOptions()
      options.profile = name
      return chain(variables, options)
    }
    #expect(try await profile("other").retrieve().accessKeyID == "OTHER")
    #expect(try await profile("process").retrieve().accessKeyID == "PROC")
    #expect(await error(profile("failing")).contains("the command failed"))
    #expect(await error(profile("silent")).contains("not JSON"))
    #expect(await error(profile("loop")).contains("leads back"))
    #expect(await error(profile("odd")).contains("credential_source is none of"))
    #expect(await error(profile("none")).contains("profile none: not in"))
    #expect(await error(chain(variables.merging(["AWS_PROFILE": "x"]) { $1 })).contains("profile x: not in"))
  }

  // MARK: STS

  @Test func webIdentityReadsItsFileAnew() async throws {
    let folder = TemporaryDirectory()
    defer { withExtendedLifetime(folder) {} }
    folder.overwrite("token", "one\n")
    let sts = try await FakeServices { _ in (200, Self.role("AssumeRoleWithWebIdentity")) }
    let chain = chain([
      "AWS_WEB_IDENTITY_TOKEN_FILE": folder.path + "/token", "AWS_ROLE_ARN": "arn:aws:iam::1:role/r",
      "AWS_ENDPOINT_URL_STS": sts.url, "AWS_REGION": "us-east-1",
    ])
    #expect(try await chain.retrieve().accessKeyID == "ASIAROLE")
    folder.overwrite("token", "two\n")
    let found = try await chain.retrieve()
    #expect(found.expiration?.extended == Self.expiration)
    #expect(sts.requests.map { $0.body.hasSuffix("WebIdentityToken=one") } == [true, false])
    #expect(sts.requests[1].body.hasSuffix("WebIdentityToken=two"))
    #expect(sts.requests[0].headers["Authorization"].isEmpty)
    await sts.close()
  }

  @Test func rolesAreChained() async throws {
    let folder = TemporaryDirectory()
    defer { withExtendedLifetime(folder) {} }
    folder.overwrite(
      "config",
      """
      [profile a]
      role_arn = arn:aws:iam::1:role/a
      source_profile = b
      external_id = x/y
      role_session_name = me
      duration_seconds = 900
      [profile b]
      role_arn = arn:aws:iam::1:role/b
      credential_source = Environment
      """)
    let sts = try await FakeServices { (200, Self.role("AssumeRole", key: $0.body.contains("%2Fb") ? "B" : "A")) }
    var options = CredentialOptions()
    options.profile = "a"
    options.region = "eu-west-1"
    let found = try await chain(
      [
        "AWS_CONFIG_FILE": folder.path + "/config", "AWS_ENDPOINT_URL": sts.url, "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "s",
      ], options
    ).retrieve()
    #expect(found.accessKeyID == "A")
    #expect(
      found.source == "role arn:aws:iam::1:role/a, assumed with role arn:aws:iam::1:role/b, assumed with environment")
    let requests = sts.requests
    #expect(requests.map { $0.headers["Authorization"][0].contains("Credential=AKID/") } == [true, false])
    #expect(requests[1].headers["Authorization"][0].contains("/eu-west-1/sts/aws4_request"))
    for part in ["ExternalId=x%2Fy", "RoleSessionName=me", "DurationSeconds=900"] {
      #expect(requests[1].body.contains(part))
    }
    await sts.close()
  }

  @Test(arguments: [
    (
      403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not\nyou</Message></Error></ErrorResponse>",
      "status 403: AccessDenied: not you"
    ),
    (200, "<AssumeRoleResponse>", "not XML"), (200, "", "not XML"), (200, "{}", "not XML"),
    (200, "<AssumeRoleResponse/>", "holds no credentials"),
    (200, role("AssumeRole").replacing(expiration, with: "soon"), "holds no credentials"),
    (500, "oops", "status 500: oops"), (302, "", "status 302"),
  ])
  func strangeAnswersOfSTS(status: Int, body: String, reason: String) async throws {
    let sts = try await FakeServices { _ in (status, body) }
    var options = CredentialOptions()
    (options.accessKey, options.secretKey, options.roleARN) = ("AKID", Secret("hidden"), "arn:aws:iam::1:role/r")
    let text = await error(chain(["AWS_ENDPOINT_URL_STS": sts.url, "AWS_REGION": "us-east-1"], options))
    #expect(text.contains(reason), "\(text)")
    #expect(!text.contains("hidden") && !text.contains("\n"))
    await sts.close()
  }

  // MARK: Containers

  @Test func container() async throws {
    let folder = TemporaryDirectory()
    defer { withExtendedLifetime(folder) {} }
    folder.overwrite("token", "one")
    let agent = try await FakeServices { _ in (200, Self.document) }
    let chain = chain([
      "AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.url + "/v1/credentials",
      "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": folder.path + "/token", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "not me",
    ])
    #expect(try await chain.retrieve().accessKeyID == "ASIA")
    folder.overwrite("token", "two")
    _ = try await chain.retrieve()
    #expect(agent.requests.map { $0.headers["Authorization"] } == [["one"], ["two"]])
    #expect(agent.requests[0].target == "/v1/credentials")
    await agent.close()
  }

  @Test(arguments: [
    (["AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/"], "may use http only for loopback"),
    (["AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.evil.example/"], "may use http only for loopback"),
    (["AWS_CONTAINER_CREDENTIALS_FULL_URI": "nonsense"], "invalid URL"),
    (
      ["AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "a\r\nb: c"],
      "holds a control character"
    ),
    (
      [
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nonexistent",
      ], "open /nonexistent"
    ),
  ])
  func containersThatAreNone(variables: [String: String], reason: String) async {
    let text = await error(chain(variables))
    #expect(text.contains(reason), "\(text)")
  }

  @Test(arguments: [
    "", "{", "null", "[]", #"{"AccessKeyId": 1, "SecretAccessKey": true}"#, #"{"AccessKeyId": "hidden"}"#,
    #"{"Code": "Failed", "Message": "x"}"#, #"{"AccessKeyId":"a","SecretAccessKey":"hidden","Expiration":"never"}"#,
    #"{"AccessKeyId":"a","SecretAccessKey":"hidden","Expiration":"2026"#, String(repeating: "[", count: 10_000),
  ])
  func strangeAnswersOfContainers(body: String) async throws {
    let agent = try await FakeServices { _ in (200, body) }
    let text = await error(chain(["AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.url]))
    #expect(text.contains("no AWS credentials") && !text.contains("hidden"), "\(text)")
    await agent.close()
  }

  // MARK: Instances

  private func instance(_ answer: @escaping FakeServices.Answer) async throws -> FakeServices {
    try await FakeServices { request in
      switch request.target {
      case "/latest/api/token": answer(request)
      case let path where path.hasSuffix("security-credentials/"): (200, "my role\n")
      case let path where path.hasSuffix("security-credentials/my%20role"): (200, Self.document)
      case let path where path.hasSuffix("placement/region"): (200, "ap-south-1\n")
      default: (404, "<html>")
      }
    }
  }

  @Test func instanceVersion2() async throws {
    let metadata = try await instance { _ in (200, "TOKEN==") }
    let chain = chain(["AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url + "/"])
    let found = try await chain.retrieve()
    #expect(found.accessKeyID == "ASIA")
    #expect(found.source == "instance role my role")
    #expect(await chain.region() == "ap-south-1")
    #expect(metadata.requests[0].headers["X-aws-ec2-metadata-token-ttl-seconds"] == ["21600"])
    #expect(metadata.requests[1].headers["X-aws-ec2-metadata-token"] == ["TOKEN=="])
    await metadata.close()
  }

  @Test(arguments: [403, 404, 405]) func instanceVersion1(status: Int) async throws {
    let metadata = try await instance { _ in (status, "") }
    let variables = ["AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url]
    #expect(try await chain(variables).retrieve().accessKeyID == "ASIA")
    let text = await error(chain(variables.merging(["AWS_EC2_METADATA_V1_DISABLED": "true"]) { $1 }))
    #expect(text.contains("IMDSv2 token: status \(status)"), "\(text)")
    await metadata.close()
  }

  @Test(arguments: [(400, ""), (200, ""), (200, "a b"), (500, "")])
  func instanceWithoutToken(status: Int, body: String) async throws {
    let metadata = try await instance { _ in (status, body) }
    let text = await error(chain(["AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url]))
    #expect(text.contains("IMDSv2 token"), "\(text)")
    await metadata.close()
  }

  @Test func instanceWithoutRole() async throws {
    let metadata = try await FakeServices { ($0.method == "PUT" ? 200 : 404, "TOKEN") }
    let text = await error(chain(["AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url]))
    #expect(text.contains("the instance has no IAM role"), "\(text)")
    await metadata.close()
  }

  // MARK: The provider

  /// None at the start; then they come, stay through a failure, and are asked for anew when they are refused.
  @Test func provider() async throws {
    let answers = Mutex<[(status: Int, body: String)]>([(400, "")])
    let agent = try await FakeServices { _ in answers.withLock { $0.popLast() } ?? (200, Self.document) }
    let provider = CredentialProvider(chain(["AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.url]))
    #expect(throws: CredentialError.self) { try provider.current() }
    await #expect(throws: CredentialError.self) { try await provider.credentials() }
    #expect(provider.status.failures == 1)
    while (try? provider.current()) == nil { try await Task.sleep(for: .milliseconds(10)) }
    #expect(try await provider.credentials().accessKeyID == "ASIA")
    #expect(provider.status.fault == nil)
    await agent.close()
  }

  @Test func accountsAreShared() throws {
    let accounts = AWSAccounts(chain(["AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"]).environment)
    var options = CredentialOptions()
    let first: CredentialProvider? = accounts.provider(options)
    #expect(accounts.provider(options) === first)
    options.profile = "x"
    #expect(accounts.provider(options) !== first)
    #expect(accounts.all.count == 1)
    withExtendedLifetime(first) {}
  }

  @Test func clock() {
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let clock = AWSClock(log: log)
    clock.observe("garbage")
    #expect(clock.skew == 0)
    clock.observe("Sun, 06 Nov 1994 08:49:37 GMT")
    #expect(abs(clock.now.seconds - 784_111_777) <= 2)
    clock.observe(nil)
    #expect(clock.skew < 0)
  }
}
