import Glibc

/// What commands say beside their result.
enum Console {
  /// Writes a line to standard error.
  static func complain(_ text: String) {
    var line = text + "\n"
    line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  private static let inputLimit = 1 << 30

  /// All that standard input holds.
  static func standardInput() throws(CheckFault) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = read(STDIN_FILENO, &chunk, chunk.count)
      if count == 0 { return bytes }
      guard count > 0 else { throw CheckFault("standard input cannot be read") }
      bytes += chunk[..<count]
      guard bytes.count <= inputLimit else { throw CheckFault("the text is longer than \(inputLimit >> 30) GiB") }
    }
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
