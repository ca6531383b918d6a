// How fast the hot paths are, and what they allocate, in the steady state.
//
//     swift run -c release Benchmarks            all of them
//     swift run -c release Benchmarks parser     those whose name contains "parser"
//     swift run -c release Benchmarks pipeline   all of the way, by the number of series (PipelineBenchmark.swift)
//     swift run -c release Benchmarks backlog …  no benchmark: writes a log (LogBenchmarks.swift)
//
// A row is one operation: `ns/sample` and `MB/s` are of the best of its rounds, since other work on the machine
// only ever adds time; `allocs/op` and `bytes/op` are of all rounds together and are exact.

@main
enum Benchmarks {
  static func main() async {
    let wanted = CommandLine.arguments.dropFirst()
    if wanted.first == "backlog" { return Backlog.run(Array(wanted.dropFirst())) }
    if wanted.first == "pipeline" { return await PipelineBenchmark.run(Array(wanted.dropFirst())) }
    Measurement.printHead()
    for (name, run) in all where wanted.isEmpty || wanted.contains(where: name.contains) { run(name) }
  }

  private static let all: [(name: String, run: @Sendable (String) -> Void)] = [
    ("writer", runWriter),
    ("parser", runParser),
    ("numbers", runNumbers),
    ("series cache", runSeriesCache),
    ("series cache, OM", runOpenMetricsSeriesCache),
    ("series cache, protobuf", runProtobufSeriesCache),
    ("series cache, direct", runWriterSeriesCache),
    ("series cache, new", runNewSeries),
    ("encoder 1.0", runEncoder),
    ("encoder 2.0", runEncoder2),
    ("snappy", runSnappy),
    ("log", runLog),
    ("gzip", runGzip),
  ]
}
