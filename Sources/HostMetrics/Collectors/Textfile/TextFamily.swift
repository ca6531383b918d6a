import Exposition

/// The samples of one name in one file.
struct TextFamily {
  /// A counter's, gauge's or untyped metric's value; or a whole histogram or summary.
  struct Series {
    /// By name; without `le` and `quantile`.
    var labels: [Label]
    var value = 0.0
    /// By upper bound or by quantile: the value.
    var points: [Double: Double] = [:]
    var sum = 0.0
    var count = 0.0
  }

  struct Label: Equatable {
    var name: String
    var value: String
  }

  let name: String
  var help: String?
  var type: MetricType?
  var series: [Series] = []

  /// Whether a part of a histogram or a summary could not be taken: the rest of it would mislead.
  var isBroken = false

  var isPointwise: Bool { type == .histogram || type == .summary }
}

/// Why something of a text file is not served.
enum TextFault: String {
  /// The file cannot be read, or is none.
  case unreadable
  case tooLong = "too_long"
  /// It is older than the flags allow.
  case expired
  /// It is not the text format.
  case syntax
  /// A number is none.
  case value
  case timestamp
  /// A HELP or TYPE line that comes too late, twice, or is none.
  case metadata
  /// The last line has no newline.
  case truncated
  /// A family that is otherwise in an earlier file.
  case conflict
}

/// Why a text cannot be taken.
struct TextFamilyError: Error, CustomStringConvertible {
  let fault: TextFault
  /// From 1.
  let line: Int
  let reason: String
  var description: String { "line \(line): \(reason)" }
}
