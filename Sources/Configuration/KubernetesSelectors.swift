// The two languages by which the API server of Kubernetes chooses objects
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors,
// https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/): whether a text is one of them.

import YAML

enum KubernetesSelectors {
  /// What is wrong with a field selector (`metadata.name=x,status.phase!=Running`); nil for nothing.
  static func fault(ofField selector: String) -> String? {
    for term in terms(of: selector) where !term.isEmpty {
      guard let equals = term.firstIndex(of: UInt8(ascii: "=")), equals > term.startIndex else {
        return
          "invalid selector: '\(shown(selector))'; can't understand '\(shown(String(decoding: term, as: UTF8.self)))'"
      }
      let value = term[(equals + 1)...].drop { $0 == UInt8(ascii: "=") }
      if let fault = fault(ofEscaped: value) { return "invalid selector: '\(shown(selector))'; \(fault)" }
    }
    return nil
  }

  /// Terms are parted by commas; a backslash takes the meaning from the byte behind it.
  private static func terms(of selector: String) -> [ArraySlice<UInt8>] {
    let text = Array(selector.utf8)
    var terms: [ArraySlice<UInt8>] = []
    var start = 0
    var isEscaped = false
    for (offset, byte) in text.enumerated() {
      if byte == UInt8(ascii: ","), !isEscaped {
        terms.append(text[start..<offset])
        start = offset + 1
      }
      isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
    }
    return terms + [text[start...]]
  }

  private static func fault(ofEscaped value: ArraySlice<UInt8>) -> String? {
    var isEscaped = false
    for byte in value {
      if isEscaped {
        guard "\\,=".utf8.contains(byte) else { return "a backslash stands before none of \\ , =" }
        isEscaped = false
      } else if byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else if byte == UInt8(ascii: "=") {
        return "an = in a value needs a backslash"
      }
    }
    return isEscaped ? "a backslash stands at the end" : nil
  }

  // MARK: Labels

  /// What is wrong with a label selector (`app=x,tier in (a, b),!canary`); nil for nothing.
  static func fault(ofLabel selector: String) -> String? {
    let tokens = Tokens(selector)
    do throws(Fault) {
      try check(tokens.list)
      return nil
    } catch {
      return "unable to parse requirement: \(error.reason)"
    }
  }

  private struct Fault: Error { let reason: String }

  private static func check(_ tokens: [String]) throws(Fault) {
    var rest = tokens[...]
    guard !rest.isEmpty else { return }
    repeat {
      try requirement(&rest)
      guard let separator = rest.popFirst() else { return }
      guard separator == "," else { throw Fault(reason: "found '\(shown(separator))', expected: ',' or the end") }
    } while true
  }

  private static func requirement(_ rest: inout ArraySlice<String>) throws(Fault) {
    let mustBeAbsent = rest.first == "!"
    if mustBeAbsent { rest.removeFirst() }
    let key = rest.popFirst() ?? ""
    guard isQualifiedName(key) else { throw Fault(reason: "'\(shown(key))' is not the name of a label") }
    guard let operation = rest.first, operation != "," else { return }
    guard !mustBeAbsent else { throw Fault(reason: "found '\(shown(operation))' behind '!\(shown(key))'") }
    rest.removeFirst()
    switch operation {
    case "=", "==", "!=":
      // Nothing stands for an empty value.
      guard let value = rest.first, value != "," else { return }
      rest.removeFirst()
      try checkValue(value)
    case ">", "<":
      let value = rest.popFirst() ?? ""
      guard Int64(value) != nil else { throw Fault(reason: "'\(shown(value))' is not a whole number") }
    case "in", "notin":
      guard rest.popFirst() == "(" else { throw Fault(reason: "expected: '(' behind '\(operation)'") }
      while true {
        guard let token = rest.popFirst() else { throw Fault(reason: "expected: ')'") }
        if token == ")" { return }
        if token == "," { continue }
        try checkValue(token)
        guard rest.first == ")" || rest.first == "," else {
          throw Fault(reason: "expected: ',' or ')' behind '\(shown(token))'")
        }
      }
    default:
      throw Fault(reason: "found '\(shown(operation))', expected: in, notin, =, ==, !=, >, <")
    }
  }

  private static func checkValue(_ value: String) throws(Fault) {
    guard value.isEmpty || isName(value) else { throw Fault(reason: "'\(shown(value))' is not a value of a label") }
  }

  /// Words and the signs between them.
  private struct Tokens {
    private(set) var list: [String] = []

    init(_ text: String) {
      var word = ""
      var rest = text.unicodeScalars[...]
      func isSpace(_ scalar: UnicodeScalar) -> Bool { [" ", "\t", "\r", "\n"].contains(scalar) }
      while let scalar = rest.popFirst() {
        guard isSpace(scalar) || "(),!=<>".unicodeScalars.contains(scalar) else {
          word.unicodeScalars.append(scalar)
          continue
        }
        if !word.isEmpty { list.append(word) }
        word = ""
        if isSpace(scalar) { continue }
        var sign = String(scalar)
        if scalar == "=" || scalar == "!", rest.first == "=" { sign.unicodeScalars.append(rest.removeFirst()) }
        list.append(sign)
      }
      if !word.isEmpty { list.append(word) }
    }
  }

  // MARK: Names

  /// RFC 1123's label, as namespaces are named.
  static func isDNSLabel(_ text: String) -> Bool {
    text.utf8.count <= 63 && isName(text) && text.utf8.allSatisfy { isLowercase($0) || isDigit($0) || $0 == 0x2d }
  }

  /// `[PREFIX/]NAME`; the prefix is a domain name.
  private static func isQualifiedName(_ text: String) -> Bool {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard let name = parts.last, parts.count <= 2, isName(String(name)) else { return false }
    guard parts.count == 2 else { return true }
    return parts[0].utf8.count <= 253
      && parts[0].split(separator: ".", omittingEmptySubsequences: false).allSatisfy { isDNSLabel(String($0)) }
  }

  /// Letters, digits, `-`, `_`, `.`; at both ends a letter or a digit; at most 63.
  private static func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, let last = text.utf8.last, text.utf8.count <= 63 else { return false }
    return isAlphanumeric(first) && isAlphanumeric(last)
      && text.utf8.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool { isLowercase(byte | 0x20) || isDigit(byte) }
  private static func isLowercase(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z") }
  private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
}
