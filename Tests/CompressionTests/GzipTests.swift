import Bytes
import Compression
import TestSupport
import Testing

@Suite struct GzipTests {
  static let contents: [[UInt8]] = [
    [], [0], Array("go_goroutines 12\n".utf8), [UInt8](repeating: 0, count: 1 << 20),
    (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) },
  ]

  @Test(arguments: contents, [1, 6, 9])
  func whatIsCompressedComesBack(_ content: [UInt8], level: Int) throws {
    let compressor = GzipCompressor(level: level)
    var output = ByteWriter()
    for _ in 0..<2 {  // the second by a compressor that was used before
      output.removeAll()
      compressor.compress(content.span.bytes, into: &output)
      #expect(try gunzip(output.bytes.array, limit: content.count) == content)
    }
  }

  @Test(arguments: [1, 2, 7, 1000])
  func inPiecesAndInSeveralMembers(_ size: Int) throws {
    let compressor = GzipCompressor()
    var output = ByteWriter()
    let content = GzipTests.contents.joined()
    for part in GzipTests.contents { compressor.compress(part.span.bytes, into: &output) }
    #expect(try gunzip(output.bytes.array, limit: content.count, pieces: size) == Array(content))
  }

  @Test func aBombEndsAtTheLimit() {
    let bomb = compressed([UInt8](repeating: 0, count: 32 << 20))
    #expect(bomb.count < 64 << 10)
    #expect(throws: GunzipError.tooLarge(limit: 1 << 20)) { try gunzip(bomb, limit: 1 << 20) }
    var output: [UInt8] = []
    let stream = Gunzip(limit: 100_000)
    #expect(throws: GunzipError.tooLarge(limit: 100_000)) { try feed(stream, bomb, into: &output) }
    #expect(output.count <= 100_000)
  }

  @Test func theLimitIsExact() throws {
    let content = [UInt8](repeating: 7, count: 200_000)
    #expect(try gunzip(compressed(content), limit: 200_000) == content)
    #expect(throws: GunzipError.tooLarge(limit: 199_999)) { try gunzip(compressed(content), limit: 199_999) }
  }

  @Test func everyTruncationIsFound() {
    let whole = compressed(Array("up 1\nprocess_cpu_seconds_total 0.5\n".utf8))
    for length in 0..<whole.count {
      #expect(throws: GunzipError.truncated) { try gunzip(Array(whole[..<length]), limit: 1000) }
    }
  }

  static let damaged: [([UInt8], String)] = [
    (Array("plain text, no gzip".utf8), "gzip: invalid header"),
    (compressed([1, 2, 3]) + [0], "unexpected EOF"),
    (compressed([1, 2, 3]) + [0, 0, 0], "unexpected EOF"),
    (compressed([1, 2, 3]).dropLast(8) + [0, 0, 0, 0, 3, 0, 0, 0], "gzip: invalid checksum"),
    (compressed([1, 2, 3]).dropLast(1) + [9], "gzip: invalid checksum"),
  ]

  @Test(arguments: damaged)
  func damageIsNamed(_ input: [UInt8], _ message: String) {
    let error = #expect(throws: GunzipError.self) { try gunzip(input, limit: 1000) }
    #expect(error?.description == message)
  }

  @Test func mutatedStreamsNeverGoBeyondTheLimit() {
    var random = SeededGenerator(20_240_611)
    let originals = GzipTests.contents.map { compressed(Array($0.prefix(20_000))) }
    for _ in 0..<4000 {
      var input = originals.randomElement(using: &random) ?? []
      for _ in 0...Int.random(in: 0..<4, using: &random) where !input.isEmpty {
        let place = Int.random(in: 0..<input.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: input[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: input[place] = .random(in: 0...255, using: &random)
        case 2: input.remove(at: place)
        default: input.insert(.random(in: 0...255, using: &random), at: place)
        }
      }
      let limit = Int.random(in: 0..<30_000, using: &random)
      let pieces = Int.random(in: 1...1000, using: &random)
      if let output = try? gunzip(input, limit: limit, pieces: pieces) { #expect(output.count <= limit) }
    }
  }
}

private func compressed(_ content: [UInt8]) -> [UInt8] {
  var output = ByteWriter()
  GzipCompressor().compress(content.span.bytes, into: &output)
  return output.bytes.array
}

private func gunzip(_ input: [UInt8], limit: Int, pieces: Int = .max) throws -> [UInt8] {
  let gunzip = Gunzip(limit: 1)
  // What another stream left behind does not matter.
  var output: [UInt8] = []
  try? feed(gunzip, Array(input.prefix(input.count / 2)), into: &output)
  gunzip.reset(limit: limit)
  output = []
  var rest = input[...]
  while !rest.isEmpty {
    try feed(gunzip, Array(rest.prefix(pieces)), into: &output)
    rest = rest.dropFirst(pieces)
  }
  try gunzip.finish()
  return output
}

private func feed(_ gunzip: Gunzip, _ input: [UInt8], into output: inout [UInt8]) throws {
  var room = [UInt8](repeating: 0, count: Gunzip.room)
  try gunzip.feed(input.span.bytes) { fill in
    let count = room.withUnsafeMutableBytes { fill($0) }
    output += room.prefix(count)
  }
}
