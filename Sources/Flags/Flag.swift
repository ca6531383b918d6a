/// What a flag's text can be turned into.
public protocol FlagValue: Sendable {
  /// Nil when `text` is none; the reason is in the error that the parser makes of it.
  static func parse(_ text: String) throws(FlagSyntaxError) -> Self
  /// As the help shows the default; nil shows a placeholder.
  var help: String? { get }
  /// As a command line would give it.
  var text: String { get }
}

extension FlagValue {
  public var text: String { help ?? "" }
}

/// Why a text is not a value of its flag.
public struct FlagSyntaxError: Error {
  public let reason: String
  public init(_ reason: String) { self.reason = reason }
}

/// One flag: declared once, in the file that acts on it.
///
///     static let softirq = Flag("collector.stat.softirq", false, "Export softirq calls per vector")
public struct Flag<Value: FlagValue>: Sendable {
  public let definition: FlagDefinition
  public let defaultValue: Value

  /// - Parameters:
  ///   - isHidden: not shown by `--help`.
  ///   - showsEmptyDefault: whether the help says `=""` for an empty text, and not a placeholder.
  ///   - environment: the variable that gives the value when the command line does not.
  public init(
    _ name: String, _ defaultValue: Value, _ help: String = "", isHidden: Bool = false,
    showsEmptyDefault: Bool = false, environment: String? = nil
  ) {
    self.defaultValue = defaultValue
    definition = FlagDefinition(
      name: name, help: environment.map { "\(help) ($\($0))" } ?? help, isHidden: isHidden,
      isSwitch: Value.self == Bool.self, isRepeatable: Value.self == [String].self, environment: environment,
      defaultValue: defaultValue.text, defaultText: defaultValue.help ?? (showsEmptyDefault ? "\"\"" : nil),
      check: { text throws(FlagSyntaxError) in _ = try Value.parse(text) })
  }
}

/// A flag without the type of its value: what the parser and the help need to know.
public struct FlagDefinition: Sendable {
  public let name: String
  public let help: String
  public let isHidden: Bool
  /// `--name` and `--no-name`, without a value.
  public let isSwitch: Bool
  public let isRepeatable: Bool
  /// The variable that gives the value when the command line does not.
  public let environment: String?
  /// The default as it would be given.
  let defaultValue: String
  public let defaultText: String?
  let check: @Sendable (String) throws(FlagSyntaxError) -> Void
}

/// The flags that were given, by name.
public struct FlagValues: Sendable {
  var given: [String: [String]] = [:]

  public init() {}

  /// The flag's value: the given one, else its default.
  public subscript<Value: FlagValue>(flag: Flag<Value>) -> Value {
    guard let texts = given[flag.definition.name], let last = texts.last else { return flag.defaultValue }
    if let all = texts as? Value { return all }
    // The parser has checked the text against the flag.
    return (try? Value.parse(last)) ?? flag.defaultValue
  }

  /// The flag's value as text: the given one, else its default; several with commas.
  public func text(_ flag: FlagDefinition) -> String {
    given[flag.name]?.joined(separator: ",") ?? flag.defaultValue
  }

  /// Whether the flag was given at all.
  public func isGiven<Value>(_ flag: Flag<Value>) -> Bool { isGiven(flag.definition) }

  public func isGiven(_ flag: FlagDefinition) -> Bool { given[flag.name] != nil }

  /// Sets a flag, or adds to one that is repeatable.
  ///
  /// - Throws: when the text is no value of the flag.
  public mutating func give(_ flag: FlagDefinition, _ text: String) throws(FlagSyntaxError) {
    try flag.check(text)
    given[flag.name, default: []].append(text)
  }

  /// These values, and those of `other` for flags that are not given here.
  public func completed(by other: FlagValues) -> FlagValues {
    var all = self
    all.given.merge(other.given) { own, _ in own }
    return all
  }
}

extension Bool: FlagValue {
  public static func parse(_ text: String) throws(FlagSyntaxError) -> Bool { text == "true" }
  public var help: String? { nil }
  public var text: String { self ? "true" : "false" }
}

extension String: FlagValue {
  public static func parse(_ text: String) throws(FlagSyntaxError) -> String { text }
  public var help: String? { isEmpty ? nil : quotedForHelp }
  public var text: String { self }

  /// In double quotes, with backslashes and quotes escaped, as kingpin prints a string.
  var quotedForHelp: String {
    "\"" + map { $0 == "\\" || $0 == "\"" ? "\\\($0)" : String($0) }.joined() + "\""
  }
}

extension [String]: FlagValue {
  public static func parse(_ text: String) throws(FlagSyntaxError) -> [String] { [text] }
  public var help: String? { first }
  public var text: String { joined(separator: ",") }
}

extension Int: FlagValue {
  public static func parse(_ text: String) throws(FlagSyntaxError) -> Int {
    guard let value = Int(text) else {
      throw FlagSyntaxError("strconv.ParseInt: parsing \(text.quotedForHelp): invalid syntax")
    }
    return value
  }
  public var help: String? { String(self) }
}

extension Duration: FlagValue {
  /// Go's durations: `1h2m3.5s`, `250ms`, `-1s`, `0`.
  public static func parse(_ text: String) throws(FlagSyntaxError) -> Duration {
    if let sign = text.first, sign == "-" || sign == "+", text.dropFirst().first?.isNumber == true {
      let magnitude = try parse(String(text.dropFirst()))
      return sign == "-" ? .zero - magnitude : magnitude
    }
    if text == "0" { return .zero }
    let units: [(name: String, nanoseconds: Double)] = [
      ("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9),
    ]
    var rest = text[...]
    var total = 0.0
    while !rest.isEmpty {
      let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
      let unit = rest[number.endIndex...].prefix { !($0.isNumber || $0 == ".") }
      guard let value = Double(number), let scale = units.first(where: { $0.name == unit }) else {
        throw FlagSyntaxError("time: invalid duration \(text.quotedForHelp)")
      }
      total += value * scale.nanoseconds
      rest = rest[unit.endIndex...]
    }
    guard !text.isEmpty, total < 9.2e18 else { throw FlagSyntaxError("time: invalid duration \(text.quotedForHelp)") }
    return .nanoseconds(Int64(total))
  }

  public var help: String? {
    let seconds = Double(components.seconds) + Double(components.attoseconds) / 1e18
    let (number, unit) = seconds < 1 ? (seconds * 1000, "ms") : (seconds, "s")
    return number == number.rounded() ? "\(Int64(number))\(unit)" : "\(number)\(unit)"
  }
}
