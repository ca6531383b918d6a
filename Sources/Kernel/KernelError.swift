import Glibc

/// A system call that failed.
public struct KernelError: Error, CustomStringConvertible, Equatable {
  /// What was tried: "open", "read", "statfs", …
  public let operation: String
  /// On what: a path, a device, a protocol.
  public let subject: String
  /// The number of errno(3).
  public let code: Int32

  public init(_ operation: String, _ subject: String, code: Int32 = errno) {
    self.operation = operation
    self.subject = subject
    self.code = code
  }

  /// Whether the thing is not there at all: no such file, directory, device or kernel support.
  public var isAbsence: Bool { [ENOENT, ENOTDIR, ENODEV, ENXIO, EOPNOTSUPP].contains(code) }

  /// errno's text as Go prints it: lower case.
  public var reason: String { Self.reason(code) }

  public static func reason(_ code: Int32) -> String {
    guard let text = strerror(code) else { return "errno \(code)" }
    let reason = String(cString: text)
    return reason.prefix(1).lowercased() + reason.dropFirst()
  }

  public var description: String { "\(operation) \(subject): \(reason)" }
}
