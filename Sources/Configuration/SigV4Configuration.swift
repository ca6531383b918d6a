import AWS
import Secrets
import YAML

/// The block `sigv4` of a `remote_write`: its requests are signed as AWS wants it.
public struct SigV4Configuration: Sendable, Hashable {
  public var credentials = CredentialOptions()
  /// The name under which the receiver signs.
  public var serviceName = "aps"

  private static let keys = BlockKeys(
    served: [
      "region", "access_key", "secret_key", "profile", "role_arn", "external_id", "service_name",
      "use_fips_sts_endpoint",
    ])

  public init() {}

  /// Nil when the remote has no such block.
  init?(of remote: BlockReader) {
    guard let block = remote.block("sigv4", Self.keys) else { return nil }
    credentials = block.awsCredentials("AWS SigV4")
    credentials.usesFIPSForSTS = block.bool("use_fips_sts_endpoint") ?? false
    serviceName = block.string("service_name") ?? serviceName
    if serviceName.isEmpty { serviceName = "aps" }
  }

  /// What does not go with signatures.
  ///
  /// - Parameter headers: the remote's own.
  func check(_ remote: BlockReader, url: String, headers: [RemoteWriteConfiguration.Header]) {
    let others = ["basic_auth", "authorization", "oauth2", "azuread", "google_iam"].filter(remote.has)
    if !others.isEmpty {
      remote.refuse(
        "sigv4",
        "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured. "
          + "Currently configured: [\((others + ["sigv4"]).joined(separator: " "))]")
    }
    if headers.contains(where: { $0.name.lowercased() == "x-scope-orgid" }) {
      remote.refuse(
        "headers", "X-Scope-OrgID with sigv4: Amazon Managed Service for Prometheus refuses such requests; remove it")
    }
    guard let inURL = (try? WorkspaceURL(url, region: nil))?.region, !credentials.region.isEmpty,
      credentials.region != inURL
    else { return }
    remote.refuse(
      "sigv4",
      "region \(shown(credentials.region)) is not that of the URL, \(shown(inURL)): the signature would be refused; "
        + "remove region")
  }
}

extension BlockReader {
  /// The keys `region`, `access_key`, `secret_key`, `profile`, `role_arn` and `external_id`.
  ///
  /// - Parameter name: of the block in errors.
  func awsCredentials(_ name: String) -> CredentialOptions {
    var options = CredentialOptions()
    options.region = string("region") ?? ""
    options.accessKey = string("access_key") ?? ""
    options.secretKey = Secret(string("secret_key") ?? "")
    options.profile = string("profile") ?? ""
    options.roleARN = string("role_arn") ?? ""
    options.externalID = string("external_id") ?? ""
    if options.accessKey.isEmpty != options.secretKey.value.isEmpty {
      refuse(
        options.accessKey.isEmpty ? "secret_key" : "access_key",
        "must provide a \(name) Access key and Secret Key if credentials are specified in the \(name) config")
    }
    if !options.externalID.isEmpty, options.roleARN.isEmpty {
      refuse("external_id", "external_id can only be used with role_arn")
    }
    if !options.region.utf8.allSatisfy({ ($0 | 0x20) &- 0x61 < 26 || $0 &- 0x30 < 10 || $0 == 0x2d }) {
      refuse("region", "not a region of AWS, such as us-east-1")
    }
    return options
  }
}
