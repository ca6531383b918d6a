import Testing
import YAML

@testable import Configuration

/// The configuration of a good text.
func configuration(_ yaml: String, environment: [String: String] = [:]) throws -> Configuration {
  try Configuration.parse(Array(yaml.utf8), file: "p.yml") { environment[$0] }
}

/// The faults of a bad text; none when it is taken.
func problems(_ text: [UInt8]) -> [ConfigurationProblem] {
  do throws(ConfigurationError) {
    _ = try Configuration.parse(text, file: "p.yml")
    return []
  } catch {
    return error.problems
  }
}

func problems(_ yaml: String) -> [ConfigurationProblem] { problems(Array(yaml.utf8)) }

/// A job named j with further lines, each indented by two spaces.
func job(_ lines: String...) -> String { entry("scrape_configs:\n- job_name: j\n", lines) }

/// A remote write with further lines, each indented by two spaces.
func remoteWrite(_ lines: String...) -> String { entry("remote_write:\n- url: http://h/w\n", lines) }

private func entry(_ head: String, _ lines: [String]) -> String { head + lines.map { "  \($0)\n" }.joined() }
