/// A growing buffer of bytes that is written from front to back and reused: text and protobuf are made in it.
///
/// After its first uses it has the capacity that its content needs, and appending allocates nothing.
public struct ByteWriter: ~Copyable {
  private var storage: UnsafeMutableRawBufferPointer
  public private(set) var count = 0

  public init(capacity: Int = 4096) {
    storage = .allocate(byteCount: max(capacity, 64), alignment: 16)
  }

  deinit { storage.deallocate() }

  /// What was written.
  public var bytes: RawSpan {
    @_lifetime(borrow self) borrowing get {
      _overrideLifetime(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: storage[..<count])), borrowing: self)
    }
  }

  /// Hands what was written to `body`, which may use it as long as it runs.
  public func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R { try body(bytes) }

  public func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    try body(UnsafeRawBufferPointer(rebasing: storage[..<count]))
  }

  /// Forgets the content, keeps the memory.
  public mutating func removeAll() { count = 0 }

  /// Forgets what was written after the first `length` bytes.
  public mutating func truncate(to length: Int) { count = min(count, max(length, 0)) }

  /// Makes room for `more` bytes.
  @inline(__always)
  public mutating func reserve(_ more: Int) {
    if storage.count - count < more { grow(more) }
  }

  @inline(never)
  private mutating func grow(_ more: Int) {
    let larger = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(storage.count * 2, count + more), alignment: 16)
    larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[..<count]))
    storage.deallocate()
    storage = larger
  }

  @inline(__always)
  public mutating func append(_ byte: UInt8) {
    reserve(1)
    storage.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
    count += 1
  }

  @inline(__always)
  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count)
    (storage.baseAddress! + count).copyMemory(from: source, byteCount: bytes.count)
    count += bytes.count
  }

  @inline(__always)
  public mutating func append(_ bytes: RawSpan) { bytes.withUnsafeBytes { append($0) } }

  public mutating func append(_ content: borrowing ByteWriter) { append(content.bytes) }

  public mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }

  public mutating func append(_ text: StaticString) {
    append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  public mutating func append(_ text: String) {
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
  }

  /// Hands out `capacity` bytes behind the content to be filled; `fill` says how many it wrote.
  public mutating func append<E: Error>(
    capacity: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) {
    reserve(capacity)
    let free = UnsafeMutableRawBufferPointer(rebasing: storage[count..<count + capacity])
    let written = try fill(free)
    precondition(written >= 0 && written <= capacity, "ByteWriter.append: wrote past the room it was given")
    count += written
  }

  /// Writes a number over the four bytes that stand at `offset`, lowest byte first.
  public mutating func overwrite(littleEndian value: UInt32, at offset: Int) {
    precondition(offset >= 0 && offset + 4 <= count, "ByteWriter.overwrite: beyond the content")
    storage.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self)
  }

  /// Puts one byte before what stands at `offset`.
  mutating func insert(_ byte: UInt8, at offset: Int) {
    reserve(1)
    let place = storage.baseAddress! + offset
    (place + 1).copyMemory(from: place, byteCount: count - offset)
    place.storeBytes(of: byte, as: UInt8.self)
    count += 1
  }

  /// Appends the number in decimal digits.
  public mutating func append(decimal value: UInt64) {
    reserve(20)
    var length = 1
    var rest = value
    while rest >= 10 {
      rest /= 10
      length += 1
    }
    rest = value
    var offset = count + length
    repeat {
      offset -= 1
      storage.storeBytes(of: UInt8(truncatingIfNeeded: rest % 10) + 0x30, toByteOffset: offset, as: UInt8.self)
      rest /= 10
    } while offset > count
    count += length
  }

  /// Appends the number in decimal digits, with a sign if it is negative.
  public mutating func append(decimal value: Int64) {
    if value < 0 { append(UInt8(ascii: "-")) }
    append(decimal: value.magnitude)
  }
}
