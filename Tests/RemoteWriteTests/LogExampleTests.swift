import Exposition
import TestSupport
import Testing

@testable import RemoteWrite

/// The segment that docs/log-format.md shows byte by byte.
@Test func theExampleOfTheDocumentationIsWhatIsWritten() throws {
  let directory = TemporaryDirectory()
  var scribe = LogScribe()
  let up = scribe.series("up", [("job", "a")], MetricMetadata(family: "up", type: .gauge, help: "Alive."))
  let load = scribe.series("load", [("job", "a")])
  for (time, value) in [(1_700_000_000_000, 0.25), (1_700_000_015_000, 0.5)] as [(Int64, Double)] {
    scribe.append(
      [Sample(series: up, timestamp: time, value: 1), Sample(series: load, timestamp: time, value: value)],
      now: 1_700_000_000_000)
  }
  scribe.flush(to: directory)
  let bytes = try #require(fileBytes("\(directory.path)/\(LogFormat.fileName(1))"))
  let hex = bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  #expect(hex == "")
}
