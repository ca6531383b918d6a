import Exposition
import TestSupport
import Testing

@testable import Selectors

private let labels = LabelSet([
  (name: "__name__", value: "up"), (name: "a b", value: "x"), (name: "instance", value: "h:1"),
  (name: "job", value: "self"), (name: "text", value: "q\"'\n\u{e9}"),
])

@Test(
  arguments: [
    ("up", true), ("down", false), ("up{}", true), (#"{__name__="up"}"#, true), (#"{"up"}"#, true), (#"{'up'}"#, true),
    ("{`up`}", true), (#"{"up",job="self"}"#, true), (#"{"up", "job"="self"}"#, true), (#"up{"down"}"#, false),
    (#"up{job="self",}"#, true), (#" up { job = "self" } # comment"#, true), ("up{job=\"self\"# {\n}", true),
    (#"up{job!="self"}"#, false), (#"up{job=~"s.*"}"#, true), (#"up{job=~"el"}"#, false), (#"up{job!~"el"}"#, true),
    (#"up{job=~"(?i)SELF"}"#, true), (#"{nothing=""}"#, true), (#"{nothing=~".*"}"#, true),
    (#"{nothing=~".+"}"#, false),
    (#"{nothing!="x"}"#, true), (#"{"a b"="x"}"#, true), (#"up{job="\x73elf"}"#, true), (#"up{job="\u0073elf"}"#, true),
    (#"up{job="\163\U00000065lf"}"#, true), (#"{text="q\"'\né"}"#, true), (#"{text='q"\'\n\u00e9'}"#, true),
    ("{text=`q\"'\n\u{e9}`}", true), (#"{text=~"q.+"}"#, true), (#"up{job="\377"}"#, false),
    (#"{__name__=~"up|down",__name__!~"d.*"}"#, true), ("{}", true), ("a:b", false), (":a", false), ("sum", false),
    (#"by{by="x"}"#, false), ("offset", false), ("start", false),
  ])
func selects(text: String, isMatch: Bool) throws { #expect(try Selector(text).matches(labels) == isMatch) }

@Test(
  arguments: [
    ("", "unknown position: parse error: unexpected end of input"), ("a[5m]", #"1:2: parse error: unexpected "[""#),
    ("sum(a)", #"1:4: parse error: unexpected "(""#),
    ("a{b", "1:4: parse error: unexpected end of input inside braces"),
    (
      "up{,job=\"self\"}", #"1:4: parse error: unexpected "," in label matching, expected identifier or "}""#
    ),
    (#"up{job=~"("}"#, "1:4: parse error: error parsing regexp: missing closing ): "),
    (#"up{job="\q"}"#, "1:8: parse error: unknown escape sequence U+0071 'q'"),
    (#"up{job="se\'lf"}"#, "1:8: parse error: unknown escape sequence U+0027 '''"),
    ("up up", #"1:4: parse error: unexpected identifier "up""#), ("1", #"1:1: parse error: unexpected number "1""#),
    ("NaN", #"1:1: parse error: unexpected number "NaN""#), ("bool", "1:1: parse error: unexpected <bool>"),
    (#"{1="a"}"#, "1:2: parse error: unexpected character inside braces: '1'"),
    ("{a:b=\"c\"}", "1:3: parse error: unexpected character inside braces: ':'"),
    ("é", "1:1: parse error: unexpected character: 'é'"),
    (#"up{é="a"}"#, "1:4: parse error: unexpected character inside braces: 'é'"),
    (#"up{job="a"#, "1:8: parse error: unterminated quoted string"),
    ("up{job=\"a\nb\"}", "1:8: parse error: unterminated quoted string"),
    (#"up{job=="x"}"#, #"1:8: parse error: unexpected "=" in label matching, expected string"#),
    (#"up{job="x""#, "1:11: parse error: unexpected end of input inside braces"),
    (#"up{job"#, "1:7: parse error: unexpected end of input inside braces"),
    ("(up)", #"1:1: parse error: unexpected "(""#),
    (#""up""#, #"1:1: parse error: unexpected """#),
    ("{\"\\ud800\"}", "1:2: parse error: escape sequence is an invalid"),
    (#"{"\400"}"#, "1:2: parse error: escape sequence is an invalid"),
    (#"{"\"#, "1:2: parse error: escape sequence not"),
    (#"{"\x4"}"#, "1:2: parse error: illegal character in escape"),
    ("{`a", "1:2: parse error: unterminated raw string"),
    ("{a!b}", "1:3: parse error: unexpected character after '!' inside braces: 'b'"),
    ("{a=\"b\"} x", "1:9: parse error"),
  ])
func isNoSelector(text: String, message: String) {
  let error = #expect(throws: SelectorError.self) { try Selector(text) }
  #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
}

/// What is damaged is a selector or is refused; nothing else happens.
@Test func damagedSelectors() {
  var generator = SeededGenerator(3)
  let seeds = [
    #"up{job="\x73\u00e9\U0001F600\163",a!~'(x|y)+',"b c"!=`raw`} # end"#, #"{"up","x"=~"a[b-d]{2,3}",__name__!=""}"#,
  ]
  for round in 0..<20 * fuzzRounds {
    let text = String(decoding: mutated(Array(seeds[round % 2].utf8), with: &generator), as: UTF8.self)
    _ = try? Selector(text).matches(labels)
  }
}
