import Bytes
import Compression

/// A sample's place in the order in which samples were appended, counted from 1 over the life of the log.
package typealias Ordinal = UInt64

/// The format of the log's files; docs/log-format.md describes it for others.
///
/// The log is a folder of segments. A segment is named by the ordinal of its first sample, begins with a header, and
/// holds records, each of which is one append. It can be read without any other segment: what a record says of series
/// and values counts from the segment's start.
///
///     segment  header record*
///     header   "PILOTLOG" version:u32 ordinal:u64 created:i64 crc:u32       little-endian; created in ms
///     record   length:u32 crc:u32 payload                                    CRC-32 of the payload
///     payload  ordinal time count definition* 0 series* timestamp* value* attachments
///
/// All other numbers are varints, signed ones zigzag.
package enum LogFormat {
  static let magic: StaticString = "PILOTLOG"
  static let version: UInt32 = 1
  package static let headerLength = 32
  package static let recordHeaderLength = 8
  /// A record that claims to be longer is damaged.
  static let longestRecord = 64 << 20
  /// Samples of one record.
  package static let mostSamples = 1 << 16
  /// Ordinals from here on are damage: sums with them must not overflow.
  static let ordinalLimit: Ordinal = 1 << 62
  static let fileSuffix = ".log"

  /// What stands in a record before its samples.
  enum Definition {
    static let end: UInt8 = 0
    /// A label pair, as a field `labels` of `prometheus.TimeSeries`; numbered from 0.
    static let pair: UInt8 = 0x0a
    /// A series: metadata (1 + its number, or 0), how many pairs, their numbers; numbered from 0.
    static let series: UInt8 = 1
    /// Metadata of a family: type, then name, help and unit with their lengths; numbered from 0.
    static let metadata: UInt8 = 2
    /// A series, and the metadata (1 + its number) that it has from now on.
    static let redescription: UInt8 = 3
    /// A series, and since when it counts (milliseconds since the epoch).
    static let start: UInt8 = 4
  }

  /// What may follow the values: the number of the sample after the last one that had an attachment, the kind, and its
  /// bytes with their length.
  enum AttachmentKind {
    /// A `prometheus.Exemplar`.
    static let exemplar: UInt8 = 1
    /// A `prometheus.Histogram` without its timestamp.
    static let histogram: UInt8 = 2
  }

  /// The file of the segment that begins with this sample.
  package static func fileName(_ first: Ordinal) -> String { digits(first) + fileSuffix }

  /// 16 hexadecimal digits, as file names have them.
  static func digits(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// The ordinal in a segment's file name; nil for other files.
  static func ordinal(fileName: String) -> Ordinal? {
    guard fileName.utf8.count == 16 + fileSuffix.utf8.count, fileName.hasSuffix(fileSuffix) else { return nil }
    let digits = fileName.prefix(16)
    guard digits.utf8.allSatisfy({ $0.isDigit || (0x61...0x66).contains($0) }) else { return nil }
    return Ordinal(digits, radix: 16)
  }

  static func appendHeader(first: Ordinal, created: Int64, to output: inout ByteWriter) {
    let start = output.count
    output.append(magic)
    output.append(littleEndian: version)
    output.append(littleEndian: first)
    output.append(littleEndian: UInt64(bitPattern: created))
    let sum = output.withUnsafeBytes { Checksum.crc32(UnsafeRawBufferPointer(rebasing: $0[start...])) }
    output.append(littleEndian: sum)
  }

  /// The header's ordinal and time of creation; nil when it is damaged or of another version.
  static func readHeader(_ bytes: RawSpan) -> (first: Ordinal, created: Int64)? {
    guard bytes.byteCount >= headerLength, bytes.starts(with: magic),
      bytes.littleEndian32(at: 28)
        == bytes.withUnsafeBytes({ Checksum.crc32(UnsafeRawBufferPointer(rebasing: $0[..<28])) }),
      bytes.littleEndian32(at: 8) == version, bytes.littleEndian64(at: 12) < ordinalLimit
    else { return nil }
    return (bytes.littleEndian64(at: 12), Int64(bitPattern: bytes.littleEndian64(at: 20)))
  }
}

extension RawSpan {
  func littleEndian32(at offset: Int) -> UInt32 {
    UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  func littleEndian64(at offset: Int) -> UInt64 {
    UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}
