import Testing
import YAML

@testable import Configuration

private func guardConfiguration(_ text: String) throws -> GuardConfiguration {
  var configuration = GuardConfiguration()
  configuration.anyJob.series = 1000
  try configuration.take(Array(text.utf8), file: "guard.yml")
  return configuration
}

@Test func readsCeilings() throws {
  let read = try guardConfiguration(
    """
    jobs:
    - {job_name: web, max_series: 20, max_samples_per_second: 0.5}
    - {job_name: db, max_samples_per_day: 1e6}
    metrics:
    - {name: http_requests_total, max_series: 5}
    - {name: http_requests_total, job_name: web, max_series: 7}
    """)
  #expect(read.ceiling(ofJob: "web") == SeriesCeiling(series: 20, samplesPerDay: 43_200))
  #expect(read.ceiling(ofJob: "db") == SeriesCeiling(samplesPerDay: 1e6))
  #expect(read.ceiling(ofJob: "other") == SeriesCeiling(series: 1000))
  #expect(read.ceiling(ofMetric: "http_requests_total", in: "web") == SeriesCeiling(series: 7))
  #expect(read.ceiling(ofMetric: "http_requests_total", in: "db") == SeriesCeiling(series: 5))
  #expect(read.ceiling(ofMetric: "up", in: "web") == SeriesCeiling())
  #expect(try guardConfiguration("").jobs.isEmpty)
}

@Test(arguments: [
  ("job: []", "1:1: job: unknown key, did you mean jobs?"),
  ("jobs: 5", "1:7: jobs: expected a list, found"),
  ("jobs: [{max_series: 5}]", "jobs[0].job_name: is missing"),
  ("jobs: [{job_name: ''}]", "jobs[0].job_name: is missing"),
  ("jobs: [{job_name: a}]", "jobs[0]: no ceiling"),
  ("jobs: [{job_name: a, max_series: 0}]", "jobs[0].max_series: must be greater than 0"),
  ("jobs: [{job_name: a, max_series: -1}]", "jobs[0].max_series: must be greater than 0"),
  ("jobs: [{job_name: a, max_series: many}]", "jobs[0].max_series: expected a whole number"),
  ("jobs: [{job_name: a, max_samples_per_day: .inf}]", "jobs[0].max_samples_per_day: must be greater than 0"),
  ("jobs: [{job_name: a, max_samples_per_day: .nan}]", "jobs[0].max_samples_per_day: must be greater than 0"),
  (
    "jobs: [{job_name: a, max_samples_per_day: 1, max_samples_per_second: 1}]",
    "jobs[0].max_samples_per_day: max_samples_per_second is there as well"
  ),
  ("jobs: [{job_name: a, max_series: 1}, {job_name: a, max_series: 2}]", "jobs[1].job_name: it is there twice"),
  ("metrics: [{job_name: a, max_series: 1}]", "metrics[0].name: is missing"),
  ("metrics: [{name: m, max_series: 1}, {name: m, max_series: 2}]", "metrics[1].name: it is there twice"),
  ("metrics: [~]", "metrics[0]: empty or null entry"), ("- a", "1:1: expected a mapping"), ("a: [", "2:1:"),
])
func refusesCeilings(_ text: String, _ fault: String) {
  let error = #expect(throws: ConfigurationError.self) { try guardConfiguration(text) }
  #expect(error?.description.contains(fault) == true, "\(error?.description ?? "")")
}
