// Runs one operation many times and prints a line of the table.

import CAllocations

enum Measurement {
  /// The first operations fill buffers and caches; they are not measured.
  private static let warmUp = 20
  private static let rounds = 10
  private static let timePerRound = Duration.milliseconds(100)

  static func printHead() {
    print(columns("benchmark", ["ops/s", "ns/sample", "MB/s", "allocs/op", "bytes/op"]))
  }

  /// - Parameters:
  ///   - samples: of one operation.
  ///   - bytes: that one operation reads or writes, as text or before compression.
  static func run(_ name: String, samples: Int, bytes: Int, _ operation: () -> Void) {
    for _ in 0..<warmUp { operation() }
    let clock = ContinuousClock()
    let perRound = max(1, Int(timePerRound / max(clock.measure(operation), .nanoseconds(1))))
    var best = Duration.seconds(3600)
    let before = allocations()
    for _ in 0..<rounds {
      best = min(best, clock.measure { for _ in 0..<perRound { operation() } })
    }
    let after = allocations()
    let nanoseconds = best / .nanoseconds(1) / Double(perRound)
    let operations = Double(rounds * perRound)
    print(
      columns(
        name,
        [
          whole(1e9 / nanoseconds), tenths(nanoseconds / Double(samples)), whole(Double(bytes) * 1000 / nanoseconds),
          tenths(Double(after.calls - before.calls) / operations),
          whole(Double(after.bytes - before.bytes) / operations),
        ]))
  }

  private static func whole(_ value: Double) -> String { String(Int(value.rounded())) }

  private static func tenths(_ value: Double) -> String { String((value * 10).rounded() / 10) }

  private static func columns(_ name: String, _ values: [String]) -> String {
    values.reduce(name + padding(22, name)) { $0 + padding(11, $1) + $1 }
  }

  private static func padding(_ width: Int, _ text: String) -> String {
    String(repeating: " ", count: max(1, width - text.utf8.count))
  }
}

/// Keeps the compiler from leaving out what makes `value`.
@inline(never)
@_optimize(none)
func use<T>(_ value: T) {}
