import Bytes
import Testing

private let hasher = SeriesHasher.process

private func hash(_ bytes: [UInt8], salt: UInt64 = 0) -> SeriesHash { hasher.hash(bytes.span.bytes, salt: salt) }

@Test func lengthsAndPrefixesAreNotConfused() {
  var seen: Set<SeriesHash> = []
  for byte in [UInt8(0), 1, 0x61, 0xff] {
    for length in (byte == 0 ? 0 : 1)..<200 { seen.insert(hash(Array(repeating: byte, count: length))) }
  }
  #expect(seen.count == 4 * 200 - 3)
}

@Test func everyBitOfTheTextCounts() {
  for length in 1..<64 {
    var bytes = (0..<length).map { UInt8($0) }
    var seen: Set<SeriesHash> = [hash(bytes)]
    for bit in 0..<length * 8 {
      bytes[bit / 8] ^= 1 << (bit % 8)
      seen.insert(hash(bytes))
      bytes[bit / 8] ^= 1 << (bit % 8)
    }
    #expect(seen.count == length * 8 + 1)
  }
}

@Test func wordsInAnotherOrderDiffer() {
  let words = ["01234567", "abcdefgh", "ABCDEFGH", "zyxwvuts"]
  var seen: Set<SeriesHash> = []
  for a in words { for b in words { for c in words { seen.insert(hash(Array((a + b + c + "tail").utf8))) } } }
  #expect(seen.count == 64)
}

@Test func saltsSeparate() {
  let text = Array(#"a{le="1"}"#.utf8)
  #expect(hash(text) == hash(text))
  #expect(Set([hash(text), hash(text, salt: 1), hash(text, salt: 2)]).count == 3)
}

@Test func halvesAreSpread() {
  // Series that differ in one number: each half alone must fill 256 bins evenly.
  var low = Array(repeating: 0, count: 256)
  var high = Array(repeating: 0, count: 256)
  var lows: Set<UInt64> = []
  var highs: Set<UInt64> = []
  let count = 65_536
  for index in 0..<count {
    let hash = hash(Array(#"http_requests_total{path="/\#(index)",code="200"}"#.utf8))
    low[Int(hash.low & 255)] += 1
    high[Int(hash.high >> 56)] += 1
    lows.insert(hash.low)
    highs.insert(hash.high)
  }
  #expect(lows.count == count && highs.count == count)
  // 256 expected a bin; 8 standard deviations are 128.
  #expect((low + high).allSatisfy { (128...384).contains($0) })
}
