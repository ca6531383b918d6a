// The XML (https://www.w3.org/TR/xml/) that AWS' Query APIs answer: elements and text. Attributes, comments and
// processing instructions are passed over; a document type is refused, so that there are no entities but the five
// predefined ones and character references.

import Bytes

/// An element with all that stands in it.
package struct XMLElement: Equatable {
  /// Without its namespace's prefix.
  package var name: String
  /// The text directly in it; where elements stand in it, that between them too.
  package var text = ""
  package var children: [XMLElement] = []

  /// Why a text is no such XML, and at which byte.
  package struct Fault: Error, Equatable, CustomStringConvertible {
    package let reason: String
    package let offset: Int
    package var description: String { "not XML: \(reason) at byte \(offset)" }
  }

  init(name: String) { self.name = name }

  /// Reads a whole document.
  ///
  /// - Throws: when it is no XML, has a document type, or elements stand in each other more than 64 deep.
  package init(parsing text: RawSpan) throws(Fault) {
    var parser = XMLParser(text)
    self = try parser.document()
  }

  /// The first element of that name in this one.
  package subscript(name: String) -> XMLElement? { children.first { $0.name == name } }

  /// The text of the first element of that name; nil when there is none, or nothing in it.
  package func text(_ name: String) -> String? {
    guard let text = self[name]?.text, !text.isEmpty else { return nil }
    return text
  }

  /// The elements `item` of the list of that name, as EC2 has lists.
  package func items(_ name: String) -> [XMLElement] { self[name]?.children.filter { $0.name == "item" } ?? [] }
}

private struct XMLParser: ~Escapable {
  private static let maximumDepth = 64
  private static let entities: [String: String] = ["lt": "<", "gt": ">", "amp": "&", "quot": "\"", "apos": "'"]

  private var scanner: ByteScanner

  @_lifetime(copy text)
  init(_ text: RawSpan) { scanner = ByteScanner(text) }

  @_lifetime(self: copy self)
  mutating func document() throws(XMLElement.Fault) -> XMLElement {
    if scanner.rest.starts(with: "\u{feff}") { scanner.position += 3 }
    try skipMiscellaneous()
    guard scanner.next == UInt8(ascii: "<") else { throw fault("expected an element") }
    let root = try element(depth: 0)
    try skipMiscellaneous()
    guard scanner.isAtEnd else { throw fault("something behind the root element") }
    return root
  }

  @_lifetime(self: copy self)
  private mutating func element(depth: Int) throws(XMLElement.Fault) -> XMLElement {
    guard depth < Self.maximumDepth else { throw fault("too deep") }
    scanner.position += 1
    let tag = try name()
    var element = XMLElement(name: Self.withoutPrefix(tag))
    guard try !skipAttributes() else { return element }
    var text: [UInt8] = []
    while let byte = scanner.next {
      if byte == UInt8(ascii: "&") {
        text += try reference()
      } else if byte != UInt8(ascii: "<") {
        text.append(byte)
        scanner.position += 1
      } else if skip("<!--") {
        try skipPast("-->")
      } else if skip("<![CDATA[") {
        let start = scanner.position
        try skipPast("]]>")
        for place in start..<(scanner.position - 3) { text.append(scanner.bytes[place]) }
      } else if skip("<?") {
        try skipPast("?>")
      } else if skip("</") {
        guard try name() == tag else { throw fault("an end tag of another element") }
        skipSpace()
        guard scanner.skip(UInt8(ascii: ">")) else { throw fault("expected the end of a tag") }
        element.text = String(decoding: text, as: UTF8.self)
        return element
      } else {
        element.children.append(try self.element(depth: depth + 1))
      }
    }
    throw fault("an element without an end")
  }

  private static func withoutPrefix(_ tag: String) -> String {
    tag.lastIndex(of: ":").map { String(tag[tag.index(after: $0)...]) } ?? tag
  }

  @_lifetime(self: copy self)
  private mutating func name() throws(XMLElement.Fault) -> String {
    var name: [UInt8] = []
    while let byte = scanner.next, byte >= 0x80 || byte.isLetter || byte.isDigit || "-._:".utf8.contains(byte) {
      name.append(byte)
      scanner.position += 1
    }
    guard !name.isEmpty else { throw fault("expected a name") }
    return String(decoding: name, as: UTF8.self)
  }

  /// Moves past the start tag. True: it is that of an empty element.
  @_lifetime(self: copy self)
  private mutating func skipAttributes() throws(XMLElement.Fault) -> Bool {
    while true {
      skipSpace()
      if skip("/>") { return true }
      if scanner.skip(UInt8(ascii: ">")) { return false }
      _ = try name()
      skipSpace()
      guard scanner.skip(UInt8(ascii: "=")) else { throw fault("expected the value of an attribute") }
      skipSpace()
      guard let quote = scanner.next, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'"),
        let end = scanner.bytes.firstIndex(of: quote, from: scanner.position + 1)
      else { throw fault("expected the value of an attribute") }
      scanner.position = end + 1
    }
  }

  /// `&amp;`, `&#38;` or `&#x26;`
  @_lifetime(self: copy self)
  private mutating func reference() throws(XMLElement.Fault) -> [UInt8] {
    guard let end = scanner.bytes.firstIndex(of: UInt8(ascii: ";"), from: scanner.position),
      end - scanner.position <= 12
    else { throw fault("a reference without an end") }
    let text = String(utf8: scanner.bytes.extracting((scanner.position + 1)..<end))
    guard let character = Self.entities[text] ?? Self.character(text) else { throw fault("an unknown reference") }
    scanner.position = end + 1
    return Array(character.utf8)
  }

  private static func character(_ text: String) -> String? {
    guard text.hasPrefix("#") else { return nil }
    let digits = text.dropFirst()
    let number = digits.hasPrefix("x") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
    return number.flatMap(Unicode.Scalar.init).map { String(Character($0)) }
  }

  /// What may stand around the root element.
  @_lifetime(self: copy self)
  private mutating func skipMiscellaneous() throws(XMLElement.Fault) {
    while true {
      skipSpace()
      if skip("<?") {
        try skipPast("?>")
      } else if skip("<!--") {
        try skipPast("-->")
      } else if scanner.rest.starts(with: "<!") {
        throw fault("a document type")
      } else {
        return
      }
    }
  }

  @_lifetime(self: copy self)
  private mutating func skipSpace() {
    while let byte = scanner.next, byte == .space || byte == .tab || byte == .newline || byte == 13 {
      scanner.position += 1
    }
  }

  @_lifetime(self: copy self)
  private mutating func skip(_ text: StaticString) -> Bool {
    guard scanner.rest.starts(with: text) else { return false }
    scanner.position += text.utf8CodeUnitCount
    return true
  }

  @_lifetime(self: copy self)
  private mutating func skipPast(_ text: StaticString) throws(XMLElement.Fault) {
    while !scanner.isAtEnd {
      if skip(text) { return }
      scanner.position += 1
    }
    throw fault("something without an end")
  }

  private func fault(_ reason: String) -> XMLElement.Fault {
    XMLElement.Fault(reason: reason, offset: scanner.position)
  }
}
