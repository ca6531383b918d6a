// Feeds discovery what a strange API server may send: lists and watches of pods that are mutated.
//
//     swift run -c release Fuzz kubernetes --seconds 60
//
// What must never happen: a crash, or memory without bound.

import Discovery
import Kernel

enum KubernetesFuzz {
  private static let pod =
    #"{"metadata":{"name":"p","namespace":"n","uid":"u","resourceVersion":"7","labels":{"a/b":"c"},"annotations":{"x":"\u00e9\"]}"},"#
    + #""ownerReferences":[{"kind":"K","name":"o","controller":true}],"managedFields":[{"f":{"g":[{}]}}]},"#
    + #""spec":{"nodeName":"m","containers":[{"name":"c","image":"i","ports":[{"containerPort":80,"name":"w","protocol":"TCP"}]}],"#
    + #""initContainers":[{"name":"d"}]},"status":{"phase":"Running","podIP":"192.0.2.1","conditions":"#
    + #"[{"type":"Ready","status":"True"}],"containerStatuses":[{"name":"c","containerID":"x"}]}}"#

  static func run(_ seconds: Int, _ seed: UInt64) async throws {
    let answers = [
      #"{"metadata":{"resourceVersion":"9","continue":""},"items":[\#(pod),\#(pod)]}"#,
      #"{"type":"ADDED","object":\#(pod)}"# + "\n" + #"{"type":"DELETED","object":\#(pod)}"# + "\n"
        + #"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"10"}}}"# + "\n",
    ].map { WorkingCopy.File(path: "", content: Array($0.utf8)) }
    var mutator = Mutator(seed: seed)
    var (rounds, found) = (0, 0)
    let end = MonotonicClock.now + UInt64(max(seconds, 0)) * 1_000_000_000
    while MonotonicClock.now < end {
      rounds += 1
      let groups = KubernetesReplay.groups(
        list: mutator.mutate(answers[0].content, beside: answers),
        watch: mutator.mutate(answers[1].content, beside: answers))
      found += groups.count
    }
    print("\(rounds) rounds, \(found) pods read, resident \(Fuzz.residentKilobytes()) KiB")
  }
}
