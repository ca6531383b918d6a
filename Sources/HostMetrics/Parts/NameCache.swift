import Bytes

/// What was worked out for each device, found again without hashing while the devices come in the order of last time.
///
/// A pass over the kernel's list begins with `restart`, asks for each name, and ends with `finish`.
struct NameCache<Value> {
  private var entries: [(name: [UInt8], value: Value)] = []
  private var known: [[UInt8]: Value] = [:]
  private var position = 0
  /// Whether the names, or their order, are not those of the last pass.
  private var hasChanged = false

  mutating func restart() {
    position = 0
    hasChanged = false
  }

  /// What belongs to the name; `make` works it out for a new one.
  mutating func value(for name: RawSpan, _ make: ([UInt8]) -> Value) -> Value {
    defer { position += 1 }
    if position < entries.count {
      let expected = entries[position].name
      if expected.span.bytes.compare(name) == 0 { return entries[position].value }
    }
    hasChanged = true
    let key = name.array
    let value: Value
    if let old = known[key] {
      value = old
    } else {
      value = make(key)
      known[key] = value
    }
    if position < entries.count { entries[position] = (key, value) } else { entries.append((key, value)) }
    return value
  }

  /// Forgets the names that did not come.
  mutating func finish() {
    if position < entries.count {
      entries.removeLast(entries.count - position)
      hasChanged = true
    }
    if hasChanged { known = Dictionary(entries.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first }) }
  }
}

/// What has a name that the kernel gave it.
protocol Named: AnyObject {
  var name: [UInt8] { get }
}

/// Devices in the order in which they are shown: by name. They are put into it anew only when others are there, or in
/// another order, than last time.
struct DevicesByName<Device: Named> {
  /// As the kernel listed them last.
  private var listed: [Device] = []
  private(set) var devices: [Device] = []

  /// Takes the devices that are there now, as the kernel lists them.
  mutating func take(_ present: [Device]) {
    guard !present.elementsEqual(listed, by: ===) else { return }
    listed = present
    devices = present.sorted { $0.name.lexicographicallyPrecedes($1.name) }
  }
}
