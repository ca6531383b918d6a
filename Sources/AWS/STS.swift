// The Security Token Service (https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html), which gives temporary
// credentials of a role: AssumeRole, and AssumeRoleWithWebIdentity for a token of an OpenID provider, as EKS has one.

import HTTPClient
import NIOCore
import Secrets
import YAML

struct STS {
  /// A role and how it is asked for.
  struct Role {
    var arn: String
    var externalID: String?
    var sessionName: String?
    /// How long the credentials are to live.
    var seconds: Int?
  }

  private let region: String
  private let isFIPS: Bool
  private let environment: AWSEnvironment

  init(region: String, isFIPS: Bool, _ environment: AWSEnvironment) {
    self.region = region
    self.isFIPS = isFIPS
    self.environment = environment
  }

  /// The role's credentials, asked for with others.
  func assume(_ role: Role, as caller: Credentials) async throws(CredentialError) -> Credentials {
    var parameters = parameters("AssumeRole", role)
    if let externalID = role.externalID { parameters.append(("ExternalId", externalID)) }
    return try await ask(parameters, role, as: caller, source: "role \(role.arn), assumed with \(caller.source)")
  }

  /// The role's credentials, for the token that a file holds. It is read anew each time: whoever put it there renews it.
  func assume(_ role: Role, tokenFile: String) async throws(CredentialError) -> Credentials {
    let token = try SecretFile.read(tokenFile, "web identity")
    var parameters = parameters("AssumeRoleWithWebIdentity", role)
    parameters.append(("WebIdentityToken", token))
    return try await ask(parameters, role, as: nil, source: "role \(role.arn) by web identity")
  }

  private func parameters(_ action: String, _ role: Role) -> [(name: String, value: String)] {
    [
      ("Action", action), ("Version", "2011-06-15"), ("RoleArn", role.arn),
      ("RoleSessionName", role.sessionName ?? "pilotfish-\(environment.clock.now.seconds)"),
      ("DurationSeconds", "\(role.seconds ?? 3600)"),
    ]
  }

  private func ask(
    _ parameters: [(name: String, value: String)], _ role: Role, as caller: Credentials?, source: String
  ) async throws(CredentialError) -> Credentials {
    do throws(AWSFault) {
      var request = HTTPRequest(
        method: "POST", url: try environment.endpoint("sts", region: region, isFIPS: isFIPS),
        headers: [
          ("Accept", "text/xml"), ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
        ], body: form(parameters), access: environment.access)
      if let caller {
        request.sign(
          caller, SigningScope(region: region, service: "sts"), at: environment.clock.now, SigningKeys())
      }
      let answer = try await environment.ask("STS \(parameters[0].value)", request, AWSEnvironment.limits)
      return try Self.credentials(answer, parameters[0].value, source)
    } catch {
      throw CredentialError(source, error.description)
    }
  }

  static func credentials(
    _ answer: HTTPResponse, _ action: String, _ source: String
  ) throws(AWSFault) -> Credentials {
    let body = Array(answer.body.readableBytesView)
    let root: XMLElement
    do throws(XMLElement.Fault) {
      root = try XMLElement(parsing: body.span.bytes)
    } catch {
      throw AWSFault("\(action): \(error)")
    }
    let found = root["\(action)Result"]?["Credentials"]
    guard let key = found?.text("AccessKeyId"), let secret = found?.text("SecretAccessKey"),
      let token = found?.text("SessionToken"),
      let expiration = found?.text("Expiration").flatMap({ Timestamp(iso8601: $0) })
    else { throw AWSFault("\(action): the answer holds no credentials") }
    return Credentials(
      accessKeyID: key, secretAccessKey: Secret(secret), sessionToken: Secret(token), expiration: expiration,
      source: source)
  }
}

/// A file that holds one secret, as a token: without the blanks and line ends around it.
enum SecretFile {
  private static let maximumBytes = 64 << 10

  /// - Parameter source: named in errors.
  static func read(_ path: String, _ source: String) throws(CredentialError) -> String {
    do throws(FileFault) {
      let text = String(decoding: try WholeFile.readRegular(path, limit: maximumBytes), as: UTF8.self)
      let token = text.split(whereSeparator: \.isWhitespace)
      guard token.count == 1 else { throw FileFault("read", path, "it does not hold one token") }
      return String(token[0])
    } catch {
      throw CredentialError(source, "\(error)")
    }
  }
}
