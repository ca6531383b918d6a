import Kernel
import NIOCore
import TestSupport
import Testing

@testable import HTTPClient

/// Files on a mount that hangs: nobody waits for them, and what was read last stays.
@Test(.timeLimit(.minutes(1))) func readingThatHangsStopsNobody() async throws {
  struct State {
    var reads = 0
    var isOpen = true
  }
  let folder = TemporaryDirectory()
  let path = folder.write("f", "")
  let gate = Monitor(State())
  let reader = FileReader<Int>([path]) {
    gate.wait { state, _ in
      guard state.isOpen else { return nil }
      state.reads += 1
      return state.reads
    }
  }
  #expect(try reader.look(patience: .seconds(50)).value?.get() == 1)
  gate.withLock { $0.isOpen = false }
  folder.write("f", "changed")
  let hanging = reader.look(patience: .milliseconds(1))
  #expect(hanging.value == nil && !hanging.isOver)
  let again = reader.look(patience: .seconds(50))
  #expect(again.value == nil && !again.isOver, "the look that hangs is not waited for again")
  gate.withLock { $0.isOpen = true }
  gate.signal()
  var value: Int?
  while value == nil {
    value = try reader.look(patience: .zero).value?.get()
    try await Task.sleep(for: .milliseconds(1))
  }
  // The file is so young that it may have been read once more.
  #expect(value.map { $0 >= 2 } == true)
}
