import Bytes
import TestSupport
import Testing

/// All of a text, as a tree is written; by the reader's own means.
private func read(_ json: inout JSONReader, _ kinds: inout ArraySlice<String>) throws -> String {
  switch kinds.popFirst() {
  case "object":
    guard try json.beginObject() else { return "null" }
    var members: [String] = []
    while try json.nextMember() { members.append("\(try json.memberName()):\(try read(&json, &kinds))") }
    return "{\(members.joined(separator: ","))}"
  case "array":
    guard try json.beginArray() else { return "null" }
    var elements: [String] = []
    while try json.nextElement() { elements.append(try read(&json, &kinds)) }
    return "[\(elements.joined(separator: ","))]"
  case "text": return "'\(try json.string())'"
  case "number": return try json.integer().map { "\($0)" } ?? "none"
  case "bool": return try json.bool().map { "\($0)" } ?? "none"
  default:
    try json.skip()
    return "_"
  }
}

private func read(_ text: String, _ kinds: [String]) throws -> String {
  let bytes = Array(text.utf8)
  var json = JSONReader(bytes.span.bytes, pool: StringPool())
  var rest = kinds[...]
  return try read(&json, &rest)
}

@Test(arguments: [
  (#" { } "#, ["object"], "{}"), ("null", ["object"], "null"), ("[ ]", ["array"], "[]"), (" null", ["array"], "null"),
  (
    #"{"a" : "x\n\u00e9\"" , "b\t":[1,-2,null]}"#, ["object", "text", "array", "number", "number", "number"],
    "{a:'x\né\"',b\t:[1,-2,none]}"
  ),
  (#"[true,false,null]"#, ["array", "bool", "bool", "bool"], "[true,false,none]"),
  (
    #"[{"x":"]}\"","y":[[{}]]},"t",1.5e3,null,"a long text of more than fifteen"]"#,
    ["array", "", "", "", "", "text"], "[_,_,_,_,'a long text of more than fifteen']"
  ),
  (#"{"a":{},"b":[]}"#, ["object", "object", "array"], "{a:{},b:[]}"), ("null", ["text"], "''"),
])
func readsValues(_ text: String, _ kinds: [String], _ expected: String) throws {
  #expect(try read(text, kinds) == expected)
}

@Test(arguments: [
  ("", ["object"]), ("[", ["object"]), ("{", ["object"]), (#"{"a"}"#, ["object", ""]), (#"{"a":1 "b":2}"#, ["object"]),
  (#"{"a":}"#, ["object", ""]), (#"{a:1}"#, ["object"]), ("[1,]", ["array", "", ""]), ("[", ["array"]),
  ("[1", ["array", "number"]), (#"["a"#, ["array", "text"]), (#"["a\"#, ["array", "text"]), (#""\x""#, ["text"]),
  ("1.5", ["number", "end"]), ("99999999999999999999", ["number"]), ("x", ["bool"]), ("1", ["text"]), ("-", ["number"]),
  ("[[", [""]), ("", [""]), (#"""#, [""]), ("]", [""]), (",", [""]),
])
func refusesWhatIsNone(_ text: String, _ kinds: [String]) {
  #expect(throws: JSONValue.Fault.self) {
    let bytes = Array(text.utf8)
    var json = JSONReader(bytes.span.bytes)
    var rest = kinds[...]
    _ = try read(&json, &rest)
    // What is left must be nothing.
    if rest.first == "end", json.position < bytes.count { throw JSONValue.Fault(reason: "more", offset: 0) }
  }
}

@Test func namesAreComparedAsTheyStand() throws {
  let bytes = Array(#"{"name":1,"n\u0061me":2}"#.utf8)
  var json = JSONReader(bytes.span.bytes)
  #expect(try json.beginObject() && json.nextMember() && json.isMember("name") && !json.isMember("nam"))
  #expect(try json.integer() == 1 && json.nextMember() && !json.isMember("name") && json.memberName() == "name")
}

@Test func aPoolGivesEqualTexts() {
  let pool = StringPool()
  var random = SeededGenerator(5)
  for _ in 0..<fuzzRounds {
    let text =
      String(repeating: "app-", count: Int.random(in: 0...80, using: &random))
      + "\(Int.random(in: 0..<5000, using: &random))"
    #expect(pool.string(text.utf8.span.bytes) == text)
  }
}

/// Damaged texts: a fault or a value, never a crash; what the tree takes, skipping takes.
@Test func skipsDamagedTexts() {
  let good = Array(#"{"a":[1,{"b":"c\"d"},null,true],"e":{"f":{}},"g":"\u00e9"}"#.utf8)
  var random = SeededGenerator(9)
  for _ in 0..<fuzzRounds {
    let bytes = mutated(good, with: &random)
    var json = JSONReader(bytes.span.bytes)
    let skipped = (try? json.skip()) != nil
    if (try? JSONValue(parsing: bytes.span.bytes)) != nil { #expect(skipped) }
  }
}
