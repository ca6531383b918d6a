import Bytes
import Compression
import TestSupport
import Testing

@Suite struct SnappyTests {
  @Test(arguments: GzipTests.contents)
  func whatIsCompressedComesBack(_ content: [UInt8]) throws {
    var output = ByteWriter()
    output.append(UInt8(7))  // it appends
    Snappy.compress(content.span.bytes, into: &output)
    let block = Array(output.bytes.array.dropFirst())
    #expect(try Snappy.uncompress(block.span.bytes, limit: content.count) == content)
  }

  /// From format_description.txt: the length, then a literal; and a copy that repeats what it writes.
  @Test(arguments: [
    ([3, 2 << 2, 97, 98, 99], "abc"),
    ([8, 0, 97, 3 << 2 | 1, 1], "aaaaaaaa"),
    ([0], ""),
  ])
  func blocksOfTheFormat(_ block: [UInt8], _ content: String) throws {
    #expect(try Snappy.uncompress(block.span.bytes, limit: 8) == Array(content.utf8))
  }

  @Test(
    arguments: [
      [], [0x80], [3], [3, 2 << 2, 97, 98], [3, 2 << 2, 97, 98, 99, 100], [4, 0, 97, 1, 9],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [1, 0xfc, 0xff, 0xff, 0xff, 0x7f],
    ] as [[UInt8]])
  func damageIsAnError(_ block: [UInt8]) {
    #expect(throws: SnappyError.corrupt) { try Snappy.uncompress(block.span.bytes, limit: 100) }
  }

  @Test func theLimitHoldsBeforeMemoryIsTaken() {
    let block: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 97]
    #expect(throws: SnappyError.tooLarge(length: 0xffff_ffff, limit: 1000)) {
      try Snappy.uncompress(block.span.bytes, limit: 1000)
    }
  }

  @Test func mutatedBlocksNeverGoBeyondTheLimit() {
    var random = SeededGenerator(4)
    var output = ByteWriter()
    Snappy.compress(Array(String(repeating: "node_cpu_seconds_total ", count: 40).utf8).span.bytes, into: &output)
    let original = output.bytes.array
    for _ in 0..<5000 {
      var block = original
      for _ in 0...Int.random(in: 0..<3, using: &random) {
        block[Int.random(in: 0..<block.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      if let content = try? Snappy.uncompress(block.span.bytes, limit: 2000) { #expect(content.count <= 2000) }
    }
  }
}
