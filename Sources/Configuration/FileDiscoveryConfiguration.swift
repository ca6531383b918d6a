import YAML

/// One entry of `file_sd_configs`.
public struct FileDiscoveryConfiguration: Sendable, Hashable {
  /// Paths, of which the last part may hold one `*`. Those of the file that are relative count from its folder.
  public var files: [String]
  /// How often the files are read, changed or not.
  public var refreshInterval: Duration = .seconds(300)

  private static let keys = BlockKeys(served: ["files", "refresh_interval"])

  public init(files: [String]) { self.files = files }

  /// - Parameter directory: the folder of the configuration.
  private init(_ block: BlockReader, _ directory: String) {
    let paths = block.strings("files") { path in
      Self.isAllowed(path) ? nil : "path name \"\(shown(path))\" is not valid for file discovery"
    }
    if paths.isEmpty { block.refuse("files", "file service discovery config must contain at least one path name") }
    files = paths.map { $0.hasPrefix("/") || directory.isEmpty ? $0 : "\(directory)/\($0)" }
    refreshInterval = block.refreshInterval ?? refreshInterval
  }

  static func list(_ job: BlockReader, _ directory: String) -> [FileDiscoveryConfiguration] {
    job.blocks("file_sd_configs", keys).map { FileDiscoveryConfiguration($0, directory) }
  }

  /// A file of JSON or YAML by its name, and at most one `*`, in the last part.
  private static func isAllowed(_ path: String) -> Bool {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard let name = parts.last, !parts.dropLast().contains(where: { $0.contains("*") }) else { return false }
    let endings = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"]
    return name.count { $0 == "*" } <= 1 && endings.contains { name.hasSuffix($0) }
  }
}
