import Flags
import Testing
import YAML

@testable import Configuration

private let cpu = Flag("collector.cpu", true)
private let guest = Flag("collector.cpu.guest", true)
private let folders = Flag("collector.textfile.directory", [String]())
private let requests = Flag("web.max-requests", 40)
private let proc = Flag("path.procfs", "/proc")
private let definitions = [cpu.definition, guest.definition, folders.definition, requests.definition, proc.definition]

private func read(_ yaml: String) throws(ConfigurationError) -> FlagValues {
  try FlagFile.parse(Array(yaml.utf8), file: "e.yml", definitions)
}

@Test(arguments: [
  """
  collector.cpu: false
  collector.cpu.guest: false
  collector.textfile.directory: [/a, /b]
  web.max-requests: 7
  path.procfs: /p
  """,
  """
  collector:
    cpu: {enabled: false, guest: false}
    textfile: {directory: [/a, /b]}
  web: {max-requests: "7"}
  path: {procfs: /p}
  """,
])
func flagsStandFlatOrNested(yaml: String) throws {
  let values = try read(yaml)
  #expect(!values[cpu] && !values[guest] && values[folders] == ["/a", "/b"])
  #expect(values[requests] == 7 && values[proc] == "/p")
}

@Test func theCommandLineWins() throws {
  let line = try FlagParser(definitions).parse(["--path.procfs=/mine", "--collector.textfile.directory=/mine"]) {
    _ throws(FlagError) in []
  }
  let values = line.completed(
    by: try read("{path.procfs: /p, collector.textfile.directory: [/a], web.max-requests: 1}"))
  #expect(values[proc] == "/mine" && values[folders] == ["/mine"] && values[requests] == 1 && values[cpu])
}

@Test(arguments: ["", "# nothing\n", "{}"])
func anEmptyFileSaysNothing(yaml: String) throws {
  #expect(try !read(yaml).isGiven(cpu))
}

@Test(arguments: [
  ("colector.cpu: true", "e.yml:1:1: colector.cpu: unknown flag, did you mean collector.cpu?"),
  ("a: 1\nb: 2", "e.yml:1:1: a: unknown flag\ne.yml:2:1: b: unknown flag"),
  ("collector: {cpu: 1}", "e.yml:1:18: collector.cpu: expected true or false, found 1"),
  ("collector.cpu: 'true'", "e.yml:1:16: collector.cpu: expected true or false, found true"),
  ("web.max-requests: many", "e.yml:1:19: web.max-requests: strconv.ParseInt: parsing \"many\": invalid syntax"),
  ("web.max-requests: [1]", "e.yml:1:19: web.max-requests: expected one value, found a list"),
  ("web.max-requests:", "e.yml:1:1: web.max-requests: has no value"),
  ("path.procfs: /a\npath: {procfs: /b}", "e.yml:2:8: path.procfs: stands here twice"),
  ("collector.textfile.directory: [[a]]", "e.yml:1:32: collector.textfile.directory: expected a text, found a list"),
  ("just text", "e.yml:1:1: unknown flag"),
  ("[a]", "e.yml:1:1: unknown flag"),
])
func faultsAreNamedWithTheirPlace(yaml: String, message: String) {
  #expect {
    try read(yaml)
  } throws: {
    "\($0)" == message
  }
}
