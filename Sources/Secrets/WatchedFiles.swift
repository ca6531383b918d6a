import Kernel

/// What is made of files: made again when one of them has changed.
package struct WatchedFiles<Value> {
  package let paths: [String]
  private let make: @Sendable () throws -> Value
  private var stamps: [FileStamp?]?
  private var value: Result<Value, any Error>

  package init(_ paths: [String], make: @escaping @Sendable () throws -> Value) {
    self.paths = paths
    self.make = make
    stamps = FileStamp.settled(paths)
    value = Result { try make() }
  }

  /// The value of the files as they are now.
  ///
  /// - Returns: whether they were read again for it.
  package mutating func refresh() -> Bool {
    if let stamps, stamps == paths.map(FileStamp.init) { return false }
    stamps = FileStamp.settled(paths)
    value = Result { try make() }
    return true
  }

  /// - Throws: why the files cannot be worked with.
  package func get() throws -> Value { try value.get() }
}

extension WatchedFiles: Sendable where Value: Sendable {}
