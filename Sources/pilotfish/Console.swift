import Glibc

/// What commands say beside their result.
enum Console {
  /// Writes a line to standard error.
  static func complain(_ text: String) {
    var line = text + "\n"
    line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

/// The statuses that commands end with.
enum ExitStatus {
  static let success: Int32 = 0
  static let failure: Int32 = 1
  /// The command line is not understood; of `amp` and `check amp`.
  static let usage: Int32 = 2
  /// As promtool.
  static let lint: Int32 = 3
}
