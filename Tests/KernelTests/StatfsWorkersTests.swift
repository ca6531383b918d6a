import Glibc
import Synchronization
import Testing

@testable import Kernel

private let statistics = FilesystemStatistics(
  blockSize: 1, blocks: 2, freeBlocks: 3, availableBlocks: 4, files: 5, freeFiles: 6)

private func path(_ text: String) -> [UInt8] { Array(text.utf8) }

/// A gate that holds up every probe of a path that begins with "stuck" until it is opened.
private final class Gate: Sendable {
  private let isOpen = Atomic(false)
  let asked = Mutex<[String: Int]>([:])

  func open() { isOpen.store(true, ordering: .releasing) }

  @Sendable func probe(_ path: [UInt8]) -> Result<FilesystemStatistics, KernelError> {
    let name = String(decoding: path, as: UTF8.self)
    asked.withLock { $0[name, default: 0] += 1 }
    while name.hasPrefix("stuck"), !isOpen.load(ordering: .acquiring) { usleep(1000) }
    return .success(statistics)
  }
}

@Suite struct StatfsWorkersTests {
  @Test func asksTheKernel() {
    let workers = StatfsWorkers(timeout: .seconds(30), threads: 4, probe: FilesystemStatistics.read)
    let answers = workers.answers(for: [path("/"), path("/nonexistent/mount")])
    if case .statistics(let root) = answers[0] { #expect(root.blockSize > 0) } else { Issue.record("no statistics") }
    #expect(answers[1] == .failure(KernelError("statfs", "/nonexistent/mount", code: ENOENT)))
    #expect(workers.answers(for: []).isEmpty)
  }

  @Test func goesOnPastAStuckMount() {
    let gate = Gate()
    let workers = StatfsWorkers(timeout: .milliseconds(20), threads: 4, probe: gate.probe)
    let paths = ["a", "stuck", "b"].map(path)
    for _ in 0..<1000 {
      #expect(workers.answers(for: paths) == [.statistics(statistics), .timedOut, .statistics(statistics)])
      // The stuck one, the one that took its place, and at most a helper that is about to end.
      #expect(workers.threadCount <= 3)
    }
    #expect(gate.asked.withLock { $0["stuck"] } == 1)
    gate.open()
    while workers.answers(for: paths)[1] != .statistics(statistics) { sched_yield() }
  }

  @Test func isBoundedWhenAllAreStuck() {
    let gate = Gate()
    let workers = StatfsWorkers(timeout: .milliseconds(1), threads: 2, probe: gate.probe)
    let answers = workers.answers(for: (0..<200).map { path("stuck\($0)") })
    #expect(answers == Array(repeating: .timedOut, count: 200))
    #expect(workers.threadCount <= StatfsWorkers.stuckLimit + 2)
    gate.open()
  }
}
