import Bytes

/// The texts of one request of remote write 2.0, each once; number 0 is the empty one.
struct SymbolTable: ~Copyable {
  private struct Symbol: HashIndex.Record {
    var offset: Int
    var length: Int
    var hash: UInt32
  }

  private var bytes = ByteWriter()
  private var symbols: [Symbol] = []
  private var index = HashIndex()

  mutating func removeAll() {
    bytes.removeAll()
    symbols.removeAll(keepingCapacity: true)
    index.removeAll()
    symbols.append(Symbol(offset: 0, length: 0, hash: 0))
  }

  /// The number of a text, which is added if need be.
  mutating func number(of text: RawSpan) -> UInt32 {
    if text.byteCount == 0 { return 0 }
    let hash = UInt32(truncatingIfNeeded: SeriesHasher.process.hash(text).low)
    let known = bytes.withUnsafeBytes { all in
      text.withUnsafeBytes { wanted in
        index.find(hash) { candidate in
          let symbol = symbols[Int(candidate)]
          return symbol.hash == hash && symbol.length == wanted.count
            && wanted.elementsEqual(all[symbol.offset..<symbol.offset + symbol.length])
        }
      }
    }
    if let known { return known }
    symbols.append(Symbol(offset: bytes.count, length: text.byteCount, hash: hash))
    bytes.append(text)
    let number = UInt32(truncatingIfNeeded: symbols.count - 1)
    index.insert(number, of: symbols)
    return number
  }

  /// Appends the field `symbols` of a `Request`.
  func append(to message: inout ByteWriter) {
    bytes.withUnsafeBytes { all in
      for symbol in symbols {
        message.append(Protobuf.lengthDelimited(4))
        message.append(varint: UInt64(symbol.length))
        message.append(UnsafeRawBufferPointer(rebasing: all[symbol.offset..<symbol.offset + symbol.length]))
      }
    }
  }
}
