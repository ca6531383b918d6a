import Glibc
import YAML

/// A file that the configuration names for credentials or for TLS.
public struct NamedFile: Sendable, Equatable {
  public let path: String
  /// What it is for, in promtool's words.
  public let purpose: String

  public var exists: Bool { access(path, F_OK) == 0 }

  /// The files whose being there promtool checks.
  private static let purposes = [
    "credentials_file": "authorization credentials or bearer token file",
    "bearer_token_file": "authorization credentials or bearer token file",
    "cert_file": "client cert file", "key_file": "client key file",
  ]

  /// All of a tree, in the order of the file.
  ///
  /// - Parameter directory: from which relative paths count.
  static func all(in node: YAMLNode, _ directory: String) -> [NamedFile] {
    switch node.content {
    case .null, .scalar: return []
    case .sequence(let elements): return elements.flatMap { all(in: $0, directory) }
    case .mapping(let members):
      return members.flatMap { member -> [NamedFile] in
        guard let purpose = purposes[member.key], case .scalar(let path, _) = member.value.content, !path.isEmpty else {
          return all(in: member.value, directory)
        }
        return [NamedFile(path: path.path(from: directory), purpose: purpose)]
      }
    }
  }
}
