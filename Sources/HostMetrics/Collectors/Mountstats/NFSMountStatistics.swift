import Bytes

/// What /proc/self/mountstats tells of an NFS mount.
struct NFSMountStatistics {
  struct Transport {
    /// tcp, udp or rdma.
    let kind: String
    /// As many as TCP has, in its order; those that the kind or the version does not have are 0.
    let numbers: [UInt64]
  }

  struct Operation {
    let name: String
    let numbers: [UInt64]
  }

  /// The place among all mounts of the file.
  let position: Int
  let device: String
  let mountPoint: String
  private let version: String
  /// In seconds.
  private(set) var age: UInt64 = 0
  private(set) var bytes = [UInt64](repeating: 0, count: 8)
  private(set) var events = [UInt64](repeating: 0, count: 27)
  private(set) var transports: [Transport] = []
  private(set) var operations: [Operation] = []
  private var isInOperations = false

  /// The NFS mounts of the file; one that is malformed is left out.
  static func all(in text: RawSpan) -> [NFSMountStatistics] {
    var mounts: [NFSMountStatistics] = []
    var current: NFSMountStatistics?
    var position = 0
    var lines = ByteScanner(text)
    while let line = lines.line() {
      var fields = ByteScanner(line)
      if line.starts(with: "device ") || line.starts(with: "no device ") {
        if let current { mounts.append(current) }
        current = NFSMountStatistics(line, at: position)
        position += 1
      } else if let key = fields.field(), var mount = current {
        current = mount.take(key, &fields) ? mount : nil
      }
    }
    if let current { mounts.append(current) }
    return mounts
  }

  /// The mount of a line "device DEVICE mounted on PATH with fstype TYPE statvers=VERSION"; nil when it is none of NFS.
  private init?(_ line: RawSpan, at position: Int) {
    let words = String(utf8: line).split(separator: " ")
    guard words.count > 8, words[0] == "device", words[2] == "mounted", words[3] == "on", words[5] == "with",
      words[6] == "fstype", ["nfs", "nfs4"].contains(words[7]), words[8].hasPrefix("statvers=")
    else { return nil }
    self.position = position
    device = String(words[1])
    mountPoint = String(words[4])
    version = String(words[8].dropFirst(9))
  }

  /// Takes the rest of a line; false when it is malformed.
  private mutating func take(_ key: RawSpan, _ fields: inout ByteScanner) -> Bool {
    if isInOperations {
      guard let numbers = Self.numbers(&fields), numbers.count >= 8 else { return false }
      let isEnded = key.ends(with: ":")
      let name = isEnded ? key.extracting(0..<key.byteCount - 1) : key
      operations.append(Operation(name: String(utf8: name), numbers: Array(numbers.prefix(8))))
      return true
    }
    if key.equals("per-op") {
      isInOperations = true
    } else if key.equals("age:") {
      guard let seconds = fields.unsigned() else { return false }
      age = seconds
    } else if key.equals("bytes:") {
      guard let numbers = Self.numbers(&fields), numbers.count == bytes.count else { return false }
      bytes = numbers
    } else if key.equals("events:") {
      guard let numbers = Self.numbers(&fields), numbers.count == events.count else { return false }
      events = numbers
    } else if key.equals("xprt:") {
      guard let kind = fields.field(), let numbers = Self.numbers(&fields),
        let transport = Transport(String(utf8: kind), version, numbers)
      else { return false }
      transports.append(transport)
    }
    return true
  }

  private static func numbers(_ fields: inout ByteScanner) -> [UInt64]? {
    var numbers: [UInt64] = []
    while let field = fields.field() {
      guard let number = UInt64(decimal: field) else { return nil }
      numbers.append(number)
    }
    return numbers
  }
}

extension NFSMountStatistics.Transport {
  /// How many numbers each kind has, by the statistics' version.
  private static let widths = [
    "1.0": ["tcp": 10, "udp": 7],
    "1.1": ["tcp": 13, "udp": 10, "rdma": 20],
  ]

  /// Nil when there are not as many numbers as the kind should have.
  fileprivate init?(_ kind: String, _ version: String, _ numbers: [UInt64]) {
    guard let width = Self.widths[version]?[kind], numbers.count == width || (kind == "rdma" && numbers.count > width)
    else { return nil }
    var numbers = numbers
    // UDP knows no connections, and so none of their times; RDMA's further numbers are others than TCP's.
    if kind == "udp" { numbers.insert(contentsOf: [0, 0, 0], at: 2) }
    if kind == "rdma" { numbers.removeLast(numbers.count - 10) }
    numbers += [UInt64](repeating: 0, count: max(13 - numbers.count, 0))
    self.kind = kind
    self.numbers = numbers
  }
}
