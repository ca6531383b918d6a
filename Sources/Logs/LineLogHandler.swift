import Bytes
import Glibc
import Logging

/// Lines on standard error, in logfmt or JSON, with the keys that Go's slog gives node_exporter's:
/// `time=2026-11-21T04:25:53.939Z level=INFO source=main.swift:17 msg="Listening on" address=127.0.0.1:9100`.
public struct LineLogHandler: LogHandler {
  public enum Format: String, Sendable, CaseIterable {
    case logfmt, json
  }

  public var logLevel: Logger.Level
  public var metadata: Logger.Metadata = [:]
  private let format: Format
  /// Under systemd: a line starts with its priority, `<6>`, as sd-daemon(3) says.
  private let withPriority: Bool

  /// - Parameter withPriority: whether standard error is the journal.
  public init(format: Format, level: Logger.Level, withPriority: Bool) {
    self.format = format
    self.withPriority = withPriority
    logLevel = level
  }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    let level = event.level.slog
    let source = "\(event.file.split(separator: "/").last.map(String.init) ?? event.file):\(event.line)"
    var fields: [(String, String)] = [
      ("time", timestamp()), ("level", level.name), ("source", source), ("msg", "\(event.message)"),
    ]
    let all = metadata.merging(event.metadata ?? [:]) { $1 }
    for (key, value) in all.sorted(by: { $0.key < $1.key }) { fields.append((key, "\(value)")) }
    var line = withPriority ? "<\(level.priority)>" : ""
    switch format {
    case .logfmt: line += fields.map { "\($0)=\(logfmtValue($1))" }.joined(separator: " ")
    case .json: line += "{" + fields.map { "\($0.jsonQuoted):\($1.jsonQuoted)" }.joined(separator: ",") + "}"
    }
    line += "\n"
    line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

extension Logger.Level {
  /// slog's four names, and syslog's priority (syslog(3)).
  fileprivate var slog: (name: String, priority: Int) {
    switch self {
    case .trace, .debug: ("DEBUG", 7)
    case .info, .notice: ("INFO", 6)
    case .warning: ("WARN", 4)
    case .error: ("ERROR", 3)
    case .critical: ("ERROR", 2)
    }
  }
}

/// Now.
private func timestamp() -> String {
  var now = timespec()
  clock_gettime(CLOCK_REALTIME, &now)
  return String(rfc3339Milliseconds: Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000)
}

/// Quoted when it is empty or holds a blank, an equals sign, a quote or a control character.
private func logfmtValue(_ text: String) -> String {
  let isPlain =
    !text.isEmpty && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "=" && $0 != "\"" && $0.value != 0x7f }
  return isPlain ? text : text.jsonQuoted
}
