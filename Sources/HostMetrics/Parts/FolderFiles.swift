import Kernel

/// What was worked out from the names of the files in a device's folder, or in several that belong together: kept until
/// a file comes or goes, so that a scrape opens what is there and nothing else.
struct FolderFiles<Content> {
  private let paths: [String]
  private let make: (_ folders: [[String]]) -> Content
  private var entries: [[Directory.Entry]] = []
  private var content: Content?

  /// - Parameter make: gets the names of the files in each folder, without those of folders in it, in byte order.
  init(_ paths: [String], make: @escaping (_ folders: [[String]]) -> Content) {
    self.paths = paths
    self.make = make
  }

  /// What belongs to the files that are there now; a folder that is not there has none.
  mutating func current() -> Content {
    let entries = paths.map { (try? Directory.entries($0)) ?? [] }
    if let content, entries == self.entries { return content }
    let content = make(entries.map { folder in folder.filter { !$0.isDirectory }.map(\.name) })
    self.entries = entries
    self.content = content
    return content
  }
}

extension FolderFiles<[Attribute]> {
  /// The attributes of the table that the folder has files of.
  init(_ path: String, of table: [Attribute]) {
    self.init([path]) { folders in
      let names = Set(folders[0])
      return table.filter { names.contains($0.file) }
    }
  }
}
