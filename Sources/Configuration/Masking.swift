// What of a configuration may be shown.

import YAML

enum Masking {
  /// Keys whose values are secrets in every block of Prometheus.
  private static let secretKeys: Set<String> = [
    "password", "credentials", "bearer_token", "client_secret", "secret_key", "secrets", "token", "key",
    "proxy_connect_header",
  ]

  /// A tree as the file has it, with secrets as `<secret>`, without passwords in URLs, and with paths that count from
  /// the file's folder made whole.
  ///
  /// - Parameter key: where the tree stands.
  static func masked(_ node: YAMLNode, _ key: String, _ directory: String) -> YAMLNode {
    let isSecret = secretKeys.contains(key)
    switch node.content {
    case .null: return node
    case .scalar(let text, let isPlain):
      if isSecret { return text.isEmpty ? node : .text("<secret>") }
      let isPath = key.hasSuffix("_file") || key == "files" || key == "scrape_config_files"
      let shown = isPath ? text.path(from: directory) : withoutPassword(text)
      return isPlain && shown == text ? node : .text(shown)
    case .sequence(let elements): return .list(elements.map { masked($0, key, directory) })
    case .mapping(let members):
      // What is below a secret is one, too, whatever it is called.
      return .block(members.map { ($0.key, masked($0.value, isSecret ? key : $0.key, directory)) })
    }
  }

  /// Words in the names of headers by which clients say who they are.
  private static let secretWords = ["auth", "cookie", "credential", "key", "password", "secret", "token"]

  /// A header's value, if its name does not look like that of a secret.
  static func header(_ name: String, _ value: String) -> String {
    let name = name.lowercased()
    return secretWords.contains { name.contains($0) } ? "<secret>" : value
  }

  /// A URL with its password replaced; any other text as it is.
  static func withoutPassword(_ text: String) -> String {
    guard let separator = text.firstRange(of: "://") else { return text }
    let authority = text[separator.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    guard let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") else { return text }
    return "\(text[...colon])xxxxx\(text[at...])"
  }
}
