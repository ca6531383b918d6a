// What the agent was told and what it is: Prometheus' status endpoints
// (https://prometheus.io/docs/prometheus/latest/querying/api/#status), and the configuration as a page.

import Bytes
import Glibc
import Kernel
import Web

/// `/config` and `/api/v1/status/*`.
struct StatusPages: Sendable {
  let reload: AgentReload
  /// All flags with their values, as text.
  let flags: [(name: String, text: String)]
  /// Bytes; nil: none.
  let memoryLimit: Int?
  let retention: String
  let hostname: String
  private let startTime = now()

  init(
    reload: AgentReload, flags: [(name: String, text: String)], memoryLimit: Int?, retention: String, hostname: String
  ) {
    self.reload = reload
    self.flags = flags.sorted { $0.name < $1.name }
    self.memoryLimit = memoryLimit
    self.retention = retention
    self.hostname = hostname
  }

  func add(to routes: inout WebRoutes) {
    routes["/config"] = { [reload] _, respond in
      respond(.html(TextPage.html(title: "Configuration", text: reload.outcome.effective)))
    }
    let data: [(name: String, value: @Sendable () -> JSON)] = [
      ("config", { [reload] in ["yaml": .string(reload.outcome.effective)] }),
      ("flags", { [flags] in .object(flags.map { ($0.name, .string($0.text)) }) }),
      ("buildinfo", { Self.buildInformation }),
      ("runtimeinfo", { runtimeInformation }),
    ]
    for (name, value) in data {
      routes["/api/v1/status/\(name)"] = { _, respond in respond(.json(["status": "success", "data": value()])) }
    }
  }

  private static let buildInformation: JSON = [
    "version": .string(Version.number), "revision": .string(Version.revision), "branch": .string(Version.branch),
    "buildUser": "pilotfish", "buildDate": "unknown", "goVersion": .string(Version.compiler),
  ]

  /// Prometheus' members; those of Go's runtime tell what is closest to them.
  private var runtimeInformation: JSON {
    let outcome = reload.outcome
    let threads = (try? Directory.names("/proc/self/task").count) ?? 0
    var folder = [CChar](repeating: 0, count: Int(PATH_MAX))
    let hasFolder = getcwd(&folder, folder.count) != nil
    return [
      "startTime": .string(String(rfc3339Nanoseconds: startTime)),
      "CWD": .string(
        hasFolder ? String(decoding: folder.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : ""),
      "hostname": .string(hostname),
      "serverTime": .string(String(rfc3339Nanoseconds: now())),
      "reloadConfigSuccess": .bool(outcome.isSuccess),
      "lastConfigTime": .string(String(rfc3339Nanoseconds: Int64(outcome.lastSuccess * 1e9))),
      "corruptionCount": .integer(0),
      "goroutineCount": .integer(threads),
      "GOMAXPROCS": .integer(Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))),
      "GOMEMLIMIT": .integer(memoryLimit ?? .max),
      "GOGC": "", "GODEBUG": "",
      "storageRetention": .string(retention),
    ]
  }
}

/// Nanoseconds since the epoch.
private func now() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
