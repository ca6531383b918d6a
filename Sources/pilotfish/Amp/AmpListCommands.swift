import Bytes
import Workspaces

/// `pilotfish amp labels [NAME]`: the names of labels, or the values of one.
enum AmpLabelsCommand {
  static let usage = """
    usage: pilotfish amp labels [<flags>] [NAME]

    Lists a workspace's label names, or the values of the label NAME: pilotfish amp labels __name__ lists its metrics.
    Ends with 0, with 1 when it fails, with 2 when the command line is not understood.

      --match=SELECTOR       Only of series like these: 'up{job="node"}'.
      --start=TIME           Only of series with samples since then: RFC 3339 or Unix seconds.
      --end=TIME             Only of series with samples until then.
    \(AmpSession.outputUsage)
    \(AmpSession.sourceUsage)
    """

  static func run(_ arguments: [String]) async -> Int32 {
    await AmpSession.run(
      arguments, usage: usage, switches: ["--curl", "--show-token"],
      values: ["--match", "--start", "--end", "--output"]
    ) { session in
      let names = session.given.plain
      guard names.count <= 1 else { throw UsageFault("expected one label name at most, got \(names.count)") }
      let path = names.first.map { "label/\($0.utf8.percentEncoded())/values" } ?? "labels"
      let selectors = session.given.value("--match").map { [(name: "match[]", value: $0)] } ?? []
      return try await session.show(path, selectors + session.given.times()) { try $0.list() }
    }
  }
}

/// `pilotfish amp series SELECTOR…`: the series that there are.
enum AmpSeriesCommand {
  static let usage = """
    usage: pilotfish amp series [<flags>] SELECTOR…

    Lists a workspace's series that match any of the selectors: pilotfish amp series 'up{job="node"}'
    Ends with 0, with 1 when it fails, with 2 when the command line is not understood.

      --start=TIME           Only series with samples since then: RFC 3339 or Unix seconds.
      --end=TIME             Only series with samples until then.
    \(AmpSession.outputUsage)
    \(AmpSession.sourceUsage)
    """

  static func run(_ arguments: [String]) async -> Int32 {
    await AmpSession.run(
      arguments, usage: usage, switches: ["--curl", "--show-token"], values: ["--start", "--end", "--output"]
    ) { session in
      let selectors = session.given.plain
      guard !selectors.isEmpty else { throw UsageFault("expected a selector, as 'up{job=\"node\"}'") }
      let parameters = selectors.map { (name: "match[]", value: $0) } + (try session.given.times())
      return try await session.show("series", parameters) { try $0.list() }
    }
  }
}

extension CommandArguments {
  /// `--start` and `--end` as parameters of the API.
  fileprivate func times() throws(UsageFault) -> [(name: String, value: String)] {
    var parameters: [(name: String, value: String)] = []
    for name in ["start", "end"] {
      guard let text = value("--\(name)") else { continue }
      do throws(QueryFault) {
        parameters.append((name, try QueryTime(text).text))
      } catch {
        throw UsageFault("\(error)")
      }
    }
    return parameters
  }
}
