import Bytes
import NIOCore

/// What an API server's answers make of pods, without a server: for answers that were recorded, or damaged.
package enum KubernetesReplay {
  /// The groups of the pods that a list and a watch leave; what cannot be read counts for nothing.
  package static func groups(list: [UInt8], watch: [UInt8]) -> [TargetGroup] {
    var store = ObjectStore<Pod>()
    store.beginList()
    store.beginPage()
    _ = store.takeListPart(ByteBuffer(bytes: list))
    if (try? store.endPage()) != nil { _ = store.endList() }
    store.beginWatch()
    _ = store.takeWatchPart(ByteBuffer(bytes: watch))
    let context = TargetContext()
    return store.references.compactMap { store[$0]?.group(context) }
  }
}
