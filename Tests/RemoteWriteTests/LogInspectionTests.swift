import Exposition
import TestSupport
import Testing

@testable import RemoteWrite

@Suite struct LogInspectionTests {
  private func folder() throws -> (directory: TemporaryDirectory, names: [String]) {
    let directory = TemporaryDirectory()
    var scribe = LogScribe()
    let series = (0..<3).map { scribe.series("m\($0)") }
    for time in 0..<Int64(6) {
      if time % 2 == 0 { scribe.encoder.endSegment() }
      scribe.append(series.map { Sample(series: $0, timestamp: 1000 + time, value: 1.5) })
    }
    scribe.flush(to: directory)
    let cursor = try CursorFile(path: "\(directory.path)/abc.cursor")
    #expect(cursor.write(Acknowledgement(first: 5, ahead: [7..<9, 12..<100], overtaken: [8..<11])))
    return (directory, [1, 7, 13].map(LogFormat.fileName))
  }

  @Test func aWholeLogIsCounted() throws {
    let (directory, names) = try folder()
    directory.write("00.cursor", "")
    let inspection = try LogInspection(path: directory.path)
    #expect(inspection.damages.isEmpty && inspection.missing == 0)
    #expect(inspection.segments.map(\.file) == names)
    #expect(inspection.segments.map(\.content.samples) == [6, 6, 6])
    #expect(inspection.segments.map(\.content.times) == [1000...1001, 1002...1003, 1004...1005])
    #expect(inspection.total.samples == 18 && inspection.total.records == 6 && inspection.total.series == 3)
    let bytes = names.reduce(0) { $0 + (fileBytes("\(directory.path)/\($1)")?.count ?? 0) }
    #expect(inspection.total.bytes == bytes)
    #expect(inspection.remotes.map(\.key) == ["abc"])
    #expect(inspection.remotes.map(\.unacknowledged) == [5], "5, 6, 9, 10 and 11")
    #expect(inspection.remotes.map(\.overtaken) == [2], "9 and 10")
  }

  @Test func damageIsNamedWithItsByte() throws {
    let (directory, names) = try folder()
    var bytes = try #require(fileBytes("\(directory.path)/\(names[1])"))
    bytes[bytes.count - 1] ^= 1
    directory.write(names[1], bytes: bytes)
    directory.write("abc.cursor", bytes: [UInt8](repeating: 7, count: 8192))
    let inspection = try LogInspection(path: directory.path)
    #expect(inspection.damages.map(\.file) == [names[1], "abc.cursor"])
    #expect(inspection.damages[0].byte > LogFormat.headerLength && inspection.damages[0].byte < bytes.count)
    #expect(inspection.total.samples == 15 && inspection.missing == 3)
  }

  @Test func anUnfinishedEndIsNoDamageInTheLastSegment() throws {
    let (directory, names) = try folder()
    for (index, name) in names.enumerated() {
      let bytes = try #require(fileBytes("\(directory.path)/\(name)"))
      directory.write(name, bytes: Array(bytes.dropLast(3)))
      let inspection = try LogInspection(path: directory.path)
      #expect(inspection.damages.count == (index == 2 ? 0 : 1))
      #expect(inspection.segments[index].unfinishedBytes > 0)
      directory.write(name, bytes: bytes)
    }
    directory.write(LogFormat.fileName(19), "PILOT")
    #expect(try LogInspection(path: directory.path).damages.isEmpty)
    directory.write(LogFormat.fileName(19), bytes: [UInt8](repeating: 0, count: 100))
    #expect(try LogInspection(path: directory.path).damages.count == 1)
  }

  @Test func aFolderThatIsNotThereIsAnError() {
    #expect(throws: LogError.self) { try LogInspection(path: "/nonexistent") }
    #expect((try? LogInspection(path: TemporaryDirectory().path))?.segments.isEmpty ?? true)
  }
}
