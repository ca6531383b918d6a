import Bytes
import RemoteWrite

/// `pilotfish check log DIR`: reads a log as it is on disk, and says what is in it and whether it is whole.
enum CheckLogCommand {
  static let usage = """
    usage: pilotfish check log DIR

    Reads every segment of the log in DIR (the agent's --storage.agent.path), verifies all checksums, and shows
    what is there and what remotes have not acknowledged. Changes nothing; an agent may be running.
    Ends with 0 when all is whole, with 1 when something is damaged or cannot be read.

    """

  /// - Returns: the status to exit with.
  static func run(_ arguments: [String]) -> Int32 {
    guard arguments.count == 1, let path = arguments.first, !path.hasPrefix("-") else {
      Console.complain(usage)
      return ExitStatus.failure
    }
    do throws(LogError) {
      let inspection = try LogInspection(path: path)
      show(inspection)
      return inspection.damages.isEmpty ? ExitStatus.success : ExitStatus.failure
    } catch {
      Console.complain("pilotfish: error: \(error)")
      return ExitStatus.failure
    }
  }

  private static func show(_ inspection: LogInspection) {
    for segment in inspection.segments {
      let unfinished = segment.unfinishedBytes > 0 ? ", \(segment.unfinishedBytes) bytes unfinished" : ""
      print("segment \(segment.file): \(text(segment.content))\(unfinished)")
    }
    for remote in inspection.remotes {
      let overtaken =
        remote.overtaken > 0
        ? ", of \(remote.overtaken) only those of series with a backlog" : ""
      print("remote \(remote.key): \(remote.unacknowledged) samples not acknowledged\(overtaken)")
    }
    for damage in inspection.damages { print("damage \(damage)") }
    if inspection.missing > 0 { print("missing: \(inspection.missing) samples between those of the log") }
    let count = inspection.segments.count
    print("total: \(count) segments, \(text(inspection.total)), \(inspection.damages.count) damaged")
  }

  private static func text(_ content: LogInspection.Content) -> String {
    let times =
      content.times.map {
        ", \(String(rfc3339Milliseconds: $0.lowerBound)) to \(String(rfc3339Milliseconds: $0.upperBound))"
      } ?? ""
    return "\(content.bytes) bytes, \(content.records) records, \(content.series) series, "
      + "\(content.samples) samples\(times)"
  }
}
