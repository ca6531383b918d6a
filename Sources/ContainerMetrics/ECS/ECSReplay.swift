import Bytes
import Exposition

/// Answers of the metadata endpoint as a page, without asking anybody: for the fuzzer.
package struct ECSReplay: ~Copyable {
  private var ledger = NetworkLedger()
  private var containers = ContainerWriter()
  private let exposition = TextExposition()
  private var output = ByteWriter()

  package init() {}

  /// - Returns: the bytes of the page; 0 when there is none.
  package mutating func render(task: [UInt8], statistics: [UInt8]) -> Int {
    guard let metadata = try? JSONValue(parsing: task.span.bytes),
      let task = ECSTask(
        metadata, statistics: try? JSONValue(parsing: statistics.span.bytes), at: 1, device: { "\($0):\($1)" })
    else { return 0 }
    let reading = ledger.read(task)
    let writer = MetricWriter()
    containers.write(reading.containers, to: writer)
    ECSExporterNames.write(reading, to: writer)
    output.removeAll()
    exposition.render([writer], into: &output)
    return output.count
  }
}
