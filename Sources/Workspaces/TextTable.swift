/// Rows of text in columns as wide as their longest cell.
public struct TextTable: Sendable {
  public private(set) var rows: [[String]]
  private let gap: Int

  /// - Parameters:
  ///   - heading: of the columns; nil: none.
  ///   - gap: blanks between two columns.
  public init(_ heading: [String]? = nil, gap: Int = 2) {
    rows = heading.map { [$0] } ?? []
    self.gap = gap
  }

  /// Control characters become "?": a value from outside must not move the cursor.
  public mutating func append(_ row: [String]) { rows.append(row.map(\.printable)) }

  /// Lines with their ends.
  public var text: String {
    var widths: [Int] = []
    for row in rows {
      for (column, cell) in row.enumerated() {
        if column == widths.count { widths.append(0) }
        widths[column] = max(widths[column], cell.unicodeScalars.count)
      }
    }
    return rows.map { row in
      let cells = row.enumerated().map { column, cell in
        column == row.count - 1
          ? cell : cell + String(repeating: " ", count: widths[column] - cell.unicodeScalars.count + gap)
      }
      return cells.joined() + "\n"
    }.joined()
  }
}

extension String {
  fileprivate var printable: String {
    guard unicodeScalars.contains(where: \.isControl) else { return self }
    return unicodeScalars.map { $0.isControl ? "?" : String($0) }.joined()
  }
}
