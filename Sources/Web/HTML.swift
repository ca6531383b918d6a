/// Pages of HTML for people: simple, without scripts, readable on a phone.
public enum HTML {
  /// A whole page.
  ///
  /// - Parameters:
  ///   - links: path and text of each; they stand at the top.
  ///   - body: HTML; what is not ours in it has gone through `escape`.
  public static func page(title: String, links: [(path: String, text: String)], body: String) -> String {
    let items = links.map { "<a href=\"\(escape($0.path))\">\(escape($0.text))</a>" }.joined(separator: "\n")
    return document(
      title: title,
      style: """
        body { font-family: system-ui, sans-serif; margin: 0; }
        header { background: #12507b; color: #fff; padding: 0.5rem 1rem; }
        header a { color: #fff; margin-right: 1rem; }
        main { padding: 1rem; }
        table { border-collapse: collapse; width: 100%; margin-bottom: 1rem; }
        th, td { border: 1px solid #ccc; padding: 0.3rem 0.5rem; text-align: left; vertical-align: top; }
        code { font-size: 0.85rem; overflow-wrap: anywhere; }
        .up { color: #17692b; } .down { color: #b00020; } .unknown, .dropped { color: #6a6a6a; }
        """,
      body: """
        <header><h1>\(escape(title))</h1>
        \(items)</header>
        <main>
        \(body)
        </main>
        """)
  }

  /// What stands around every page.
  ///
  /// - Parameters:
  ///   - style: CSS.
  ///   - body: HTML, as for `page`.
  static func document(title: String, style: String? = nil, body: String) -> String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="UTF-8">
    <meta name="viewport" content="width=device-width, initial-scale=1.0">
    <title>\(escape(title))</title>
    \(style.map { "<style>\n\($0)\n</style>\n" } ?? "")</head>
    <body>
    \(body)
    </body>
    </html>

    """
  }

  /// A text as HTML shows it, in attributes too.
  public static func escape(_ text: String) -> String {
    text.unicodeScalars.reduce(into: "") { escaped, scalar in
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
  }
}
