// Ceilings of the agent's guard against floods of series: by flags, and by a small YAML file of its own, since
// prometheus.yml has no place for them.
//
//     jobs:
//     - job_name: web
//       max_series: 20000
//       max_samples_per_second: 1500
//     metrics:
//     - name: http_requests_total
//       max_series: 500
//     - name: http_requests_total
//       job_name: batch
//       max_samples_per_day: 1000000

import YAML

/// Up to where new series are taken. Those that are there stay.
public struct SeriesCeiling: Sendable, Equatable {
  /// Nil: as many as come.
  public var series: Int?
  /// Samples a day that the series give at their scrape intervals; nil: as many as come.
  public var samplesPerDay: Double?

  public init(series: Int? = nil, samplesPerDay: Double? = nil) {
    self.series = series
    self.samplesPerDay = samplesPerDay
  }
}

/// The ceilings for jobs, and for metric names within a job.
public struct GuardConfiguration: Sendable, Equatable {
  /// Of a job, and of a metric name, which has none of its own.
  public var anyJob = SeriesCeiling()
  public var anyMetric = SeriesCeiling()
  public var jobs: [String: SeriesCeiling] = [:]
  /// In each job.
  public var metrics: [String: SeriesCeiling] = [:]
  /// By job, then by name.
  public var metricsOfJobs: [String: [String: SeriesCeiling]] = [:]

  public init() {}

  public func ceiling(ofJob job: String) -> SeriesCeiling { jobs[job] ?? anyJob }

  public func ceiling(ofMetric name: String, in job: String) -> SeriesCeiling {
    metricsOfJobs[job]?[name] ?? metrics[name] ?? anyMetric
  }

  // MARK: The file

  private static let keys = BlockKeys(served: ["jobs", "metrics"])
  private static let ceilingKeys = ["max_series", "max_samples_per_second", "max_samples_per_day"]
  private static let jobKeys = BlockKeys(served: ["job_name"] + ceilingKeys)
  private static let metricKeys = BlockKeys(served: ["name", "job_name"] + ceilingKeys)

  /// Takes over what a file says, beside the ceilings that are there.
  ///
  /// - Throws: `ConfigurationError` with all faults of the file, or `FileFault` when it cannot be read.
  public mutating func load(_ path: String) throws {
    try take(try WholeFile.read(path, limit: YAMLParser.sizeLimit), file: path)
  }

  mutating func take(_ text: [UInt8], file: String) throws(ConfigurationError) {
    var copy = self
    copy = try BlockReader.read(text, file: file, Self.keys) { root in
      var read = copy
      for block in root.blocks("jobs", Self.jobKeys) {
        guard let job = block.name("job_name") else { continue }
        if read.jobs.updateValue(block.ceiling, forKey: job) != nil { block.refuse("job_name", "it is there twice") }
      }
      for block in root.blocks("metrics", Self.metricKeys) {
        guard let name = block.name("name") else { continue }
        let old =
          if let job = block.string("job_name") {
            read.metricsOfJobs[job, default: [:]].updateValue(block.ceiling, forKey: name)
          } else {
            read.metrics.updateValue(block.ceiling, forKey: name)
          }
        if old != nil { block.refuse("name", "it is there twice") }
      }
      return read
    }
    self = copy
  }
}

extension BlockReader {
  fileprivate func name(_ key: String) -> String? {
    if let name = string(key), !name.isEmpty { return name }
    refuse(key, "is missing")
    return nil
  }

  fileprivate var ceiling: SeriesCeiling {
    let (second, day) = ("max_samples_per_second", "max_samples_per_day")
    if has(second), has(day) { refuse(day, "\(second) is there as well; one of the two is enough") }
    if !["max_series", second, day].contains(where: has) {
      problems.add(position, path, "no ceiling: expected max_series, \(second) or \(day)")
    }
    return SeriesCeiling(
      series: positive("max_series"), samplesPerDay: above0(day) ?? above0(second).map { $0 * 86_400 })
  }

  private func above0(_ key: String) -> Double? {
    guard let number = number(key) else { return nil }
    guard number > 0, number.isFinite else {
      refuse(key, "must be greater than 0")
      return nil
    }
    return number
  }
}
