// How the API server sends objects: a list is one JSON object with an array `items`, a watch is a line of JSON for each
// event (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes). Both are cut into
// objects as they come, so that no more than one object is held.

import Bytes

/// What cannot be an answer of the API server.
struct StreamFault: Error {
  let reason: String
}

/// Bytes of one object: etcd holds none of more than 1.5 MiB, which is more as JSON.
private let objectLimit = 8 << 20

/// Cuts a list into its items; what stands around them is kept.
final class ListCutter {
  private static let headLimit = 1 << 20
  /// Brackets around an item: those of the list and of `items`.
  private static let itemDepth = 2

  /// The list without its items.
  private(set) var head: [UInt8] = []
  /// Items that were too long, and left out.
  private(set) var tooLong = 0
  private var item: [UInt8] = []
  private var isTooLong = false
  private var depth = 0
  private var isInItems = false
  private var isInString = false
  private var isEscaped = false

  /// Takes bytes of the list and gives each item that ends in them.
  func take(_ bytes: RawSpan, _ give: (RawSpan) -> Void) throws(StreamFault) {
    // Where, in these bytes, begins what is not stored yet.
    var start = 0
    for offset in 0..<bytes.byteCount {
      let byte = bytes.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
      if isInString {
        if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
          isInString = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): isInString = true
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        if isInItems, depth == Self.itemDepth { start = offset }
        depth += 1
        if !isInItems, depth == Self.itemDepth, byte == UInt8(ascii: "[") {
          try store(bytes.extracting(start..<offset + 1))
          start = offset + 1
          isInItems = isBehindItems
        }
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        if depth < 0 { throw StreamFault(reason: "the list has a bracket too many") }
        if isInItems, depth == Self.itemDepth {
          try end(bytes.extracting(start..<offset + 1), give)
          start = offset + 1
        } else if isInItems, depth < Self.itemDepth {
          isInItems = false
          start = offset
        }
      default: break
      }
    }
    // Commas and blanks between items are nothing to keep.
    if !isInItems || depth > Self.itemDepth { try store(bytes.extracting(start..<bytes.byteCount)) }
  }

  /// Whether the head ends with the name `items` and the bracket behind it.
  private var isBehindItems: Bool {
    let tail = head.suffix(64).filter { ![0x20, 0x09, 0x0a, 0x0d].contains($0) }
    return tail.suffix(9).elementsEqual("\"items\":[".utf8)
  }

  private func store(_ bytes: RawSpan) throws(StreamFault) {
    guard isInItems else {
      guard head.count + bytes.byteCount <= Self.headLimit else { throw StreamFault(reason: "no list of objects") }
      head += bytes.array
      return
    }
    if isTooLong { return }
    guard item.count + bytes.byteCount <= objectLimit else {
      isTooLong = true
      item = []
      return
    }
    item += bytes.array
  }

  private func end(_ bytes: RawSpan, _ give: (RawSpan) -> Void) throws(StreamFault) {
    if item.isEmpty, !isTooLong {
      give(bytes)
      return
    }
    try store(bytes)
    if isTooLong { tooLong += 1 } else { give(item.span.bytes) }
    isTooLong = false
    item.removeAll(keepingCapacity: item.capacity <= 64 << 10)
  }
}

/// Cuts a watch into its lines.
final class LineCutter {
  private var line: [UInt8] = []
  private var isTooLong = false

  /// Takes bytes and gives each line that ends in them, without its newline; a line that is too long as an empty one.
  func take(_ bytes: RawSpan, _ give: (RawSpan) -> Void) {
    var start = 0
    while let end = bytes.firstIndex(of: .newline, from: start) {
      if line.isEmpty, !isTooLong {
        give(bytes.extracting(start..<end))
      } else {
        store(bytes.extracting(start..<end))
        give(line.span.bytes)
        line.removeAll(keepingCapacity: line.capacity <= 64 << 10)
        isTooLong = false
      }
      start = end + 1
    }
    store(bytes.extracting(start..<bytes.byteCount))
  }

  private func store(_ bytes: RawSpan) {
    guard !isTooLong, line.count + bytes.byteCount <= objectLimit else {
      isTooLong = true
      line = []
      return
    }
    line += bytes.array
  }
}

/// What a list says of itself.
struct ListHead {
  var resourceVersion = ""
  /// What asks for the next part of the list; empty for the last.
  var continuation = ""

  init(_ bytes: RawSpan) throws(JSONValue.Fault) {
    var json = JSONReader(bytes)
    var hasItems = false
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("items") {
        hasItems = true
        guard try json.beginArray() else { continue }
        while try json.nextElement() { try json.skip() }
      } else if json.isMember("metadata") {
        guard try json.beginObject() else { continue }
        while try json.nextMember() {
          if json.isMember("resourceVersion") {
            resourceVersion = try json.string()
          } else if json.isMember("continue") {
            continuation = try json.string()
          } else {
            try json.skip()
          }
        }
      } else {
        try json.skip()
      }
    }
    guard hasItems, !resourceVersion.isEmpty else {
      throw JSONValue.Fault(reason: "no list of objects", offset: json.position)
    }
  }
}

/// A line of a watch.
enum WatchEvent<Object: KubernetesObject> {
  /// The object is new, or has changed.
  case present(Object)
  case deleted(Object)
  /// Nothing has changed up to here.
  case bookmark(resourceVersion: String)
  /// The watch ends.
  case error(APIStatus)

  init(_ bytes: RawSpan, pool: StringPool) throws(JSONValue.Fault) {
    var json = JSONReader(bytes, pool: pool)
    var type = ""
    guard try json.beginObject() else { throw JSONValue.Fault(reason: "no event", offset: 0) }
    var object = json
    while try json.nextMember() {
      if json.isMember("type") {
        type = try json.string()
      } else {
        if json.isMember("object") { object = json }
        try json.skip()
      }
    }
    switch type {
    case "ADDED", "MODIFIED": self = .present(try Object(&object))
    case "DELETED": self = .deleted(try Object(&object))
    // Of any kind; its metadata is all that it has.
    case "BOOKMARK": self = .bookmark(resourceVersion: try Namespace(&object).metadata.resourceVersion)
    case "ERROR": self = .error(try APIStatus(&object))
    default: throw JSONValue.Fault(reason: "no event of a watch", offset: 0)
    }
  }
}

/// `Status`: why the API server refuses.
struct APIStatus {
  var code: Int64 = 0
  var reason = ""
  var message = ""
  var retryAfter: Int64 = 0

  @_lifetime(json: copy json)
  init(_ json: inout JSONReader) throws(JSONValue.Fault) {
    guard try json.beginObject() else { return }
    while try json.nextMember() {
      if json.isMember("code") {
        code = try json.integer() ?? 0
      } else if json.isMember("reason") {
        reason = try json.string()
      } else if json.isMember("message") {
        message = try json.string()
      } else if json.isMember("details") {
        guard try json.beginObject() else { continue }
        while try json.nextMember() {
          if json.isMember("retryAfterSeconds") { retryAfter = try json.integer() ?? 0 } else { try json.skip() }
        }
      } else {
        try json.skip()
      }
    }
  }
}
