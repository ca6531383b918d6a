import RemoteWrite
import Workspaces

/// `pilotfish amp query EXPR`: a PromQL query, at one time or over a range.
enum AmpQueryCommand {
  static let usage = """
    usage: pilotfish amp query [<flags>] EXPR

    Asks a workspace a PromQL query: at one time, or over a range when --start, --end or --step is given.
    Ends with 0, with 1 when it fails, with 2 when the command line is not understood.

      --time=TIME            RFC 3339 or Unix seconds; by default now.
      --start=TIME           By default five minutes before the end.
      --end=TIME             By default now.
      --step=DURATION        Between two points, as 30s; by default a 250th of the range.
    \(AmpSession.outputUsage)
    \(AmpSession.sourceUsage)
    """

  static func run(_ arguments: [String]) async -> Int32 {
    await AmpSession.run(
      arguments, usage: usage, switches: ["--curl", "--show-token"],
      values: ["--time", "--start", "--end", "--step", "--output"]
    ) { session in
      let given = session.given
      guard given.plain.count == 1, let expression = given.plain.first else {
        throw UsageFault("expected one PromQL expression, got \(given.plain.count)")
      }
      let isRange = ["--start", "--end", "--step"].contains(where: given.has)
      if isRange, given.has("--time") {
        throw UsageFault("--time is of an instant, --start, --end and --step of a range")
      }
      var parameters = [(name: "query", value: expression)]
      do throws(QueryFault) {
        if isRange {
          let now = QueryTime(milliseconds: WallClock.milliseconds)
          parameters +=
            try QueryRange(
              start: given.value("--start"), end: given.value("--end"), step: given.value("--step"), now: now
            ).parameters
        } else if let time = given.value("--time") {
          parameters.append(("time", try QueryTime(time).text))
        }
      } catch {
        throw UsageFault("\(error)")
      }
      return try await session.show(isRange ? "query_range" : "query", parameters) { try $0.values() }
    }
  }
}
