import Logging
import Web

/// `pilotfish check web-config`: whether the server takes a web configuration file; says it as promtool does.
enum CheckWebConfigCommand {
  static let usage = """
    usage: pilotfish check web-config FILE…

    Checks files for --web.config.file: every key, and that certificates and keys can be used.
    Ends with 0 when all are valid, with 1 when one is not.

    """

  static func run(_ arguments: [String]) -> Int32 {
    guard let given = CommandArguments(arguments) else { return ExitStatus.failure }
    guard !given.plain.isEmpty else {
      Console.complain(usage)
      return ExitStatus.failure
    }
    let silent = Logger(label: "check") { _ in SwiftLogNoOpLogHandler() }
    var status = ExitStatus.success
    for file in given.plain {
      do throws(WebServerError) {
        _ = try WebAccess(file: file, logger: silent)
        Console.complain("\(file) SUCCESS")
      } catch {
        Console.complain("\(file) FAILED: \(error)")
        status = ExitStatus.failure
      }
    }
    return status
  }
}
