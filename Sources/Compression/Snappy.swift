/// The block format of Snappy (google/snappy, format_description.txt), which remote write puts its requests in.
import Bytes
import CSnappy

/// Why a Snappy block could not be read.
public enum SnappyError: Error, Equatable, CustomStringConvertible {
  /// Its header announces `length` bytes.
  case tooLarge(length: Int, limit: Int)
  case corrupt

  public var description: String {
    switch self {
    case .tooLarge(let length, let limit): "snappy: \(length) bytes when decompressed, more than \(limit)"
    case .corrupt: "snappy: corrupt input"
    }
  }
}

public enum Snappy {
  /// Appends `input` to `output` as one block. A block holds less than 4 GiB.
  public static func compress(_ input: RawSpan, into output: inout ByteWriter) {
    precondition(input.byteCount <= UInt32.max, "a Snappy block holds less than 4 GiB")
    output.append(capacity: snappy_max_compressed_length(input.byteCount)) { free in
      input.withCharacters { characters, count in
        var length = free.count
        let status = snappy_compress(characters, count, free.baseAddress!.assumingMemoryBound(to: CChar.self), &length)
        // It fails only when the room is too small, and the room is what Snappy asked for.
        precondition(status == SNAPPY_OK, "snappy_compress: the room that it asked for does not suffice")
        return length
      }
    }
  }

  /// The content of one block; `limit`: its largest length in bytes.
  public static func uncompress(_ input: RawSpan, limit: Int) throws(SnappyError) -> [UInt8] {
    var length = 0
    let readable = input.withCharacters { characters, count in
      snappy_uncompressed_length(characters, count, &length) == SNAPPY_OK
    }
    guard readable else { throw .corrupt }
    guard length <= limit else { throw .tooLarge(length: length, limit: limit) }
    guard length > 0 else { return [] }
    var status = SNAPPY_OK
    let content = [UInt8](unsafeUninitializedCapacity: length) { free, filled in
      input.withCharacters { characters, count in
        free.withMemoryRebound(to: CChar.self) {
          status = snappy_uncompress(characters, count, $0.baseAddress, &length)
        }
      }
      filled = status == SNAPPY_OK ? length : 0
    }
    guard status == SNAPPY_OK else { throw .corrupt }
    return content
  }
}

extension RawSpan {
  /// As C takes bytes, with an address even when there are none.
  fileprivate func withCharacters<R>(_ body: (UnsafePointer<CChar>, Int) -> R) -> R {
    withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else {
        return withUnsafePointer(to: CChar(0)) { body($0, 0) }
      }
      return body(start.assumingMemoryBound(to: CChar.self), bytes.count)
    }
  }
}
