// What it costs to fetch pages by HTTP: the client's CPU time for each, allocations, and memory for each kept connection.
// Every target is fetched once per interval, on its own connection, by one event loop; first come two intervals that are
// not measured. The targets answer on consecutive ports of 127.0.0.1.
//
//     swift run -c release Transport FIRST_PORT TARGETS INTERVAL_SECONDS SECONDS [async]
//
// With `async`, each fetch is a task of its own.

import CAllocations
import Glibc
import HTTPClient
import NIOCore
import NIOPosix

@main
enum Transport {
  static func main() async throws {
    let numbers = CommandLine.arguments.dropFirst().compactMap(Int.init)
    guard numbers.count == 4 else {
      print("usage: Transport FIRST_PORT TARGETS INTERVAL_SECONDS SECONDS [async]")
      exit(2)
    }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let client = HTTPClient(eventLoopGroup: group)
    let requests = try (0..<numbers[1]).map {
      HTTPRequest(
        url: try HTTPURL("http://127.0.0.1:\(numbers[0] + $0)/metrics"),
        headers: [("Accept", "text/plain;version=0.0.4"), ("User-Agent", "pilotfish-benchmark")])
    }
    let isAsync = CommandLine.arguments.last == "async"
    let fetcher = Fetcher(
      client, group.next(), requests, interval: .nanoseconds(Int64(numbers[2]) * 1_000_000_000), isAsync: isAsync)
    let memory = residentBytes()
    try await fetcher.run(count: 2 * requests.count)
    let perConnection = (residentBytes() - memory) / requests.count
    let count = numbers[3] * requests.count / numbers[2]
    let (before, start) = (allocations(), cpuMicroseconds())
    try await fetcher.run(count: count)
    let (after, end) = (allocations(), cpuMicroseconds())
    print(
      """
      fetches=\(count) failures=\(fetcher.failures) bytes/fetch=\(fetcher.bytes / max(fetcher.fetches, 1)) \
      cpu_us/fetch=\(tenths((end.user + end.system - start.user - start.system) / Double(count))) \
      user_us/fetch=\(tenths((end.user - start.user) / Double(count))) \
      allocations/fetch=\(tenths(Double(after.calls - before.calls) / Double(count))) \
      rss_bytes/connection=\(perConnection)
      """)
    await client.shutdown()
    try await group.shutdownGracefully()
  }

  private static func tenths(_ value: Double) -> String { String((value * 10).rounded() / 10) }

  private static func cpuMicroseconds() -> (user: Double, system: Double) {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func microseconds(_ time: timeval) -> Double { Double(time.tv_sec) * 1e6 + Double(time.tv_usec) }
    return (microseconds(usage.ru_utime), microseconds(usage.ru_stime))
  }

  private static func residentBytes() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, 128, file) != nil else { return 0 }
    let fields = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(
      separator: " ")
    return (Int(fields[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE))
  }
}

/// `@unchecked Sendable`: used on its event loop; the counts are read when a run is over.
final class Fetcher: @unchecked Sendable {
  private let client: HTTPClient
  private let eventLoop: any EventLoop
  private let requests: [PreparedRequest]
  private let spacing: TimeAmount
  private let isAsync: Bool
  private let limits = HTTPLimits(timeout: .seconds(10), bodyBytes: 64 << 20)
  private(set) var fetches = 0
  private(set) var failures = 0
  private(set) var bytes = 0
  private var next = NIODeadline.now()
  private var started = 0
  private var ended = 0
  private var count = 0
  private var whenDone: (() -> Void)?

  init(
    _ client: HTTPClient, _ eventLoop: any EventLoop, _ requests: [HTTPRequest], interval: TimeAmount, isAsync: Bool
  ) {
    self.client = client
    self.eventLoop = eventLoop
    self.requests = requests.map { PreparedRequest($0) }
    self.isAsync = isAsync
    spacing = .nanoseconds(interval.nanoseconds / Int64(requests.count))
  }

  func run(count: Int) async throws {
    await withCheckedContinuation { waiter in
      eventLoop.execute {
        (self.started, self.ended, self.count) = (0, 0, count)
        self.next = .now()
        self.whenDone = { waiter.resume() }
        self.step()
      }
    }
  }

  private func step() {
    let request = requests[started % requests.count]
    started += 1
    if isAsync {
      Task {
        let response = try? await client.send(request.request, limits: limits)
        eventLoop.execute { self.received(response) }
      }
    } else {
      client.send(request, limits: limits, on: eventLoop) { self.received(try? $0.get()) }
    }
    next = next + spacing
    if started < count { _ = eventLoop.scheduleTask(deadline: next) { self.step() } }
  }

  private func received(_ response: HTTPResponse?) {
    fetches += 1
    if let response, response.status == 200 { bytes += response.body.readableBytes } else { failures += 1 }
    ended += 1
    if ended == count { whenDone?() }
  }
}
