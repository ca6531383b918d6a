// Where a workspace of Amazon Managed Service for Prometheus is written to
// (https://docs.aws.amazon.com/general/latest/gr/prometheus-service.html).

/// A remote_write URL completed, and the region that it names.
public struct WorkspaceURL: Sendable, Equatable {
  /// Why a text cannot be completed.
  public struct Fault: Error, Equatable, CustomStringConvertible {
    public let description: String
  }

  /// The URL that is written to.
  public let text: String
  /// By the host's name; nil when it is none of AWS'.
  public let region: String?
  /// Whether a workspace is written to, by the URL's host or path: so it is behind a proxy that signs, too.
  public let isWorkspace: Bool

  /// - Parameters:
  ///   - text: a workspace id (`ws-…`), a base URL (`https://aps-workspaces.REGION.amazonaws.com/workspaces/ws-…`, with
  ///     or without `/api/v1`), or the full one. What is no URL of a workspace stays as it is.
  ///   - region: for a workspace id.
  public init(_ text: String, region: String?) throws(Fault) {
    if Self.isWorkspaceID(text) {
      guard let region else {
        throw Fault(description: "a workspace id needs a region: set sigv4.region, or AWS_REGION in the environment")
      }
      self.text =
        "https://aps-workspaces.\(region).\(Region.domain(region))/workspaces/\(text)/api/v1/remote_write"
      self.region = region
      isWorkspace = true
      return
    }
    let completed = Self.completed(text)
    self.text = completed ?? text
    self.region = Self.region(ofURL: text)
    isWorkspace = completed != nil || self.region != nil
  }

  public static func isWorkspaceID(_ text: String) -> Bool {
    text.hasPrefix("ws-") && text.utf8.count <= 64
      && text.utf8.allSatisfy { $0 == UInt8(ascii: "-") || ($0 | 0x20) &- 0x61 < 26 || $0 &- 0x30 < 10 }
  }

  /// With what is missing behind `/workspaces/ws-…`; nil when that is not the path, or something else follows.
  private static func completed(_ text: String) -> String? {
    guard let path = text.firstRange(of: "/workspaces/") else { return nil }
    let parts = text[path.upperBound...].split(separator: "/", omittingEmptySubsequences: true).map(String.init)
    guard let id = parts.first, isWorkspaceID(id), ["api", "v1", "remote_write"].starts(with: parts.dropFirst())
    else { return nil }
    return "\(text[..<path.upperBound])\(id)/api/v1/remote_write"
  }

  private static let domains = [
    ".amazonaws.com", ".api.aws", ".amazonaws.com.cn", ".api.amazonwebservices.com.cn",
  ]

  /// The part of the host's name behind `aps-workspaces` or `aps-workspaces-fips`: so it is for the public endpoints
  /// (`aps-workspaces.us-east-1.amazonaws.com`, `.api.aws`, `.amazonaws.com.cn`) and for those of a VPC
  /// (`vpce-….aps-workspaces.us-east-1.vpce.amazonaws.com`).
  private static func region(ofURL text: String) -> String? {
    guard let start = text.firstRange(of: "://")?.upperBound else { return nil }
    let authority = text[start...].prefix { !"/?#".contains($0) }
    let host = authority.split(separator: "@").last?.prefix { $0 != ":" }.lowercased() ?? ""
    guard domains.contains(where: host.hasSuffix) else { return nil }
    let labels = host.split(separator: ".").map(String.init)
    guard let service = labels.firstIndex(where: { $0 == "aps-workspaces" || $0 == "aps-workspaces-fips" }),
      service + 1 < labels.count
    else { return nil }
    return labels[service + 1]
  }
}
