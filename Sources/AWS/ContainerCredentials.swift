// Credentials of a container: of an ECS task
// (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html) and of a pod by EKS Pod Identity
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html).

import Bytes
import Glibc
import HTTPClient
import Secrets

struct ContainerCredentials {
  private static let source = "container"
  private static let limits = HTTPLimits(timeout: .seconds(2), bodyBytes: 64 << 10, redirects: 0)
  private static let attempts = 3

  private let text: String
  private let environment: AWSEnvironment

  /// Nil when the environment names no endpoint.
  init?(_ environment: AWSEnvironment) {
    if let path = environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] {
      text = "http://169.254.170.2" + path
    } else if let url = environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] {
      text = url
    } else {
      return nil
    }
    self.environment = environment
  }

  /// The token's file is read anew each time: the kubelet renews it.
  func retrieve() async throws(CredentialError) -> Credentials {
    var request: HTTPRequest
    do throws(AWSFault) {
      request = HTTPRequest(url: try environment.url(text), headers: [("Accept", "application/json")])
    } catch {
      throw CredentialError(Self.source, error.description)
    }
    guard text.lowercased().hasPrefix("https://") || Self.isNear(request.url.host) else {
      throw CredentialError(
        Self.source,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI may use http only for loopback, 169.254.170.2, 169.254.170.23 and "
          + "[fd00:ec2::23]")
    }
    if let token = try token() { request.headers.append(("Authorization", token)) }
    var last = AWSFault("")
    for attempt in 0..<Self.attempts {
      if attempt > 0 { try? await Task.sleep(for: .seconds(1)) }
      do throws(AWSFault) {
        let answer = try await environment.ask("credentials of the container", request, Self.limits)
        return try CredentialDocument(answer.body.readableBytesView, Self.source).credentials(Self.source)
      } catch {
        last = error
      }
      if !last.isTemporary { break }
    }
    throw CredentialError(Self.source, last.description)
  }

  private func token() throws(CredentialError) -> String? {
    if let file = environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] {
      return try SecretFile.read(file, Self.source)
    }
    guard let token = environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] else { return nil }
    guard !token.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
      throw CredentialError(Self.source, "AWS_CONTAINER_AUTHORIZATION_TOKEN holds a control character")
    }
    return token
  }

  /// Addresses that do not leave the machine: anybody else could read what goes there by http.
  private static func isNear(_ host: String) -> Bool {
    if ["localhost", "::1", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"].contains(host) { return true }
    var address = in_addr()
    return host.hasPrefix("127.") && inet_pton(AF_INET, host, &address) == 1
  }
}

/// Credentials as JSON: what the container's endpoint and the instance's metadata answer, and what a
/// `credential_process` prints.
struct CredentialDocument {
  let json: JSONValue

  /// - Parameter source: named in errors; the text itself is not: secrets stand in it.
  init(_ bytes: some Collection<UInt8>, _ source: String) throws(AWSFault) {
    let bytes = Array(bytes)
    do throws(JSONValue.Fault) {
      json = try JSONValue(parsing: bytes.span.bytes)
    } catch {
      throw AWSFault("what \(source) says is \(error)")
    }
    guard case .object = json else { throw AWSFault("what \(source) says is no JSON object") }
  }

  /// `Token` or `SessionToken`; one without `Expiration` does not expire.
  func credentials(_ source: String) throws(AWSFault) -> Credentials {
    if let code = json["Code"]?.text, code != "Success" {
      throw AWSFault("\(code): \(json["Message"]?.text?.prefix(300) ?? "")")
    }
    guard let key = json["AccessKeyId"]?.text, let secret = json["SecretAccessKey"]?.text else {
      throw AWSFault("the answer holds no AccessKeyId or no SecretAccessKey")
    }
    var expiration: Timestamp?
    if let text = json["Expiration"]?.text {
      expiration = Timestamp(iso8601: text)
      if expiration == nil { throw AWSFault("the answer's Expiration is not a time") }
    }
    return Credentials(
      accessKeyID: key, secretAccessKey: Secret(secret),
      sessionToken: (json["Token"]?.text ?? json["SessionToken"]?.text).map(Secret.init), expiration: expiration,
      source: source)
  }
}
