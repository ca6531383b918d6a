/// What this program is.
enum Version {
  static let number = "0.1.0"
  static let branch = "main"
  static let revision = "unknown"
  static let compiler = "swift6"

  /// As node_exporter and Prometheus show theirs.
  static let summary = "(version=\(number), branch=\(branch), revision=\(revision))"

  /// What `--version` prints.
  static func text(program: String) -> String {
    """
    \(program), version \(number) (branch: \(branch), revision: \(revision))
      build user:       pilotfish
      build date:       unknown
      go version:       \(compiler)
      platform:         linux/\(architecture)
      tags:             unknown

    """
  }

  static var architecture: String {
    #if arch(arm64)
      "arm64"
    #else
      "amd64"
    #endif
  }
}
