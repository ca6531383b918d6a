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
  let documented =
    "50494c4f544c4f470100000001000000000000000068e5cf8b0100001fb9a0c1540000003f3da37d0180a0abfef96202"
    + "0a0e0a085f5f6e616d655f5f120275700a080a036a6f62120161020202757006416c6976652e0001010200010a100a08"
    + "5f5f6e616d655f5f12046c6f61640100020201000002000261903200100000003fa6c5ff03b08aadfef9620200000200"
    + "02007900"
  #expect(hex == documented)
}
