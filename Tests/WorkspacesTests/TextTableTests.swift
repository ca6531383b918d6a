import Testing

@testable import Workspaces

@Suite struct TextTableTests {
  @Test func columnsAreAsWideAsTheirCells() {
    var table = TextTable(["A", "B"], gap: 3)
    table.append(["1", "22"])
    table.append(["äöü", ""])
    #expect(table.text == "A     B\n1     22\näöü   \n")
  }

  @Test func rowsMayDiffer() {
    var table = TextTable()
    #expect(table.text.isEmpty)
    table.append(["long", "b", "c"])
    table.append(["a"])
    table.append([])
    #expect(table.text == "long  b  c\na\n\n")
  }

  @Test func controlCharactersAreShownAsMarks() {
    var table = TextTable()
    table.append(["a\u{1b}[31m\nb\u{7f}\u{9b}c"])
    #expect(table.text == "a?[31m?b??c\n")
  }
}
