import Glibc
import Testing

@testable import Kernel

@Suite struct ProcessesTests {
  @Test func countsThisProcess() throws {
    let counter = ProcessCounter("/proc")
    let counts = try counter.count()
    #expect(counts.processes >= 1)
    #expect(counts.processes == counts.processStates.reduce(0, +))
    #expect(counts.threads >= counts.processes)
    // Threads come and go while they are counted.
    #expect(counts.threadStates.reduce(0, +) >= counts.processes)
  }

  @Test func saysWhatIsMissing() {
    #expect(throws: KernelError("open", "/nowhere", code: ENOENT)) { try ProcessCounter("/nowhere").count() }
  }

  /// No descriptor is left open, however many processes vanish.
  @Test func closesWhatItOpens() throws {
    let counter = ProcessCounter("/proc")
    let before = try Directory.names("/proc/self/fd").count
    for _ in 0..<50 { _ = try counter.count() }
    // Other tests open files meanwhile.
    #expect(try Directory.names("/proc/self/fd").count < before + 100)
  }
}
