import Testing

@testable import Flags

private let guest = Flag("collector.cpu.guest", true, "Guest seconds.")
private let path = Flag("path.procfs", "/proc", "procfs mountpoint.")
private let folders = Flag("textfile.directory", [String](), "Folders.")
private let maximum = Flag("web.max-requests", 40, "Maximum.")
private let timeout = Flag("mount-timeout", Duration.seconds(5), isHidden: true)
private let fixtures = Flag("fixtures", "", "For tests.", showsEmptyDefault: true)
private let parser = FlagParser([
  fixtures.definition,
  guest.definition, path.definition, folders.definition, maximum.definition, timeout.definition,
  Flag("help", false, "Show help.").definition,
])

private func parse(_ arguments: [String], files: [String: [String]] = [:]) throws(FlagError) -> FlagValues {
  try parser.parse(arguments) { name throws(FlagError) in
    guard let lines = files[name] else { throw .unreadableFile(name, "no such file or directory") }
    return lines
  }
}

@Test func valuesAndDefaults() throws {
  let none = try parse([])
  #expect(none[guest] && none[path] == "/proc" && none[folders].isEmpty && none[maximum] == 40 && !none.isGiven(path))
  let given = try parse([
    "--no-collector.cpu.guest", "--path.procfs", "/p", "--textfile.directory=a", "--textfile.directory", "b",
    "--web.max-requests=0", "--mount-timeout=1m2.5s",
  ])
  #expect(!given[guest] && given[path] == "/p" && given[folders] == ["a", "b"] && given[maximum] == 0)
  #expect(given[timeout] == .milliseconds(62_500) && given.isGiven(path))
  #expect(try parse(["--path.procfs="])[path] == "" && parse(["--path.procfs", "-", "--"])[path] == "-")
  #expect(try parse(["--mount-timeout=0"])[timeout] == .zero)
  #expect(try parse(["--mount-timeout=-1.5s"])[timeout] == .milliseconds(-1500))
  #expect(try parse(["@f"], files: ["f": ["--path.procfs=/x", "@g"], "g": ["--web.max-requests=1"]])[maximum] == 1)
}

@Test func aVariableGivesWhatTheLineDoesNot() throws {
  let url = Flag("url", "http://localhost", "Endpoint.", environment: "URL")
  let parser = FlagParser([url.definition])
  func value(_ arguments: [String], _ variable: String?) throws -> String {
    try parser.parse(arguments, environment: { $0 == "URL" ? variable : nil }, readFile: { _ in [] })[url]
  }
  #expect(try value([], nil) == "http://localhost")
  #expect(try value([], "") == "http://localhost")
  #expect(try value([], "unix:///s") == "unix:///s")
  #expect(try value(["--url=x"], "unix:///s") == "x")
  #expect(parser.help(usage: "").contains("Endpoint. ($URL)"))
}

@Test(arguments: [(Duration.milliseconds(1), "1ms"), (.seconds(5), "5s"), (.microseconds(3_466_080), "3.46608s")])
func durationsAreShownAsGoShowsThem(duration: Duration, text: String) {
  #expect(duration.help == text)
}

@Test(
  arguments: [
    (["--nope"], "unknown long flag '--nope', try --help"),
    (["--no-path.procfs"], "unknown long flag '--no-path.procfs', try --help"),
    (["-x"], "unknown short flag '-x', try --help"),
    (["foo"], "unexpected foo, try --help"),
    (["--", "--path.procfs=/a"], "unexpected --path.procfs=/a, try --help"),
    (["--path.procfs", "--collector.cpu.guest"], "expected argument for flag '--path.procfs', try --help"),
    (["--path.procfs", "-x"], "expected argument for flag '--path.procfs', try --help"),
    (["--collector.cpu.guest=true"], "unexpected true, try --help"),
    (
      ["--collector.cpu.guest", "--no-collector.cpu.guest"], "flag 'collector.cpu.guest' cannot be repeated, try --help"
    ),
    (["--path.procfs=/a", "--path.procfs=/a"], "flag 'path.procfs' cannot be repeated, try --help"),
    (["--path.procfs"], "expected argument for flag '--path.procfs', try --help"),
    (["--web.max-requests=x"], "strconv.ParseInt: parsing \"x\": invalid syntax, try --help"),
    (
      ["--web.max-requests=99999999999999999999"],
      "strconv.ParseInt: parsing \"99999999999999999999\": invalid syntax, try --help"
    ),
    (["--mount-timeout=5"], "time: invalid duration \"5\", try --help"),
    (["@missing"], "cannot read arguments from missing: no such file or directory"),
    (["@loop"], "cannot read arguments from @loop: files are nested too deeply"),
  ] as [([String], String)])
func badLinesAreRefusedInKingpinsWords(arguments: [String], message: String) {
  #expect {
    try parse(arguments, files: ["loop": ["@loop"]])
  } throws: {
    "\($0)" == message
  }
}

@Test func helpHasTwoColumnsAndHidesWhatIsHidden() {
  let help = parser.help(usage: "usage: x [<flags>]")
  #expect(help.hasPrefix("usage: x [<flags>]\n\nFlags:\n"))
  #expect(help.contains("\n      --[no-]collector.cpu.guest  \n                                 Guest seconds.\n"))
  #expect(help.contains("\n      --path.procfs=\"/proc\"      procfs mountpoint.\n"))
  #expect(help.contains("\n  -h, --[no-]help                Show help.\n"))
  #expect(help.contains("--textfile.directory=TEXTFILE.DIRECTORY ..."))
  #expect(help.contains("\n      --fixtures=\"\"              For tests.\n"))
  #expect(!help.contains("mount-timeout"))
}
