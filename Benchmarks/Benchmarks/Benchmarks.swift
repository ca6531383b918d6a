// How fast the hot paths are, and what they allocate, in the steady state.
//
//     swift run -c release Benchmarks            all of them
//     swift run -c release Benchmarks parser     those whose name contains "parser"
//
// A row is one operation: `ns/sample` and `MB/s` are of the best of its rounds, since other work on the machine
// only ever adds time; `allocs/op` and `bytes/op` are of all rounds together and are exact.

@main
enum Benchmarks {
  static func main() {
    let wanted = CommandLine.arguments.dropFirst()
    Measurement.printHead()
    for (name, run) in all where wanted.isEmpty || wanted.contains(where: name.contains) { run(name) }
  }

  private static let all: [(name: String, run: @Sendable (String) -> Void)] = [
    ("writer", runWriter),
    ("parser", runParser),
    ("numbers", runNumbers),
    ("series cache", runSeriesCache),
    ("encoder 1.0", runEncoder),
    ("encoder 2.0", runEncoder2),
    ("snappy", runSnappy),
    ("gzip", runGzip),
  ]
}
