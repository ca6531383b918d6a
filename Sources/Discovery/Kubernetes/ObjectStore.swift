import Bytes
import NIOCore

/// What has happened to an object.
struct ObjectChange: Sendable {
  enum Event: String, Sendable { case add, update, delete }

  let event: Event
  let reference: ObjectReference
}

/// The objects of a query, as lists and watches bring them.
struct ObjectStore<Object: KubernetesObject> {
  /// How many objects there may be.
  static var limit: Int { 250_000 }

  /// From where the next watch goes on.
  private(set) var resourceVersion = ""
  /// Why the answer at work is of no use.
  private(set) var fault: KubernetesFailure?
  private var objects: [ObjectReference: Object] = [:]
  private var changes: [ObjectChange] = []
  /// Those that the list at work has.
  private var listed: Set<ObjectReference> = []
  /// Objects of the list at work that could not be read.
  private var unreadable = 0
  private var list = ListCutter()
  private var lines = LineCutter()
  private let pool = StringPool()

  var references: [ObjectReference] { Array(objects.keys) }
  subscript(reference: ObjectReference) -> Object? { objects[reference] }

  /// What has changed since the last call.
  mutating func takeChanges() -> [ObjectChange] {
    defer { changes = [] }
    return changes
  }

  // MARK: Lists

  mutating func beginList() {
    listed = []
    unreadable = 0
  }

  mutating func beginPage() {
    list = ListCutter()
    fault = nil
  }

  /// False when the rest is of no use.
  mutating func takeListPart(_ part: ByteBuffer) -> Bool {
    guard fault == nil else { return false }
    let list = list
    do throws(StreamFault) {
      try list.take(part.readableBytesSpan) { item in
        var json = JSONReader(item, pool: pool)
        guard let object = try? Object(&json), let reference = reference(of: object) else {
          unreadable += 1
          return
        }
        listed.insert(reference)
        put(object, reference)
      }
    } catch {
      fault = KubernetesFailure(reason: error.reason)
    }
    return fault == nil
  }

  /// What asks for the next part of the list; empty when this was the last.
  mutating func endPage() throws(KubernetesFailure) -> String {
    if let fault { throw fault }
    do throws(JSONValue.Fault) {
      let text = list.head
      let head = try ListHead(text.span.bytes)
      unreadable += list.tooLong
      resourceVersion = head.resourceVersion
      return head.continuation
    } catch {
      throw KubernetesFailure(reason: "the answer is no list: \(error)")
    }
  }

  /// Takes away what is not in the list.
  ///
  /// - Returns: how many objects could not be read, and were left out.
  mutating func endList() -> Int {
    for reference in objects.keys where !listed.contains(reference) { remove(reference) }
    listed = []
    return unreadable
  }

  // MARK: Watches

  mutating func beginWatch() {
    lines = LineCutter()
    fault = nil
  }

  /// False when the rest is of no use.
  mutating func takeWatchPart(_ part: ByteBuffer) -> Bool {
    guard fault == nil else { return false }
    let lines = lines
    lines.take(part.readableBytesSpan) { line in
      if fault == nil { takeEvent(line) }
    }
    return fault == nil
  }

  private mutating func takeEvent(_ line: RawSpan) {
    let event: WatchEvent<Object>
    do throws(JSONValue.Fault) {
      event = try WatchEvent(line, pool: pool)
    } catch {
      fault = KubernetesFailure(reason: "the watch brought what is no event: \(error)")
      return
    }
    switch event {
    case .present(let object):
      guard let reference = reference(of: object) else { return }
      put(object, reference)
      advance(to: object.metadata.resourceVersion)
    case .deleted(let object):
      guard let reference = reference(of: object) else { return }
      remove(reference)
      advance(to: object.metadata.resourceVersion)
    case .bookmark(let version): advance(to: version)
    case .error(let status):
      fault = KubernetesFailure(
        reason: "the watch ended: \(status.message.prefix(500))",
        isGone: status.code == 410 || status.reason == "Expired" || status.reason == "Gone")
    }
  }

  // MARK: Objects

  private mutating func advance(to version: String) {
    if !version.isEmpty { resourceVersion = version }
  }

  /// Nil for an object without a name, or without a namespace where one must be.
  private func reference(of object: Object) -> ObjectReference? {
    let metadata = object.metadata
    guard !metadata.name.isEmpty, Object.resource.isOfCluster || !metadata.namespace.isEmpty else { return nil }
    return ObjectReference(
      resource: Object.resource, namespace: Object.resource.isOfCluster ? "" : metadata.namespace, name: metadata.name)
  }

  private mutating func put(_ object: Object, _ reference: ObjectReference) {
    let known = objects[reference]
    if known == nil, objects.count >= Self.limit {
      fault = KubernetesFailure(
        reason: "more than \(Self.limit) \(Object.resource.rawValue); choose by namespaces or selectors")
      return
    }
    // A list has again what is known.
    let version = object.metadata.resourceVersion
    if let known, !version.isEmpty, known.metadata.resourceVersion == version { return }
    objects[reference] = object
    changes.append(ObjectChange(event: known == nil ? .add : .update, reference: reference))
  }

  private mutating func remove(_ reference: ObjectReference) {
    guard objects.removeValue(forKey: reference) != nil else { return }
    changes.append(ObjectChange(event: .delete, reference: reference))
  }
}
