// What Prometheus' HTTP API answers (https://prometheus.io/docs/prometheus/latest/querying/api/):
//
//     {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {…}, "value": [TIME, "VALUE"]}]},
//      "warnings": ["…"], "infos": ["…"]}
//
// `data` of label names, label values and series is an array. Answers are long: what stands in arrays is read piece by
// piece.

import AWS
import Bytes
import Exposition

/// An answer, by the places of its parts.
public struct QueryAnswer: Sendable {
  private let bytes: [UInt8]
  private var data = 0..<0
  /// What the server has to say beside the data.
  public private(set) var remarks: [String] = []

  /// - Throws: when it is not JSON, or has no data.
  public init(_ bytes: [UInt8]) throws(JSONValue.Fault) {
    self.bytes = bytes
    var reader = JSONReader(bytes.span.bytes)
    guard try reader.beginObject() else { throw JSONValue.Fault(reason: "expected an object", offset: 0) }
    while try reader.nextMember() {
      let start = reader.position
      if reader.isMember("warnings") || reader.isMember("infos") {
        guard try reader.beginArray() else { continue }
        while try reader.nextElement() { remarks.append(try reader.string()) }
      } else {
        let isData = reader.isMember("data")
        try reader.skip()
        if isData { data = start..<reader.position }
      }
    }
    guard !data.isEmpty else { throw JSONValue.Fault(reason: "expected data", offset: 0) }
  }

  // MARK: Queries

  /// One row for each value: its series, the value, its time.
  public func values() throws(JSONValue.Fault) -> TextTable {
    var reader = JSONReader(bytes.span.bytes.extracting(data))
    var kind = ""
    var result = 0..<0
    guard try reader.beginObject() else { throw JSONValue.Fault(reason: "expected a result", offset: data.lowerBound) }
    while try reader.nextMember() {
      if reader.isMember("resultType") {
        kind = try reader.string()
      } else if reader.isMember("result") {
        let start = data.lowerBound + reader.position
        try reader.skip()
        result = start..<data.lowerBound + reader.position
      } else {
        try reader.skip()
      }
    }
    if kind == "scalar" || kind == "string" {
      var table = TextTable(["VALUE", "TIME"])
      if let point = Point(try value(result)) { table.append([point.value, point.time]) }
      return table
    }
    var table = TextTable(["METRIC", "VALUE", "TIME"])
    try forEachElement(of: result) { element in
      let name = element["metric"]?.metricText ?? "{}"
      for point in element.points { table.append([name, point.value, point.time]) }
    }
    return table
  }

  // MARK: Lists

  /// One row for each name, value or series.
  public func list() throws(JSONValue.Fault) -> TextTable {
    var table = TextTable()
    try forEachElement(of: data) { element in
      if case .string(let text) = element { table.append([text]) } else { table.append([element.metricText]) }
    }
    return table
  }

  private func forEachElement(
    of range: Range<Int>, _ body: (JSONValue) throws(JSONValue.Fault) -> Void
  ) throws(JSONValue.Fault) {
    guard !range.isEmpty else { throw JSONValue.Fault(reason: "expected a result", offset: data.lowerBound) }
    var reader = JSONReader(bytes.span.bytes.extracting(range))
    guard try reader.beginArray() else { return }
    while try reader.nextElement() {
      let start = range.lowerBound + reader.position
      try reader.skip()
      try body(try value(start..<range.lowerBound + reader.position))
    }
  }

  private func value(_ range: Range<Int>) throws(JSONValue.Fault) -> JSONValue {
    try JSONValue(parsing: bytes.span.bytes.extracting(range))
  }
}

/// A value at a time, as people read them.
struct Point: Equatable {
  var value: String
  var time: String

  /// `[TIME, "VALUE"]`, or `[TIME, {"count": "…", "sum": "…"}]` of a native histogram; nil of anything else.
  init?(_ json: JSONValue) {
    guard case .array(let parts) = json, parts.count == 2, case .number(let seconds) = parts[0] else { return nil }
    switch parts[1] {
    case .string(let text): value = text
    case .object: value = "histogram count=\(parts[1]["count"]?.text ?? "?") sum=\(parts[1]["sum"]?.text ?? "?")"
    default: return nil
    }
    time = Int64(exactly: (seconds * 1000).rounded()).map { String(rfc3339Milliseconds: $0) } ?? "\(seconds)"
  }
}

extension JSONValue {
  /// All values of a series, of an instant or of a range.
  fileprivate var points: [Point] {
    ["value", "values", "histogram", "histograms"].flatMap { name -> [Point] in
      guard let found = self[name] else { return [] }
      if let point = Point(found) { return [point] }
      guard case .array(let all) = found else { return [] }
      return all.compactMap(Point.init)
    }
  }

  /// The labels as PromQL writes a series.
  fileprivate var metricText: String {
    guard case .object(let members) = self else { return "{}" }
    return seriesText(members.map { ($0.name, $0.value.text ?? "") })
  }
}

/// A series as PromQL writes it: `up{job="node"}`; `{"a.b",job="node"}` for a name that needs quotes.
func seriesText(_ labels: [(name: String, value: String)]) -> String {
  let name = labels.first { $0.name == "__name__" }?.value ?? ""
  let isPlain = NameScheme.legacy.isMetricName(name.utf8.span.bytes)
  let others = labels.filter { $0.name != "__name__" }.map { label in
    let isPlain = NameScheme.legacy.isLabelName(label.name.utf8.span.bytes)
    return "\(isPlain ? label.name : label.name.jsonQuoted)=\(label.value.jsonQuoted)"
  }
  let inside = (isPlain || name.isEmpty ? [] : [name.jsonQuoted]) + others
  return isPlain && inside.isEmpty ? name : "\(isPlain ? name : ""){\(inside.joined(separator: ","))}"
}
